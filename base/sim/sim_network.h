// SimNetwork: hosts by their addresses, what is bound on them, and the links between them. Every host has a namespace of
// ports and one of unix paths; a path outlives its listener, as a file does.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/io/proactor.h"
#include "base/sim/sim_world.h"

namespace fairlead::sim {

class Descriptor;

struct Link {
  Nanos latency = 50 * kMicrosecond;   // one way
  Nanos jitter = 20 * kMicrosecond;    // added, up to
  uint32_t loss = 0;                   // thousandths; streams repeat what was lost after 200 ms
};

enum class Transport : uint8_t { kTcp, kUdp };

class SimHost {
 public:
  SimHost(SimWorld& world, size_t number, const IpAddress& address) : world_(world), number_(number) {
    addresses.push_back(address);
  }
  SimHost(const SimHost&) = delete;

  size_t number() const { return number_; }
  bool Owns(const IpAddress& ip) const;
  IpAddress AddressFor(const IpAddress& peer) const;      // the source towards `peer`; unset: none of its family

  // Binds, or gives a positive errno. Port 0 of `*address` becomes a free one.
  int Bind(Transport transport, SocketAddress* address, bool reuse_port, bool free_bind, Descriptor& descriptor);
  int BindPath(const std::string& path, bool replace_stale, Descriptor& descriptor);
  void Unbind(const Descriptor& descriptor);
  // Who gets what arrives for `to`; of several with reuse_port one by the seed.
  Descriptor* Find(Transport transport, const SocketAddress& to);
  // Null with *exists: a stale path.
  Descriptor* FindPath(const std::string& path, bool* exists);
  uint16_t FreePort(Transport transport);

  std::vector<IpAddress> addresses;
  bool down = false;                                      // lost power: nothing answers

 private:
  struct Bound {
    SocketAddress address;
    bool reuse_port;
    Descriptor* descriptor;
  };
  using Ports = std::multimap<uint16_t, Bound>;
  Ports& ports(Transport transport) { return ports_[static_cast<size_t>(transport)]; }

  SimWorld& world_;
  size_t number_;
  Ports ports_[2];
  std::map<std::string, Descriptor*> paths_;
};

class SimNetwork {
 public:
  explicit SimNetwork(SimWorld& world) : world_(world) {}

  SimHost& Host(const IpAddress& address);                // made at the first call
  SimHost* Find(const IpAddress& address);                // null: nobody has it
  void AddAddress(const IpAddress& host, const IpAddress& also);

  void SetLink(const IpAddress& a, const IpAddress& b, const Link& link);   // both ways
  void SetDefaultLink(const Link& link) { default_link_ = link; }
  void Partition(const IpAddress& a, const IpAddress& b);
  void Heal(const IpAddress& a, const IpAddress& b);

  bool Reaches(const SimHost& a, const SimHost& b) const;  // no partition, both up
  Nanos Delay(const SimHost& a, const SimHost& b);         // of one packet
  bool Loses(const SimHost& a, const SimHost& b);          // this packet

 private:
  using Pair = std::pair<size_t, size_t>;
  static Pair PairOf(const SimHost& a, const SimHost& b) { return std::minmax(a.number(), b.number()); }
  const Link& LinkOf(const SimHost& a, const SimHost& b) const;

  SimWorld& world_;
  std::vector<std::unique_ptr<SimHost>> hosts_;
  std::map<IpAddress, SimHost*> by_address_;
  std::map<Pair, Link> links_;
  std::set<Pair> partitions_;
  Link default_link_;
};

}  // namespace fairlead::sim
