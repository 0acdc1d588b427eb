#include "discovery/dns/foreign_message.h"

#include <algorithm>

#include "base/check.h"
#include "discovery/dns/message.h"

namespace fairlead::dns {

namespace {

constexpr uint16_t kAuthenticData = 0x0020;

using Bytes = std::span<const uint8_t>;

struct Record {
  uint16_t type = 0;
  uint32_t ttl_s = 0;
  size_t ttl_at = 0, data_at = 0, end = 0;
};

// Moves *at behind the name there. False when it is broken, or made of bytes of a TTL: that counts down, and the name with it.
bool SkipName(Bytes message, size_t* at, std::span<const uint16_t> ttl_at) {
  std::array<uint8_t, kMaxNameBytes> name;
  size_t run = *at, left = ReadName(message, at, name);
  if (left == 0) return false;
  while (left > 0) {
    size_t begin = run;
    while (left > 0 && message[run] < 0xc0) {
      left -= 1u + message[run];
      run += 1u + message[run];
    }
    bool pointer = left > 0;
    size_t end = run + (pointer ? 2 : 0);
    auto ttl = std::upper_bound(ttl_at.begin(), ttl_at.end(), begin, [](size_t byte, size_t at) { return byte < at + 4; });
    if (ttl != ttl_at.end() && *ttl < end) return false;
    if (pointer) run = Load16(&message[run]) & 0x3fff;
  }
  return true;
}

// Data of the types that may hold compressed names (RFC 3597 §4), and of addresses, are what their type says.
bool DataIsWhole(Bytes message, const Record& record, std::span<const uint16_t> ttl_at) {
  size_t bytes = record.end - record.data_at, before = 0, names = 1, behind = 0;
  switch (record.type) {
    case kA: return bytes == 4;
    case kAaaa: return bytes == 16;
    case kNs: case kCname: case kPtr: break;
    case kMx: before = 2; break;
    case kSrv: before = 6; break;
    case kSoa:
      names = 2;
      behind = kSoaTimersBytes;
      break;
    default: return true;
  }
  if (bytes <= before + behind) return false;
  size_t at = record.data_at + before;
  for (; names > 0; names--) {
    if (at >= record.end || !SkipName(message, &at, ttl_at)) return false;
  }
  return at + behind == record.end;
}

// `ttl_at`: of the records before it.
std::optional<Record> ReadRecordAt(Bytes message, size_t at, std::span<const uint16_t> ttl_at) {
  Record record;
  if (!SkipName(message, &at, ttl_at) || message.size() - at < 10) return std::nullopt;
  record.type = Load16(&message[at]);
  record.ttl_at = at + 4;
  record.ttl_s = Load32(&message[at + 4]);
  record.data_at = at + 10;
  record.end = record.data_at + Load16(&message[at + 8]);
  if (record.end > message.size() || !DataIsWhole(message, record, ttl_at)) return std::nullopt;
  if (record.ttl_s > 0x7fffffff) record.ttl_s = 0;  // RFC 2181 §8
  return record;
}

// The time that a "no" may be kept; 0 when its SOA is broken.
uint32_t NegativeTtl(Bytes message, const Record& soa) {
  if (soa.end - soa.data_at < 22) return 0;
  return std::min({soa.ttl_s, Load32(&message[soa.end - 4]), kMaxNegativeTtl});
}

// What is read of all records.
struct Sections {
  uint32_t least_ttl = kMaxForeignTtl;
  std::optional<uint32_t> negative_ttl;
  uint16_t kept[3] = {};
  size_t end = 0;                     // behind the last record that is kept
};

bool ReadSections(Bytes message, size_t at, Sections* sections, std::vector<uint16_t>* ttl_at) {
  bool opt_seen = false;
  sections->end = at;
  for (int section = 0; section < 3; section++) {
    for (int i = Load16(&message[6 + 2 * section]); i > 0; i--) {
      auto record = ReadRecordAt(message, at, *ttl_at);
      if (!record) return false;
      at = record->end;
      // What stands behind the OPT might point into what is cut off; it is additional and may be left out.
      opt_seen = opt_seen || record->type == kOpt;
      if (opt_seen) continue;
      ++sections->kept[section];
      sections->end = at;
      ttl_at->push_back(static_cast<uint16_t>(record->ttl_at));
      if (section == 1 && record->type == kSoa) sections->negative_ttl = NegativeTtl(message, *record);
      if (section == 0) sections->least_ttl = std::min(sections->least_ttl, record->ttl_s);
    }
  }
  return at == message.size();
}

// Data with its names spelled out.
std::string SpellOut(Bytes message, const Record& record) {
  size_t before = record.type == kMx ? 2 : record.type == kSrv ? 6 : 0, at = record.data_at + before;
  auto* bytes = reinterpret_cast<const char*>(message.data());
  std::string data(bytes + record.data_at, before);
  bool has_names = record.type == kNs || record.type == kCname || record.type == kPtr || record.type == kMx || record.type == kSrv || record.type == kSoa;
  for (int names = !has_names ? 0 : record.type == kSoa ? 2 : 1; names > 0; names--) {
    std::array<uint8_t, kMaxNameBytes> name;
    data.append(reinterpret_cast<const char*>(name.data()), ReadName(message, &at, name));
  }
  return data.append(bytes + at, record.end - at);
}

// The records of one section of a message that was read before, with all names spelled out: pointers are of that message. False: not all fit.
bool CopyRecords(Bytes from, Section section, Message& to) {
  size_t at = kHeaderBytes;
  std::array<uint8_t, kMaxNameBytes> owner;
  CHECK(ReadName(from, &at, owner) != 0);
  at += 4;
  for (int in = kAnswer; in <= section; in++) {
    for (int i = Load16(&from[4 + 2 * static_cast<size_t>(in)]); i > 0; i--) {
      size_t behind = at, bytes = ReadName(from, &behind, owner);
      auto record = ReadRecordAt(from, at, {});
      CHECK(record && bytes != 0);
      at = record->end;
      std::string_view name(reinterpret_cast<const char*>(owner.data()), bytes);
      if (in == section && !to.Append(section, name, 0, record->type, record->ttl_s, SpellOut(from, *record))) return false;
    }
  }
  return true;
}

void AppendOpt(Message& message, Rcode rcode, const Query& query, uint16_t extended) {
  if (!query.has_edns) return;
  message.AppendOpt(rcode, query.dnssec_ok);
  if (extended == 0) return;
  const uint8_t code[2] = {static_cast<uint8_t>(extended >> 8), static_cast<uint8_t>(extended)};
  message.AppendOption(kExtendedErrorOption, code);
}

// A question for `name` on behalf of whoever asked `query`, of its type, class and wishes.
std::string MakeQueryFor(const Query& query, uint16_t id, std::string_view name) {
  std::string text;
  Append16(text, id);
  Append16(text, static_cast<uint16_t>(flag::kRecursionDesired | (query.flags & (flag::kCheckingDisabled | kAuthenticData))));
  for (uint16_t count : {1, 0, 0, 1}) Append16(text, count);
  text += name;
  Append16(text, query.type);
  Append16(text, query.klass);
  text += '\0';
  Append16(text, kOpt);
  Append16(text, kMaxUdpBytes);
  Append32(text, query.dnssec_ok ? 0x8000 : 0);
  Append16(text, 0);
  return text;
}

}  // namespace

std::string MakeForeignQuery(const Query& query, uint16_t id, std::span<const uint64_t> case_bits) {
  std::string text = MakeQueryFor(query, id, query.name());
  for (size_t i = 0; i < query.name_bytes; i++) {
    char& c = text[kHeaderBytes + i];
    bool upper = !case_bits.empty() && (case_bits[i / 64 % case_bits.size()] >> (i % 64) & 1) != 0;
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 0x20);  // length bytes are below 'a'
  }
  return text;
}

