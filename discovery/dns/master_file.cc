#include "discovery/dns/master_file.h"

#include <map>
#include <optional>

#include "base/net/ip_address.h"
#include "base/strings.h"

namespace fairlead::dns {

namespace {

struct Word {
  std::string_view text;
  bool quoted = false;
};

// One entry: its words, over as many lines as its parentheses span.
struct Entry {
  bool blank_owner = false;
  size_t line = 0;
  std::vector<Word> words;
};

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // The next entry that has words; false at the end or with `error`.
  bool Next(Entry* entry, std::string* error) {
    do {
      if (at_ >= text_.size()) return false;
      entry->words.clear();
      entry->line = line_;
      entry->blank_owner = text_[at_] == ' ' || text_[at_] == '\t';
      if (!ScanEntry(entry, error)) return false;
    } while (entry->words.empty());
    return true;
  }
  size_t line() const { return line_; }

 private:
  bool ScanEntry(Entry* entry, std::string* error) {
    bool open = false;
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '\n') {
        ++at_;
        ++line_;
        if (!open) return true;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++at_;
      } else if (c == ';') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == '(' || c == ')') {
        if (open == (c == '(')) return Fail(error, "a parenthesis is not matched");
        open = c == '(';
        ++at_;
      } else if (!ScanWord(entry, error)) {
        return false;
      }
    }
    return open ? Fail(error, "a parenthesis is not closed") : true;
  }

  bool ScanWord(Entry* entry, std::string* error) {
    bool quoted = text_[at_] == '"';
    size_t begin = at_ += quoted;
    for (; at_ < text_.size(); at_++) {
      char c = text_[at_];
      if (c == '\\') {
        ++at_;
      } else if (c == '\n' || (quoted ? c == '"' : std::string_view(" \t\r;()").contains(c))) {
        break;
      }
    }
    at_ = std::min(at_, text_.size());
    entry->words.push_back({text_.substr(begin, at_ - begin), quoted});
    if (!quoted) return true;
    if (at_ == text_.size() || text_[at_] != '"') return Fail(error, "a quotation mark is not closed");
    ++at_;
    return true;
  }

  static bool Fail(std::string* error, std::string_view why) {
    *error = why;
    return false;
  }

  std::string_view text_;
  size_t at_ = 0;
  size_t line_ = 1;
};

// "3600", "1h30m", "2d".
std::optional<uint32_t> ParseTtl(std::string_view text) {
  static const std::map<char, uint32_t> kUnits = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
  uint64_t total = 0;
  while (!text.empty()) {
    size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    auto number = ParseNumber<uint32_t>(text.substr(0, digits));
    if (!number) return std::nullopt;
    text.remove_prefix(digits);
    uint64_t unit = 1;
    if (!text.empty()) {
      auto it = kUnits.find(LowerAscii(text[0]));
      if (it == kUnits.end()) return std::nullopt;
      unit = it->second;
      text.remove_prefix(1);
    }
    total += *number * unit;
    if (total > 0x7fffffff) return std::nullopt;  // RFC 2181 §8
  }
  return static_cast<uint32_t>(total);
}

std::optional<uint16_t> ParseType(std::string_view text) {
  static const std::map<std::string, uint16_t, std::less<>> kTypes = {
      {"a", kA}, {"aaaa", kAaaa}, {"cname", kCname}, {"txt", kTxt}, {"mx", kMx}, {"srv", kSrv},
      {"ns", kNs}, {"ptr", kPtr}, {"soa", kSoa}};
  std::string lower = LowerAscii(text);
  if (auto it = kTypes.find(lower); it != kTypes.end()) return it->second;
  if (!lower.starts_with("type")) return std::nullopt;
  auto number = ParseNumber<uint16_t>(lower.substr(4));
  // Only types that mean data, and none whose meaning for the answer we do not know (DNAME).
  if (!number || *number == 0 || *number == kOpt || *number == 39 || (*number >= kFirstMetaType && *number <= 255)) {
    return std::nullopt;
  }
  return number;
}

// Reads the data of one record word by word.
class DataReader {
 public:
  DataReader(std::span<const Word> words, std::string_view origin) : words_(words), origin_(origin) {}

  Status Read(uint16_t type, std::string_view type_text) {
    RETURN_IF_ERROR(ReadFields(type, type_text));
    if (!words_.empty()) return InvalidArgument("unexpected \"", words_[0].text, "\" after the data of ", type_text);
    if (data_.size() > 0xffff) return InvalidArgument("the data is longer than 65535 bytes");
    return OkStatus();
  }
  std::string Take() { return std::move(data_); }

