// Ties addresses to container names for both drivers: which key an asker has, whether its address is free to give, and
// what to do once the engine told the true name. Internal to the Docker plugin; on the worker.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "ipam/ipam.h"
#include "runtime-shim/address_giver.h"
#include "runtime-shim/name_finder.h"
#include "runtime-shim/neighbours.h"
#include "runtime-shim/plugin_state.h"
#include "runtime-shim/start_gate.h"

namespace fairlead::runtime {

// What is known of a container when its lease is settled.
struct TrueName {
  std::string name;          // canonical
  std::string project = {};  // "": not known here
  bool ephemeral = false;
};
TrueName TrueNameOf(const std::string& raw_name, const Labels& labels);

// Who asks for an address, as far as the engine's call tells.
struct Question {
  PoolRecord pool;           // bound to its network
  IpAddress wanted = {};     // --ip, or a pin; unset: any
  std::string told = {};     // the container's name, which Docker 29 and later send
  Nanos deadline = kNever;
};

class LeaseNames {
 public:
  LeaseNames(std::string node, std::string site, io::Proactor& proactor, Engine& engine, ipam::Ipam& ipam, AddressGiver& giver,
             PluginState& state, Random& random, const Neighbours& neighbours)
      : node_(std::move(node)), site_(std::move(site)), proactor_(proactor), engine_(engine), ipam_(ipam), giver_(giver),
        state_(state), random_(random), neighbours_(neighbours), finder_(proactor, engine) {}

  // Whether containers of this host may have addresses of the prefix.
  bool Serves(const ipam::PrefixSpec& prefix) const {
    return (prefix.node.empty() || prefix.node == node_) && (prefix.site.empty() || prefix.site == site_);
  }
  // The network's name, asked of the engine once: CreateNetwork does not tell it. "" while the engine does not answer.
  io::Task<std::string> NetworkName(std::string network_id, Nanos deadline);

  // An address for whoever asks now. In this order: the name that the engine tells, the pin, the gate, the one container
  // that it can be, a placeholder. The first two ask the engine nothing.
  io::Task<StatusOr<ipam::Lease>> Acquire(Question question);
  // What a container of that name asks for: its key, and what its labels say of the address unless it wants one.
  StatusOr<ipam::AcquireRequest> RequestFor(const PoolRecord& pool, const std::string& network, const Asker& asker,
                                            const IpAddress& wanted) const;
  // The address, probed where it is new to its name; refused with the holder where its name runs in another engine.
  io::Task<StatusOr<ipam::Lease>> Give(ipam::AcquireRequest request, std::string network_id);
  // The container of Docker that has that key's lease or is just getting it, in words; "": none.
  std::string HolderOf(const ipam::LeaseKey& key) const;
  // Likewise of another engine, of the lease at an address.
  std::string HolderElsewhere(const std::string& pool, const IpAddress& ip) const;
  // An endpoint took the address, or it was given back.
  void Claimed(const std::string& pool, const IpAddress& ip) { handed_.erase({pool, ip}); }

  void EngineHeard() { finder_.EngineHeard(); }
  // What the event source tells of containers, so that labels need no question to the engine.
  void Seen(const ContainerDetails& container);
  void Gone(const std::string& id);
  // Whether a container that exists asks for this address whenever it starts: by its pin, or since its user says so.
  bool Configured(const std::string& network, const IpAddress& ip) const;
  // The canonical name; "": not heard of.
  std::string NameOf(const std::string& container_id) const;

  // The lease at this address is that container's: corrects a provisional or mistaken key. The address stays.
  io::Task<Status> Settle(std::string pool, IpAddress ip, std::string network, TrueName who);
  // Its last start on that network was a guess: the engine had not told who asks.
  bool Uncertain(const std::string& network, const std::string& name) const { return uncertain_.contains({network, name}); }
  void SetUncertain(const std::string& network, const std::string& name) { uncertain_.insert({network, name}); }
  // A container that is not attached was renamed: its detached lease follows.
  io::Task<Status> Move(std::string network, std::string old_name, TrueName who);

  // A name's own lease on a network of this node or of the fleet.
  std::optional<ipam::Lease> LeaseOf(const std::string& network, const std::string& name, bool v6) const;
  ipam::LeaseKey KeyOf(const std::string& pool, std::string network, std::string name, bool v6) const;
  // The address pool that an address of a network of the engine is in; "": none of ours. Not always the network's own
  // (label fairlead.pool).
  std::string PoolAt(std::string_view network_id, const IpAddress& ip) const;

  StartGate& gate() { return gate_; }
  struct Stats {
    uint64_t provisional = 0, renamed = 0, told = 0, pinned = 0, stand_ins = 0;
  };
  const Stats& stats() const { return stats_; }
  const StartGate::Stats& gate_stats() const { return gate_.stats(); }
  const NameFinder::Stats& finder_stats() const { return finder_.stats(); }

 private:
  struct Known {
    std::string name;        // as the engine calls it
    Labels labels;           // NamingLabels
    std::vector<std::pair<std::string, IpAddress>> wanted = {};  // by network, its own configuration
  };
  io::Task<StatusOr<Asker>> FindAsker(std::string network, const Question& question);
  io::Task<StatusOr<Asker>> AskerTold(std::string told, Nanos deadline);
  io::Task<StatusOr<ipam::Lease>> AcquirePinned(const Question& question, const PinRecord& pin, std::string network);
  io::Task<StatusOr<ipam::Lease>> AcquireProvisional(const Question& question, std::string network);
  // By another than `asker` (the engine's name for it; "" when not known), who may ask again for what it was given.
  bool InUse(const PoolRecord& pool, const ipam::Lease& lease, const std::string& asker) const;
  std::optional<Prefix> Within(const PoolRecord& asked, bool v6) const;
  // Pinned to another container, which exists.
  bool PinnedElsewhere(const std::string& network, const IpAddress& ip, const std::string& name) const;

  std::string node_, site_;
  io::Proactor& proactor_;
  Engine& engine_;
  ipam::Ipam& ipam_;
  AddressGiver& giver_;
  PluginState& state_;
  Random& random_;
  const Neighbours& neighbours_;
  NameFinder finder_;
  StartGate gate_;
  void Forget(const std::string& id);
  std::map<std::string, Known> known_;  // by id
  std::multiset<std::pair<std::string, IpAddress>> wanted_;  // of all known
  // Given to dockerd by this process, not yet taken by an endpoint: to which container, as the engine calls it.
  std::map<std::pair<std::string, IpAddress>, std::string> handed_;
  std::multiset<ipam::LeaseKey> asked_;  // that are being given at this moment
  std::set<std::pair<std::string, std::string>> uncertain_;  // networks and names
  Stats stats_;
};

}  // namespace fairlead::runtime
