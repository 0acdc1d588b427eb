// Ties addresses to container names for both drivers: which key an asker has, whether its address is free to give, and
// what to do once the engine told the true name. Internal to the Docker plugin; on the worker.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/random.h"
#include "ipam/ipam.h"
#include "runtime-shim/name_finder.h"
#include "runtime-shim/plugin_state.h"

namespace fairlead::runtime {

// What is known of a container when its lease is settled.
struct TrueName {
  std::string name;          // canonical
  std::string project = {};  // "": not known here
  bool ephemeral = false;
};
TrueName TrueNameOf(const std::string& raw_name, const Labels& labels);

class LeaseNames {
 public:
  LeaseNames(std::string node, io::Proactor& proactor, Engine& engine, ipam::Ipam& ipam, PluginState& state, Random& random)
      : node_(std::move(node)), engine_(engine), ipam_(ipam), state_(state), random_(random),
        finder_(proactor, engine) {}

  // The network's name, asked of the engine once: CreateNetwork does not tell it. "" while the engine does not answer.
  io::Task<std::string> NetworkName(std::string network_id, Nanos deadline);

  // An address for whoever asks now; `told` is the name that newer engines send ("" otherwise).
  io::Task<StatusOr<ipam::Lease>> Acquire(PoolRecord pool, IpAddress wanted, std::string told, Nanos deadline);
  // An endpoint took the address, or it was given back.
  void Claimed(const std::string& pool, const IpAddress& ip) { handed_.erase({pool, ip}); }

  void EngineHeard() { finder_.EngineHeard(); }

  // The lease at this address is that container's: corrects a provisional or mistaken key. The address stays.
  io::Task<Status> Settle(std::string pool, IpAddress ip, std::string network, TrueName who);
  // A container that is not attached was renamed: its detached lease follows.
  io::Task<Status> Move(std::string network, std::string old_name, TrueName who);

  ipam::LeaseKey KeyOf(const std::string& pool, std::string network, std::string name, bool v6) const;
  uint64_t provisional() const { return provisional_; }
  uint64_t renamed() const { return renamed_; }

 private:
  io::Task<std::optional<Asker>> FindAsker(std::string network, IpAddress wanted, std::string told, Nanos deadline);
  io::Task<StatusOr<ipam::Lease>> AcquireProvisional(PoolRecord pool, IpAddress wanted, std::string network);
  // By another than `asker` (the engine's name for it; "" when not known), who may ask again for what it was given.
  bool InUse(const PoolRecord& pool, const ipam::Lease& lease, const std::string& asker) const;

  std::string node_;
  Engine& engine_;
  ipam::Ipam& ipam_;
  PluginState& state_;
  Random& random_;
  NameFinder finder_;
  // Given to dockerd by this process, not yet taken by an endpoint: to which container, as the engine calls it.
  std::map<std::pair<std::string, IpAddress>, std::string> handed_;
  uint64_t provisional_ = 0, renamed_ = 0;
};

}  // namespace fairlead::runtime
