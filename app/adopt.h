// Adoption: an existing network of the engine is taken over without touching it. Its subnets become a pool, and each of
// its containers' addresses is reserved for the container's name on a Fairlead network to come ("observed"): published at
// once, given to nobody else, and the container's own when it is re-created there ("managed").
//
// The old network's own address management goes on meanwhile, so observed leases follow what its containers have.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "app/agent_api.h"
#include "app/operator_parts.h"
#include "base/io/files.h"
#include "base/io/offload.h"

namespace fairlead::app {

struct AdoptRequest {
  std::string network;            // of the engine
  std::string to;                 // name of the Fairlead network to come; "": the same
  std::string pool;               // "": the one that has the subnets, or one made of them
};

// A container on the network that is taken over.
struct Holder {
  std::string name;               // canonical
  IpAddress ip;
  MacAddress mac = {};
  bool running = false;
  std::string project = {};
};

struct AdoptionPlan {
  std::string network, to, pool;
  bool make_pool = false;
  ipam::PoolSpec spec = {};       // of a pool that is to be made
  std::vector<Holder> holders = {};          // with an address, by name
  std::vector<std::string> without = {};     // names of containers that have none now
};

// What to do, without doing it. FailedPrecondition names every conflict.
StatusOr<AdoptionPlan> PlanAdoption(const AdoptRequest& request, const runtime::NetworkDetails& network,
                                    const std::vector<runtime::ContainerSummary>& containers, const OperatorParts& parts);

class Adopter {
 public:
  struct Adopted {
    std::string to, pool;
  };
  // `path`: where the adopted networks are kept.
  Adopter(OperatorParts parts, io::Files& files, io::Offload& thread, std::string path)
      : parts_(std::move(parts)), files_(files), thread_(thread), path_(std::move(path)) {}
  io::Task<Status> Load();
  void AddTo(AgentApi& api);

  // All of it or nothing; may be repeated.
  io::Task<StatusOr<AdoptionPlan>> Adopt(AdoptRequest request);
  // Brings observed leases in step with what the adopted networks' containers have. What cannot be is logged.
  io::Task<void> Follow();
  // Whether Follow() would find something to do for a container of this name there.
  bool OutOfStep(const std::string& network, const std::string& name, const IpAddress& ip) const;
  const std::map<std::string, Adopted>& networks() const { return networks_; }

 private:
  io::Task<StatusOr<nlohmann::json>> AdoptFor(ApiCall call);
  io::Task<StatusOr<std::string>> NetworkOfBridge(std::string bridge);
  io::Task<Status> Make(AdoptionPlan plan);
  io::Task<void> Undo(std::vector<ipam::LeaseKey> made, std::string pool);
  io::Task<Status> FollowOne(Holder holder, std::string to, std::string pool, const std::map<std::string, IpAddress>& now);
  io::Task<Status> Keep();
  ipam::LeaseKey KeyOf(const std::string& to, const Holder& holder) const;

  OperatorParts parts_;
  io::Files& files_;
  io::Offload& thread_;
  const std::string path_;
  std::map<std::string, Adopted> networks_;   // by the engine's name
  bool following_ = false;
};

}  // namespace fairlead::app