 private:
  Status ReadFields(uint16_t type, std::string_view type_text) {
    switch (type) {
      case kA: return ReadAddress(true);
      case kAaaa: return ReadAddress(false);
      case kCname: case kNs: case kPtr: return ReadDomain();
      case kMx:
        RETURN_IF_ERROR(Read16("a preference"));
        return ReadDomain();
      case kSrv:
        for (auto what : {"a priority", "a weight", "a port"}) RETURN_IF_ERROR(Read16(what));
        return ReadDomain();
      case kTxt: return ReadStrings();
      case kSoa: return ReadSoa();
      default: return ReadGeneric(type_text);
    }
  }

  Status Next(std::string_view what, Word* word) {
    if (words_.empty()) return InvalidArgument(what, " is missing");
    *word = words_[0];
    words_ = words_.subspan(1);
    return OkStatus();
  }
  Status ReadAddress(bool v4) {
    Word word;
    RETURN_IF_ERROR(Next("an address", &word));
    auto ip = IpAddress::Parse(word.text);
    if (!ip.ok() || ip->is_v4() != v4) return InvalidArgument("\"", word.text, "\" is no ", v4 ? "IPv4" : "IPv6", " address");
    data_ += AddressData(*ip);
    return OkStatus();
  }
  Status ReadDomain() {
    Word word;
    RETURN_IF_ERROR(Next("a domain name", &word));
    ASSIGN_OR_RETURN(std::string name, ParseName(word.text, origin_));
    data_ += name;
    return OkStatus();
  }
  Status Read16(std::string_view what) {
    Word word;
    RETURN_IF_ERROR(Next(what, &word));
    auto number = ParseNumber<uint16_t>(word.text);
    if (!number) return InvalidArgument("\"", word.text, "\" is not ", what, " from 0 to 65535");
    Append16(data_, *number);
    return OkStatus();
  }
  Status ReadStrings() {
    Word word;
    do {
      RETURN_IF_ERROR(Next("a text", &word));
      ASSIGN_OR_RETURN(std::string text, Unescape(word.text));
      if (text.size() > 255) return InvalidArgument("a text of ", text.size(), " bytes; split it into pieces of 255");
      data_ += static_cast<char>(text.size());
      data_ += text;
    } while (!words_.empty());
    return OkStatus();
  }
  static StatusOr<std::string> Unescape(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i++) {
      if (text[i] != '\\') {
        out += text[i];
      } else if (auto code = ParseNumber<uint8_t>(text.substr(i + 1, 3)); code && text.size() - i > 3) {
        out += static_cast<char>(*code);
        i += 3;
      } else if (++i < text.size() && (text[i] < '0' || text[i] > '9')) {
        out += text[i];
      } else {
        return InvalidArgument("a backslash needs a character or three digits");
      }
    }
    return out;
  }
  Status ReadSoa() {
    RETURN_IF_ERROR(ReadDomain());
    RETURN_IF_ERROR(ReadDomain());
    Word word;
    RETURN_IF_ERROR(Next("a serial", &word));
    auto serial = ParseNumber<uint32_t>(word.text);
    if (!serial) return InvalidArgument("\"", word.text, "\" is not a serial");
    Append32(data_, *serial);
    for (auto what : {"a refresh time", "a retry time", "an expiry time", "a minimum"}) {
      RETURN_IF_ERROR(Next(what, &word));
      auto time = ParseTtl(word.text);
      if (!time) return InvalidArgument("\"", word.text, "\" is not ", what);
      Append32(data_, *time);
    }
    return OkStatus();
  }
  Status ReadGeneric(std::string_view type_text) {  // RFC 3597 §5: \# LENGTH HEX…
    Word word;
    RETURN_IF_ERROR(Next("\\#", &word));
    if (word.text != "\\#") return InvalidArgument("data of ", type_text, " is written \\# LENGTH HEX");
    RETURN_IF_ERROR(Next("a length", &word));
    auto length = ParseNumber<uint16_t>(word.text);
    std::string hex;
    while (!words_.empty()) {
      hex += words_[0].text;
      words_ = words_.subspan(1);
    }
    if (!length || hex.size() != 2u * *length) return InvalidArgument("the length does not fit the hexadecimal data");
    for (size_t i = 0; i < hex.size(); i += 2) {
      uint8_t byte;
      auto [end, error] = std::from_chars(&hex[i], &hex[i] + 2, byte, 16);
      if (error != std::errc{} || end != &hex[i] + 2) return InvalidArgument("\"", hex.substr(i, 2), "\" is not hexadecimal");
      data_ += static_cast<char>(byte);
    }
    return OkStatus();
  }

  std::span<const Word> words_;
  std::string_view origin_;
  std::string data_;
};

