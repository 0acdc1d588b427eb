// HostPort: where to connect, as people write it: "10.0.0.5:8080", "[fd00::5]:8080", "unix:/run/x.sock", or a host name
// and port, "db.example.com:5432". A plain value; who resolves the name is elsewhere (base/dns).
#pragma once

#include <string>
#include <string_view>

#include "base/net/socket_address.h"
#include "base/status.h"

namespace fairlead {

struct HostPort {
  SocketAddress address;           // unset where a name says it
  std::string host;                // lower case, without a dot at its end; "" where an address says it
  uint16_t port = 0;               // of host

  static StatusOr<HostPort> Parse(std::string_view text);
  bool is_name() const { return !host.empty(); }
  std::string ToString() const;    // what Parse takes
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// Could it be asked of a name server? Labels of letters, digits, - and _, as RFC 1123 §2.1 and practice have them; one
// whose last label is a number is a mistyped address.
bool IsHostName(std::string_view name);

}  // namespace fairlead
