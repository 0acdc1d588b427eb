// Transaction signatures (RFC 8945): whoever holds a shared key proves that a message is its own and unchanged. HMAC-SHA1 is
// taken too, for old secondaries; HMAC-MD5 is not.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "discovery/dns/wire.h"

namespace fairlead::dns {

struct TsigKey {
  std::string name;       // wire, folded
  std::string algorithm;  // wire, folded: "hmac-sha256."
  std::string secret;
};

class TsigKeys {
 public:
  // A file with keys as tsig-keygen writes them, `key "NAME" { algorithm hmac-sha256; secret "BASE64"; };`, or one a line
  // as dig and kdig take them, `hmac-sha256:NAME:BASE64`. The error names file and line, and shows no secret.
  static StatusOr<TsigKeys> Parse(std::string_view text, std::string_view file);

  bool empty() const { return keys_.empty(); }
  const TsigKey* Find(std::string_view name) const;
  const TsigKey& first() const { return keys_.front(); }  // signs what we begin: NOTIFY

 private:
  std::vector<TsigKey> keys_;
};

enum class TsigError : uint16_t { kNone = 0, kBadSig = 16, kBadKey = 17, kBadTime = 18 };

// The TSIG record of a message.
struct TsigRecord {
  std::string key_name, algorithm;        // wire, folded
  uint64_t time_s = 0;                    // 48 bits
  uint16_t fudge_s = 0;
  std::string_view mac;                   // in the message
  uint16_t original_id = 0;
  uint16_t error = 0;
  std::string_view other;
};

// One exchange with a key: checks the other side's message and signs ours. Of several messages in one direction each signs
// the one before it.
class Tsig {
 public:
  static constexpr uint16_t kFudge = 300;  // seconds that clocks may differ

  // `message` ends with a TSIG record at `at` (Query::tsig_at). False: it is broken, a format error.
  bool Read(std::span<const uint8_t> message, size_t at);
  // Checks what Read() read, as a question; `now_s` is the wall clock. Not kNone: the answer is NOTAUTH.
  TsigError CheckQuestion(std::span<const uint8_t> message, size_t at, const TsigKeys& keys, uint64_t now_s);
  // The same of an answer to what SignQuestion() signed.
  TsigError CheckAnswer(std::span<const uint8_t> message, size_t at, uint64_t now_s);

  // What the record will take at most.
  size_t bytes() const;
  // Appends the record to a finished message of `size` bytes; gives the new size. `out` has room.
  size_t SignQuestion(std::span<uint8_t> out, size_t size, const TsigKey& key, uint64_t now_s);
  size_t SignAnswer(std::span<uint8_t> out, size_t size, uint64_t now_s);
  bool verified() const { return key_ != nullptr && error_ == TsigError::kNone; }
  const TsigKey* key() const { return key_; }

 private:
  TsigError Check(std::span<const uint8_t> message, size_t at, std::string_view prior, uint64_t now_s);
  size_t Append(std::span<uint8_t> out, size_t size, std::string_view prior, bool timers_only, uint64_t now_s);

  const TsigKey* key_ = nullptr;
  TsigError error_ = TsigError::kNone;
  TsigRecord record_;
  std::string prior_;      // MAC that the next one covers
  bool continues_ = false; // an answer of ours went out already
};

}  // namespace fairlead::dns
