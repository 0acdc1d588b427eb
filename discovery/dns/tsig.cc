#include "discovery/dns/tsig.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "discovery/dns/rr_set.h"

namespace fairlead::dns {

namespace {

constexpr uint16_t kClassAny = 255;
constexpr size_t kTimeBytes = 6;
constexpr size_t kFixedBytes = kTimeBytes + 2 + 2 + 2 + 2 + 2;  // time, fudge, MAC size, original id, error, other size
constexpr size_t kBadTimeOther = kTimeBytes;                    // our time, so that the other side sees what is wrong
constexpr size_t kMinMacBytes = 16;                             // shorter ones are too easy to guess (RFC 8945 §5.2.2.1)

struct Algorithm {
  std::string_view name;
  const EVP_MD* (*digest)();
  size_t mac_bytes;
};
constexpr Algorithm kAlgorithms[] = {
    {"hmac-sha1", EVP_sha1, 20},     {"hmac-sha224", EVP_sha224, 28}, {"hmac-sha256", EVP_sha256, 32},
    {"hmac-sha384", EVP_sha384, 48}, {"hmac-sha512", EVP_sha512, 64},
};

const Algorithm* FindAlgorithm(std::string_view wire) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (wire.size() == algorithm.name.size() + 2 && wire.substr(1, algorithm.name.size()) == algorithm.name) return &algorithm;
  }
  return nullptr;
}

std::string Mac(const TsigKey& key, std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  unsigned bytes = 0;
  CHECK(HMAC(FindAlgorithm(key.algorithm)->digest(), key.secret.data(), static_cast<int>(key.secret.size()),
             reinterpret_cast<const unsigned char*>(data.data()), data.size(), mac.data(), &bytes) != nullptr);
  return {reinterpret_cast<const char*>(mac.data()), bytes};
}

void AppendTime(std::string& out, uint64_t time_s) {
  Append16(out, static_cast<uint16_t>(time_s >> 32));
  Append32(out, static_cast<uint32_t>(time_s));
}

std::string FoldedName(std::span<const uint8_t> message, size_t* at) {
  std::array<uint8_t, kMaxNameBytes> name;
  size_t bytes = ReadName(message, at, name);
  Fold(name.data(), name.data(), bytes);
  return {reinterpret_cast<const char*>(name.data()), bytes};
}

std::string_view Text(std::span<const uint8_t> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// What is signed behind the message: all of the record but the MAC, or its times alone.
std::string Variables(const TsigRecord& record, bool timers_only) {
  std::string text;
  if (!timers_only) {
    text += record.key_name;
    Append16(text, kClassAny);
    Append32(text, 0);
    text += record.algorithm;
  }
  AppendTime(text, record.time_s);
  Append16(text, record.fudge_s);
  if (timers_only) return text;
  Append16(text, record.error);
  Append16(text, static_cast<uint16_t>(record.other.size()));
  text += record.other;
  return text;
}

std::string Prefixed(std::string_view mac) {
  std::string text;
  Append16(text, static_cast<uint16_t>(mac.size()));
  text += mac;
  return text;
}

// --- keys

// Words, and each of { } ; : by itself; quotes and comments (#, //) are understood.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}
  std::string_view Next() {
    Skip();
    line_ = next_line_;
    if (at_ >= text_.size()) return "";
    if (IsMark(text_[at_])) return text_.substr(at_++, 1);
    if (text_[at_] == '"') {
      size_t begin = ++at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') at_++;
      std::string_view word = text_.substr(begin, at_ - begin);
      at_ += at_ < text_.size() && text_[at_] == '"';
      return word;
    }
    size_t begin = at_;
    while (at_ < text_.size() && !IsMark(text_[at_]) && !IsBlank(text_[at_]) && text_[at_] != '"') at_++;
    return text_.substr(begin, at_ - begin);
  }
  size_t line() const { return line_; }

 private:
  static bool IsMark(char c) { return c == '{' || c == '}' || c == ';' || c == ':'; }
  static bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
  void Skip() {
    for (; at_ < text_.size(); at_++) {
      // A secret may begin with two slashes.
      bool comment = text_[at_] == '#' || (text_.substr(at_, 2) == "//" && (at_ == 0 || text_[at_ - 1] != ':'));
      if (comment) at_ = std::min(text_.find('\n', at_), text_.size());
      if (at_ >= text_.size() || !IsBlank(text_[at_])) return;
      next_line_ += text_[at_] == '\n';
    }
  }

  std::string_view text_;
  size_t at_ = 0, line_ = 1, next_line_ = 1;
};

