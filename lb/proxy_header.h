// The PROXY protocol, versions 1 and 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt): what a proxy in front of us
// says about its client before the client's first byte, and what we say to an endpoint that asks for it. Bytes in, bytes
// out, no allocation.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/net/ip_address.h"

namespace fairlead::lb {

inline constexpr size_t kMaxProxyV1Bytes = 107;   // §2.1, with CRLF
inline constexpr size_t kMaxProxyV2Bytes = 4096;  // our limit: 16 + addresses + TLVs; the format would allow 65,551

struct ProxyAddresses {
  IpAddress source, destination;  // of one family; both unset: not known
  uint16_t source_port = 0, destination_port = 0;
  friend bool operator==(const ProxyAddresses&, const ProxyAddresses&) = default;
};

struct ReceivedProxyHeader {
  // Unset where the header speaks of no TCP connection over IP: UNKNOWN, LOCAL (a health check of the proxy), UNSPEC,
  // unix sockets, datagrams. Then the addresses of the connection itself count (§2.2).
  ProxyAddresses addresses;
  size_t bytes = 0;               // of the header; the client's follow
};

enum class ProxyParse : uint8_t { kNeedMore, kOk, kBad };

// `bytes` are all that came so far. Bad as soon as no header can begin like this. TLVs must add up and are skipped.
ProxyParse ParseProxyHeader(std::string_view bytes, ReceivedProxyHeader& header);

// The header for these addresses; `out` has room for kMaxWrittenProxyBytes. Mixed families are written as IPv6, unknown
// addresses as UNKNOWN or UNSPEC. Gives its size.
inline constexpr size_t kMaxWrittenProxyBytes = kMaxProxyV1Bytes;
size_t WriteProxyV1(const ProxyAddresses& addresses, char* out);
size_t WriteProxyV2(const ProxyAddresses& addresses, char* out);

}  // namespace fairlead::lb