class Loader {
 public:
  Loader(std::string_view file_name, const MasterFileDefaults& defaults)
      : file_name_(file_name), origin_(defaults.origin), ttl_s_(defaults.ttl_s) {}

  Status Load(std::string_view text) {
    Scanner scanner(text);
    Entry entry;
    std::string error;
    while (scanner.Next(&entry, &error)) {
      Status status = TakeEntry(entry);
      if (!status.ok()) return WithContext(status, Cat(Where(entry.line), ": "));
    }
    if (!error.empty()) return InvalidArgument(Where(scanner.line()), ": ", error);
    return CheckAliases();
  }
  std::vector<StaticRecord> Take() { return std::move(records_); }

 private:
  std::string Where(size_t line) const { return Cat(file_name_, ":", line); }

  Status TakeEntry(const Entry& entry) {
    std::span<const Word> words = entry.words;
    std::string_view first = words[0].text;
    if (!entry.blank_owner && first.starts_with('$') && !words[0].quoted) return Directive(words);
    if (!entry.blank_owner) {
      ASSIGN_OR_RETURN(owner_, ParseName(first, origin_));
      words = words.subspan(1);
    } else if (owner_.empty()) {
      return InvalidArgument("the first record needs an owner name");
    }
    StaticRecord record{owner_, 0, ttl_s_, "", Where(entry.line)};
    for (; !words.empty(); words = words.subspan(1)) {  // TTL and class in either order
      if (EqualsIgnoreCase(words[0].text, "in")) continue;
      auto ttl = ParseTtl(words[0].text);
      if (!ttl) break;
      record.ttl_s = *ttl;
    }
    if (words.empty()) return InvalidArgument("a type is missing");
    auto type = ParseType(words[0].text);
    if (!type) {
      return InvalidArgument("\"", words[0].text, "\" is no type that is served: ",
                             "A, AAAA, CNAME, TXT, MX, SRV, NS, PTR, SOA or TYPEn");
    }
    record.type = *type;
    DataReader reader(words.subspan(1), origin_);
    RETURN_IF_ERROR(reader.Read(*type, words[0].text));
    record.data = reader.Take();
    records_.push_back(std::move(record));
    return OkStatus();
  }

  Status Directive(std::span<const Word> words) {
    if (words.size() == 2 && EqualsIgnoreCase(words[0].text, "$origin")) {
      ASSIGN_OR_RETURN(origin_, ParseName(words[1].text, origin_));
      return OkStatus();
    }
    if (words.size() == 2 && EqualsIgnoreCase(words[0].text, "$ttl")) {
      auto ttl = ParseTtl(words[1].text);
      if (!ttl) return InvalidArgument("\"", words[1].text, "\" is not a TTL");
      ttl_s_ = *ttl;
      return OkStatus();
    }
    return InvalidArgument(words[0].text, " is not understood here: $ORIGIN NAME or $TTL TIME");
  }

  // A CNAME stands alone (RFC 2181 §10.1); a zone has one SOA.
  Status CheckAliases() const {
    std::map<std::string_view, const StaticRecord*> aliases, starts;
    for (const StaticRecord& record : records_) {
      auto& seen = record.type == kSoa ? starts : aliases;
      if (record.type != kCname && record.type != kSoa) continue;
      if (!seen.emplace(record.owner, &record).second) {
        return InvalidArgument(record.where, ": ", NameToText(record.owner), " has a second ",
                               record.type == kSoa ? "SOA" : "CNAME");
      }
    }
    for (const StaticRecord& record : records_) {
      auto alias = aliases.find(record.owner);
      if (alias == aliases.end() || record.type == kCname) continue;
      return InvalidArgument(record.where, ": ", NameToText(record.owner), " is an alias already (CNAME at ",
                             alias->second->where, ") and can have no other records");
    }
    return OkStatus();
  }

  std::string_view file_name_;
  std::string origin_;
  uint32_t ttl_s_;
  std::string owner_;
  std::vector<StaticRecord> records_;
};

}  // namespace

StatusOr<std::vector<StaticRecord>> ParseMasterFile(std::string_view text, std::string_view file_name,
                                                    const MasterFileDefaults& defaults) {
  Loader loader(file_name, defaults);
  RETURN_IF_ERROR(loader.Load(text));
  return loader.Take();
}

}  // namespace fairlead::dns