StatusOr<TsigKey> MakeKey(std::string_view name, std::string_view algorithm, std::string_view secret) {
  TsigKey key;
  ASSIGN_OR_RETURN(key.name, ParseName(Cat(name, name.ends_with('.') ? "" : ".")));
  ASSIGN_OR_RETURN(key.algorithm, ParseName(Cat(algorithm, algorithm.ends_with('.') ? "" : ".")));
  if (FindAlgorithm(key.algorithm) == nullptr) {
    return InvalidArgument("algorithm ", algorithm, " of key ", name, " is not known; hmac-sha256 is what servers agree on");
  }
  std::string bytes(secret.size() / 4 * 3 + 3, '\0');
  int decoded = secret.empty() || secret.size() % 4 != 0 ? -1
      : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), reinterpret_cast<const unsigned char*>(secret.data()),
                        static_cast<int>(secret.size()));
  if (decoded < 0) return InvalidArgument("the secret of key ", name, " is no base64");
  bytes.resize(static_cast<size_t>(decoded) - (secret.ends_with("==") ? 2 : secret.ends_with('=') ? 1 : 0));
  key.secret = std::move(bytes);
  return key;
}

// `key NAME { algorithm A; secret S; };`, from behind the word `key`.
StatusOr<TsigKey> ReadBlock(Words& words) {
  std::string_view name = words.Next(), algorithm, secret;
  if (name.empty() || words.Next() != "{") return InvalidArgument("expected key \"NAME\" { … };");
  for (;;) {
    std::string_view word = words.Next();
    if (word == "}") break;
    std::string_view value = words.Next();
    if (word == "algorithm") {
      algorithm = value;
    } else if (word == "secret") {
      secret = value;
    } else {
      return InvalidArgument("expected algorithm or secret in key ", name);
    }
    if (words.Next() != ";") return InvalidArgument("expected a semicolon behind the ", word, " of key ", name);
  }
  if (words.Next() != ";") return InvalidArgument("expected a semicolon behind key ", name);
  if (algorithm.empty() || secret.empty()) return InvalidArgument("key ", name, " wants an algorithm and a secret");
  return MakeKey(name, algorithm, secret);
}

// `ALGORITHM:NAME:SECRET`, from behind its first word.
StatusOr<TsigKey> ReadLine(Words& words, std::string_view algorithm) {
  if (words.Next() != ":") return InvalidArgument("expected key \"NAME\" { … }; or ALGORITHM:NAME:SECRET");
  std::string_view name = words.Next();
  if (words.Next() != ":") return InvalidArgument("expected ALGORITHM:NAME:SECRET");
  return MakeKey(name, algorithm, words.Next());
}

}  // namespace

StatusOr<TsigKeys> TsigKeys::Parse(std::string_view text, std::string_view file) {
  TsigKeys keys;
  Words words(text);
  for (std::string_view word = words.Next(); !word.empty(); word = words.Next()) {
    auto key = word == "key" ? ReadBlock(words) : ReadLine(words, word);
    if (!key.ok()) return InvalidArgument(file, ":", words.line(), ": ", Message(key.status()));
    if (keys.Find(key->name) != nullptr) return InvalidArgument(file, ":", words.line(), ": key ", NameToText(key->name), " is there twice");
    keys.keys_.push_back(*std::move(key));
  }
  if (keys.empty()) return InvalidArgument(file, ": no key in it; tsig-keygen writes one");
  return keys;
}

const TsigKey* TsigKeys::Find(std::string_view name) const {
  auto it = std::find_if(keys_.begin(), keys_.end(), [&](const TsigKey& key) { return key.name == name; });
  return it == keys_.end() ? nullptr : &*it;
}

bool Tsig::Read(std::span<const uint8_t> message, size_t at) {
  record_ = {};
  record_.key_name = FoldedName(message, &at);
  at += 8;  // type, class, TTL: ReadQuery saw them
  size_t length = Load16(&message[at]);
  at += 2;
  message = message.first(at + length);
  record_.algorithm = FoldedName(message, &at);
  if (record_.algorithm.empty() || message.size() - at < kFixedBytes) return false;
  record_.time_s = uint64_t{Load16(&message[at])} << 32 | Load32(&message[at + 2]);
  record_.fudge_s = Load16(&message[at + 6]);
  size_t mac_bytes = Load16(&message[at + 8]);
  at += 10;
  if (message.size() - at < mac_bytes + 6) return false;
  record_.mac = Text(message.subspan(at, mac_bytes));
  at += mac_bytes;
  record_.original_id = Load16(&message[at]);
  record_.error = Load16(&message[at + 2]);
  size_t other_bytes = Load16(&message[at + 4]);
  at += 6;
  if (message.size() - at != other_bytes) return false;
  record_.other = Text(message.subspan(at));
  return true;
}

