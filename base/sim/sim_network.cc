#include "base/sim/sim_network.h"

#include <algorithm>
#include <cerrno>

namespace fairlead::sim {
namespace {

constexpr uint16_t kFirstFreePort = 32768, kLastFreePort = 60999;
constexpr Link kLoopback{.latency = 10 * kMicrosecond, .jitter = 10 * kMicrosecond, .loss = 0};

bool Overlap(const IpAddress& a, const IpAddress& b) {
  return a.is_v4() == b.is_v4() && (a == b || a.is_unspecified() || b.is_unspecified());
}

}  // namespace

bool SimHost::Owns(const IpAddress& ip) const {
  return ip.is_unspecified() || ip.is_loopback() || std::ranges::count(addresses, ip) > 0;
}

IpAddress SimHost::AddressFor(const IpAddress& peer) const {
  if (Owns(peer) && !peer.is_unspecified()) return peer;
  for (const IpAddress& address : addresses)
    if (address.is_v4() == peer.is_v4()) return address;
  return {};
}

int SimHost::Bind(Transport transport, SocketAddress* address, bool reuse_port, bool free_bind, Descriptor& descriptor) {
  if (!free_bind && !Owns(address->ip())) return EADDRNOTAVAIL;
  if (address->port() == 0) *address = SocketAddress(address->ip(), FreePort(transport));
  auto [first, last] = ports(transport).equal_range(address->port());
  for (; first != last; ++first) {
    const Bound& other = first->second;
    if (Overlap(other.address.ip(), address->ip()) && !(reuse_port && other.reuse_port)) return EADDRINUSE;
  }
  ports(transport).emplace(address->port(), Bound{*address, reuse_port, &descriptor});
  return 0;
}

int SimHost::BindPath(const std::string& path, bool replace_stale, Descriptor& descriptor) {
  auto [at, fresh] = paths_.try_emplace(path, &descriptor);
  if (fresh) return 0;
  if (at->second != nullptr || !replace_stale) return EADDRINUSE;
  at->second = &descriptor;
  return 0;
}

void SimHost::Unbind(const Descriptor& descriptor) {
  for (Ports& bound : ports_) std::erase_if(bound, [&](const auto& b) { return b.second.descriptor == &descriptor; });
  for (auto& [path, listener] : paths_)
    if (listener == &descriptor) listener = nullptr;
}

Descriptor* SimHost::Find(Transport transport, const SocketAddress& to) {
  Descriptor* found = nullptr;
  uint64_t candidates = 0;
  auto [first, last] = ports(transport).equal_range(to.port());
  for (; first != last; ++first)
    if (Overlap(first->second.address.ip(), to.ip()) && world_.random().OneIn(++candidates))
      found = first->second.descriptor;
  return found;
}

Descriptor* SimHost::FindPath(const std::string& path, bool* exists) {
  auto found = paths_.find(path);
  *exists = found != paths_.end();
  return *exists ? found->second : nullptr;
}

uint16_t SimHost::FreePort(Transport transport) {
  constexpr uint64_t kPorts = kLastFreePort - kFirstFreePort + 1;
  CHECK(ports(transport).size() < kPorts / 2);
  for (;;) {
    auto port = static_cast<uint16_t>(kFirstFreePort + world_.random().Below(kPorts));
    if (!ports(transport).contains(port)) return port;
  }
}

SimHost& SimNetwork::Host(const IpAddress& address) {
  SimHost*& host = by_address_[address];
  if (host == nullptr) {
    hosts_.push_back(std::make_unique<SimHost>(world_, hosts_.size(), address));
    host = hosts_.back().get();
  }
  return *host;
}

SimHost* SimNetwork::Find(const IpAddress& address) {
  auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : found->second;
}

void SimNetwork::AddAddress(const IpAddress& host, const IpAddress& also) {
  SimHost& owner = Host(host);
  CHECK(by_address_.try_emplace(also, &owner).second);
  owner.addresses.push_back(also);
}

void SimNetwork::SetLink(const IpAddress& a, const IpAddress& b, const Link& link) {
  links_[PairOf(Host(a), Host(b))] = link;
}
void SimNetwork::Partition(const IpAddress& a, const IpAddress& b) { partitions_.insert(PairOf(Host(a), Host(b))); }
void SimNetwork::Heal(const IpAddress& a, const IpAddress& b) { partitions_.erase(PairOf(Host(a), Host(b))); }

bool SimNetwork::Reaches(const SimHost& a, const SimHost& b) const {
  return !a.down && !b.down && !partitions_.contains(PairOf(a, b));
}

const Link& SimNetwork::LinkOf(const SimHost& a, const SimHost& b) const {
  if (&a == &b) return kLoopback;
  auto found = links_.find(PairOf(a, b));
  return found == links_.end() ? default_link_ : found->second;
}

Nanos SimNetwork::Delay(const SimHost& a, const SimHost& b) {
  const Link& link = LinkOf(a, b);
  return link.latency + world_.UpTo(link.jitter);
}

bool SimNetwork::Loses(const SimHost& a, const SimHost& b) {
  if (!Reaches(a, b)) {
    ++world_.counts.segments_lost;
    return true;
  }
  return world_.Occurs(LinkOf(a, b).loss, world_.counts.segments_lost);
}

}  // namespace fairlead::sim
