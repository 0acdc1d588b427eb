#include "lb/dynamic_ports.h"

#include "base/strings.h"
#include "lb/branches.h"

namespace fairlead::lb {
namespace {

// Its listener is open as soon as there is somebody to talk to, and through a drain or a failing check: who connects then
// is told by a reset, as at any other listener.
bool Asks(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry) {
  using discovery::RunState;
  const bool there = row.state != RunState::kCreated && row.state != RunState::kExited;
  return entry.listen != 0 && entry.published() && entry.protocol == "tcp" && there;
}

bool Meet(const IpAddress& a, const IpAddress& b) { return a == b || a.is_unspecified() || b.is_unspecified(); }

}  // namespace

void DynamicPorts::SetFile(const Config& config) {
  range_ = config.dynamic_ports;
  listeners_.clear();
  for (const ListenerSpec& listener : config.listeners)
    if (!listener.bind.is_unix() && Meet(listener.bind.ip(), range_.ip)) listeners_.emplace(listener.bind.port(), listener.name);
  for (const auto& [port, claims] : claims_) changed_.insert(port);
}

void DynamicPorts::SetRow(const std::string& key, const discovery::EndpointRow* row) {
  auto known = rows_.find(key);
  if (known == rows_.end() && row == nullptr) return;
  std::vector<std::pair<uint16_t, Age>> before;
  if (known != rows_.end()) before = std::move(known->second);
  for (const auto& [port, age] : before) {
    auto at = claims_.find(port);
    at->second.erase(age);
    if (at->second.empty()) claims_.erase(at);
    changed_.insert(port);
  }
  std::vector<std::pair<uint16_t, Age>> now;
  size_t index = 0;
  if (row != nullptr)
    for (const discovery::ServiceEntry& entry : row->services) {
      const size_t place = index++;
      if (!Asks(*row, entry)) continue;
      Age age(row->created_wall != 0 ? row->created_wall : kNever, Cat(key, "/", place));
      claims_[entry.listen].emplace(age, Claim{ServiceNameOf(*row, entry), row->name});
      changed_.insert(entry.listen);
      now.emplace_back(entry.listen, std::move(age));
    }
  if (now.empty()) {
    if (known != rows_.end()) rows_.erase(known);
  } else {
    rows_[key] = std::move(now);
  }
}

void DynamicPorts::SetTaken(uint16_t port, std::string why) {
  if (why.empty()) {
    taken_.erase(port);
  } else {
    taken_[port] = std::move(why);
  }
}

std::string DynamicPorts::FaultOfPort(uint16_t port) const {
  if (range_.low == 0) return "lb.dynamic_ports is empty, so labels open no port here";
  if (port < range_.low || port > range_.high) return Cat("outside of lb.dynamic_ports ", range_.low, "-", range_.high);
  if (auto listener = listeners_.find(port); listener != listeners_.end()) return Cat("listener ", listener->second, " of the file has it");
  return {};
}

std::pair<SocketAddress, std::string> DynamicPorts::Wanted(uint16_t port) const {
  auto claims = claims_.find(port);
  if (claims == claims_.end() || !FaultOfPort(port).empty()) return {};
  return {SocketAddress(range_.ip, port), claims->second.begin()->second.service};
}

std::string DynamicPorts::FaultOf(uint16_t port, const std::string& service) const {
  auto rejected = [port](std::string_view why) { return Cat("label fairlead.listen: port ", port, " is not opened: ", why); };
  if (std::string why = FaultOfPort(port); !why.empty()) return rejected(why);
  auto claims = claims_.find(port);
  if (claims == claims_.end()) return {};
  const Claim& holder = claims->second.begin()->second;
  if (holder.service != service) return rejected(Cat("service ", holder.service, " has it, by the older container ", holder.container));
  auto taken = taken_.find(port);
  return taken == taken_.end() ? std::string() : rejected(taken->second);
}

}  // namespace fairlead::lb