// The message as it was before it was signed: without the record, with its first id (RFC 8945 §4.3.2).
TsigError Tsig::Check(std::span<const uint8_t> message, size_t at, std::string_view prior, uint64_t now_s) {
  if (key_ == nullptr || record_.algorithm != key_->algorithm) {
    key_ = nullptr;
    return error_ = TsigError::kBadKey;
  }
  std::string signed_text = prior.empty() ? "" : Prefixed(prior);
  size_t begin = signed_text.size();
  signed_text += Text(message.first(at));
  auto* head = reinterpret_cast<uint8_t*>(signed_text.data()) + begin;
  Store16(head, record_.original_id);
  Store16(head + 10, static_cast<uint16_t>(Load16(head + 10) - 1));
  std::string mac = Mac(*key_, signed_text + Variables(record_, false));
  size_t least = std::max(kMinMacBytes, mac.size() / 2);
  bool good = record_.mac.size() >= least && record_.mac.size() <= mac.size() &&
              CRYPTO_memcmp(mac.data(), record_.mac.data(), record_.mac.size()) == 0;
  if (!good) return error_ = TsigError::kBadSig;
  prior_ = record_.mac;
  uint64_t apart = now_s > record_.time_s ? now_s - record_.time_s : record_.time_s - now_s;
  return error_ = apart > record_.fudge_s ? TsigError::kBadTime : TsigError::kNone;
}

TsigError Tsig::CheckQuestion(std::span<const uint8_t> message, size_t at, const TsigKeys& keys, uint64_t now_s) {
  key_ = keys.Find(record_.key_name);
  return Check(message, at, {}, now_s);
}

TsigError Tsig::CheckAnswer(std::span<const uint8_t> message, size_t at, uint64_t now_s) {
  if (key_ != nullptr && record_.key_name != key_->name) key_ = nullptr;
  std::string prior = prior_;
  return Check(message, at, prior, now_s);
}

size_t Tsig::bytes() const {
  const Algorithm* algorithm = FindAlgorithm(record_.algorithm);
  return record_.key_name.size() + kRecordHeadBytes + record_.algorithm.size() + kFixedBytes +
         (algorithm != nullptr ? algorithm->mac_bytes : 0) + kBadTimeOther;
}

size_t Tsig::SignQuestion(std::span<uint8_t> out, size_t size, const TsigKey& key, uint64_t now_s) {
  key_ = &key;
  record_ = {};
  record_.key_name = key.name;
  record_.algorithm = key.algorithm;
  record_.original_id = Load16(out.data());
  return Append(out, size, {}, false, now_s);
}

size_t Tsig::SignAnswer(std::span<uint8_t> out, size_t size, uint64_t now_s) {
  bool continues = std::exchange(continues_, true);
  std::string prior = std::exchange(prior_, {});
  record_.original_id = Load16(out.data());
  return Append(out, size, prior, continues, now_s);
}

size_t Tsig::Append(std::span<uint8_t> out, size_t size, std::string_view prior, bool timers_only, uint64_t now_s) {
  // With a key that is not ours, or a signature that is not right, an answer cannot be signed (RFC 8945 §5.3.2).
  bool unsigned_error = error_ == TsigError::kBadKey || error_ == TsigError::kBadSig;
  std::string other;
  if (error_ == TsigError::kBadTime) {
    AppendTime(other, now_s);
  } else if (!unsigned_error) {
    record_.time_s = now_s;
  }
  record_.fudge_s = kFudge;
  record_.error = static_cast<uint16_t>(error_);
  record_.other = other;
  std::string mac;
  if (!unsigned_error) {
    std::string signed_text = prior.empty() ? "" : Prefixed(prior);
    signed_text += Text(out.first(size));
    mac = Mac(*key_, signed_text + Variables(record_, timers_only));
  }
  std::string data = record_.algorithm;
  AppendTime(data, record_.time_s);
  Append16(data, record_.fudge_s);
  data += Prefixed(mac);
  Append16(data, record_.original_id);
  Append16(data, record_.error);
  data += Prefixed(other);
  std::string text = record_.key_name;
  Append16(text, kTsig);
  Append16(text, kClassAny);
  Append32(text, 0);
  text += Prefixed(data);
  CHECK(out.size() - size >= text.size());
  std::memcpy(out.data() + size, text.data(), text.size());
  Store16(out.data() + 10, static_cast<uint16_t>(Load16(out.data() + 10) + 1));
  record_.other = {};
  prior_ = std::move(mac);
  return size + text.size();
}

}  // namespace fairlead::dns