std::string MakeChaseQuery(const Query& query, std::string_view target) { return MakeQueryFor(query, query.id, target); }

size_t WriteChased(const Query& query, Bytes own, Bytes found, size_t limit, std::span<uint8_t> out) {
  auto rcode = static_cast<Rcode>(Load16(&found[2]) & 15);
  Message message(out, std::min(limit, out.size()));
  message.Begin(query);
  if (query.has_edns) message.Reserve(kOptBytes);
  message.Set(flag::kRecursionAvailable | (Load16(&own[2]) & flag::kAuthoritative));
  bool whole = CopyRecords(own, kAnswer, message) && CopyRecords(found, kAnswer, message) && CopyRecords(found, kAuthority, message);
  if (!whole || (Load16(&found[2]) & flag::kTruncated) != 0) message.Set(flag::kTruncated);
  AppendOpt(message, rcode, query, 0);
  return message.Finish(rcode);
}

std::optional<ForeignAnswer> ReadForeignAnswer(std::span<const uint8_t> message, std::string_view question) {
  // Id and question byte for byte: whoever forges an answer has to guess them (RFC 5452).
  size_t question_end = question.size() - kOptBytes;
  if (message.size() < question_end || Load16(&message[4]) != 1) return std::nullopt;
  if (Load16(message.data()) != Load16(reinterpret_cast<const uint8_t*>(question.data()))) return std::nullopt;
  uint16_t flags = Load16(&message[2]);
  if ((flags & flag::kResponse) == 0 || (flags & flag::kOpcode) != 0) return std::nullopt;
  std::string_view text(reinterpret_cast<const char*>(message.data()), message.size());
  if (text.substr(kHeaderBytes, question_end - kHeaderBytes) != question.substr(kHeaderBytes, question_end - kHeaderBytes)) {
    return std::nullopt;
  }
  ForeignAnswer answer;
  answer.rcode = static_cast<Rcode>(flags & 15);
  answer.truncated = (flags & flag::kTruncated) != 0;
  Sections sections;
  if (!ReadSections(message, question_end, &sections, &answer.ttl_at)) return std::nullopt;
  answer.message = text.substr(0, sections.end);
  auto* head = reinterpret_cast<uint8_t*>(answer.message.data());
  for (int i = 0; i < 3; i++) Store16(head + 6 + 2 * i, sections.kept[i]);
  bool negative = answer.rcode == Rcode::kNxDomain || (answer.rcode == Rcode::kNoError && sections.kept[0] == 0);
  if (negative) {
    answer.ttl_s = sections.negative_ttl.value_or(0);
  } else if (answer.rcode == Rcode::kNoError) {
    // With aliases in front of a "no" both say how long.
    answer.ttl_s = std::min(sections.least_ttl, sections.negative_ttl.value_or(kMaxForeignTtl));
  }
  return answer;
}

