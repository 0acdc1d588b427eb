// DynamicPorts: the TCP ports that labels open (`fairlead.listen`), within `lb.dynamic_ports`. A port belongs to the
// service of the oldest container that asks for it, as long as that one runs; whoever else asks is told why not, and takes
// over when the first one goes. Knows no sockets: Balancer opens and closes what this says.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/net/socket_address.h"
#include "discovery/row.h"
#include "lb/config.h"

namespace fairlead::lb {

class DynamicPorts {
 public:
  // The file: its range, and the ports that its own listeners have.
  void SetFile(const Config& config);
  void SetRow(const std::string& key, const discovery::EndpointRow* row);  // null: removed
  // Somebody outside has it, as its opening showed; "": nobody any more.
  void SetTaken(uint16_t port, std::string why);

  void AskAgain() {
    for (const auto& [port, why] : taken_) changed_.insert(port);
  }

  // Ports of which something is said anew since the last time.
  std::set<uint16_t> TakeChanged() { return std::exchange(changed_, {}); }
  // Where to listen and for which service; "": nobody may have it. A port that was found taken is asked for all the same.
  std::pair<SocketAddress, std::string> Wanted(uint16_t port) const;
  // Why `service` does not have the port that it asks for; "": it has.
  std::string FaultOf(uint16_t port, const std::string& service) const;

 private:
  // Since when the container is, by wall time, and the row's key: the same order at every balancer.
  using Age = std::pair<Nanos, std::string>;
  struct Claim {
    std::string service, container;
  };
  std::string FaultOfPort(uint16_t port) const;

  DynamicPortRange range_;
  std::map<uint16_t, std::string> listeners_;  // of the file, where they leave us no room: port → name
  std::map<uint16_t, std::map<Age, Claim>> claims_;
  std::map<std::string, std::vector<std::pair<uint16_t, Age>>> rows_;
  std::map<uint16_t, std::string> taken_;
  std::set<uint16_t> changed_;
};

}  // namespace fairlead::lb
