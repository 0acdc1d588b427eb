// DNS messages on the wire (RFC 1035 §4, EDNS: RFC 6891). Reading is strict and allocates nothing: every count, length
// and pointer is checked against the message, and whatever does not add up is a format error.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "discovery/dns/name.h"

namespace fairlead::dns {

inline constexpr size_t kHeaderBytes = 12;
inline constexpr size_t kOptBytes = 11;
inline constexpr size_t kMaxMessageBytes = 65535;
inline constexpr size_t kMaxUdpBytes = 1232;     // what passes everywhere unfragmented (RFC 9715)
inline constexpr size_t kMinUdpBytes = 512;      // without EDNS
inline constexpr uint16_t kQuestionPointer = 0xc000 | kHeaderBytes;

enum Type : uint16_t {
  kA = 1, kNs = 2, kCname = 5, kSoa = 6, kPtr = 12, kHinfo = 13, kMx = 15, kTxt = 16, kAaaa = 28, kSrv = 33, kOpt = 41,
  kTsig = 250, kIxfr = 251, kAxfr = 252, kAny = 255,
};
inline constexpr uint16_t kFirstMetaType = 128;  // 128…255 ask for something else than records (RFC 6895 §3.1)
inline constexpr uint16_t kClassIn = 1;
inline constexpr uint16_t kCookieOption = 10, kExtendedErrorOption = 15;  // of EDNS: RFC 7873, RFC 8914

enum class Rcode : uint16_t {
  kNoError = 0, kFormErr = 1, kServFail = 2, kNxDomain = 3, kNotImp = 4, kRefused = 5, kNotAuth = 9, kBadVers = 16,
};
std::string_view RcodeName(Rcode rcode);         // "NOERROR": a label of metrics

namespace flag {
inline constexpr uint16_t kResponse = 0x8000, kOpcode = 0x7800, kAuthoritative = 0x0400, kTruncated = 0x0200,
                          kRecursionDesired = 0x0100, kRecursionAvailable = 0x0080, kCheckingDisabled = 0x0010;
}

inline uint16_t Load16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }
inline uint32_t Load32(const uint8_t* p) { return static_cast<uint32_t>(Load16(p)) << 16 | Load16(p + 2); }
inline void Store16(uint8_t* p, uint16_t v) {
  p[0] = static_cast<uint8_t>(v >> 8);
  p[1] = static_cast<uint8_t>(v);
}
inline void Store32(uint8_t* p, uint32_t v) {
  Store16(p, static_cast<uint16_t>(v >> 16));
  Store16(p + 2, static_cast<uint16_t>(v));
}
inline void Append16(std::string& out, uint16_t v) {
  out.push_back(static_cast<char>(v >> 8));
  out.push_back(static_cast<char>(v));
}
inline void Append32(std::string& out, uint32_t v) {
  Append16(out, static_cast<uint16_t>(v >> 16));
  Append16(out, static_cast<uint16_t>(v));
}

// Reads the name at `*offset` and moves `*offset` behind it. Pointers go backward only, to behind the header, and at
// most 32 deep: loops end, and a message of pointers costs no more than its size. Gives its length in `out`, which is
// not folded; 0 when the name is broken.
size_t ReadName(std::span<const uint8_t> message, size_t* offset, std::array<uint8_t, kMaxNameBytes>& out);

struct Query {
  uint16_t id = 0;
  uint16_t flags = 0;
  bool has_question = false;             // read as far as the question: it is echoed
  std::span<const uint8_t> question;     // name, type, class as received
  uint16_t type = 0;
  uint16_t klass = 0;
  bool has_edns = false;
  uint8_t edns_version = 0;
  bool dnssec_ok = false;
  uint16_t udp_bytes = kMinUdpBytes;     // that the asker takes; at least 512
  std::span<const uint8_t> cookie;       // RFC 7873: 8, or 16 to 40 bytes; empty: none was sent
  size_t tsig_at = 0;                    // where the TSIG record begins; 0: none
  size_t name_bytes = 0;
  std::array<uint8_t, kMaxNameBytes + 9> folded;  // the name in lower case; room for whole words behind it

  std::string_view name() const { return {reinterpret_cast<const char*>(folded.data()), name_bytes}; }
  // For zone contents: answered by many messages, over TCP.
  bool is_transfer() const { return type == kAxfr || type == kIxfr; }
};

enum class ReadResult { kQuery, kFormErr, kNotImp, kDrop };
// kDrop: nothing may be answered (too short for a header, or itself a response).
ReadResult ReadQuery(std::span<const uint8_t> message, Query* query);

}  // namespace fairlead::dns