size_t WriteForeignAnswer(const ForeignAnswer& answer, const Query& query, const ForeignReply& reply, size_t limit,
                          std::span<uint8_t> out) {
  size_t opt_bytes = query.has_edns ? kOptBytes + (reply.extended != 0 ? 6 : 0) : 0;
  Message message(out, out.size());
  message.Begin(query);
  message.Set(flag::kRecursionAvailable);
  auto* kept = reinterpret_cast<const uint8_t*>(answer.message.data());
  bool wants_ad = query.dnssec_ok || (query.flags & kAuthenticData) != 0;
  if (wants_ad) message.Set(Load16(kept + 2) & kAuthenticData);
  if (answer.message.size() + opt_bytes > std::min(limit, out.size())) {
    message.Set(flag::kTruncated);
  } else {
    uint8_t* copy = message.AppendSections(answer.message);
    for (uint16_t at : answer.ttl_at) {
      uint32_t ttl_s = Load32(kept + at);
      Store32(copy + at, reply.stale_ttl_s ? *reply.stale_ttl_s : ttl_s - std::min(ttl_s, reply.age_s));
    }
  }
  AppendOpt(message, answer.rcode, query, reply.extended);
  return message.Finish(answer.rcode);
}

size_t WriteForeignError(Rcode rcode, const Query& query, uint16_t extended, std::span<uint8_t> out) {
  Message message(out, out.size());
  message.Begin(query);
  message.Set(flag::kRecursionAvailable);
  AppendOpt(message, rcode, query, extended);
  return message.Finish(rcode);
}

}  // namespace fairlead::dns
