// What a TLS client asks for before anything is encrypted: the host name (SNI, RFC 6066 §3) and the protocols (ALPN,
// RFC 7301 §3.1) of its ClientHello (RFC 8446 §4.1.2), read without terminating TLS. Every length must add up: what two
// readers could read differently is bad.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fairlead::lb {

inline constexpr size_t kMaxClientHelloBytes = 16 << 10;  // with the headers of its records

struct ClientHello {
  ClientHello() = default;
  ClientHello(const ClientHello&) = delete;
  ClientHello& operator=(const ClientHello&) = delete;

  std::string_view server_name;   // as sent: letters of either case; "": none
  std::string_view alpn;          // names, each behind its length byte; "": none
  std::string joined;             // the message, where it came in several records: the views may point here

  bool Offers(std::string_view protocol) const;
};

enum class ClientHelloParse : uint8_t { kNeedMore, kOk, kBad };

// `bytes` are all that came so far; more than the limit without an end is bad. The views point into `bytes` or `joined`.
ClientHelloParse ParseClientHello(std::string_view bytes, ClientHello& hello);

}  // namespace fairlead::lb
