// Fleet: one host with its engine, agent, name server and balancer, its containers, and clients on another host: all in one
// world under one seed. It kills and restarts them; scenario.cc says when.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/agent_process.h"
#include "tests/sim/calm.h"
#include "tests/sim/clients.h"
#include "tests/sim/consumers.h"
#include "tests/sim/dockerd.h"
#include "tests/sim/relay.h"

namespace fairlead::fleet {

// What a seed is about.
struct Traits {
  bool tells_names;          // the engine tells the name with RequestAddress, as Docker 29 does
  bool roomy;                // the pool keeps every name's address; else addresses are few and soon another's
  bool relayed;              // a relay, that may stand still, is between agent and consumers
  bool rough_kernel;         // short reads and writes, late completions
  bool rough_network;        // in the storm: resets, stalls, losses
  static Traits Of(uint64_t seed, Bug bug);
};

class Fleet {
 public:
  Fleet(uint64_t seed, Bug bug);
  ~Fleet();

  // Runs the world, restarts what is due and checks what is to be checked on the way.
  void Run(Nanos duration);
  bool RunUntil(const std::function<bool()>& condition, Nanos limit);

  void StartAgent();
  void StartDns();
  void StartLb();
  void KillAgent(Nanos away);
  void KillDns(Nanos away);
  void KillLb(Nanos away);
  void FillDisk(bool full);
  void ReviveAll();

  // "" when engine, catalog, leases, consumers and balancer say the same; else where they differ.
  std::string Disagreement() const;
  // Waits until they agree, asks names and services, and fails where something is wrong.
  void CheckAll();

  // Ends everything; whatever is left over is a leak.
  void Shutdown();

  const Bug bug;
  const Traits traits;
  sim::SimWorld world;
  Verdict verdict;
  Calm calm;
  sim::SimFiles agent_disk, dns_disk, lb_disk;
  HostLeaseStore lease_store;
  std::unique_ptr<runtime::PluginStore> plugin_store;
  SimKernel kernel;
  LeaseBook leases;
  Dockerd engine;
  std::unique_ptr<Relay> relay;
  std::unique_ptr<AgentProcess> agent;
  std::unique_ptr<DnsProcess> dns;
  std::unique_ptr<LbProcess> lb;
  Clients clients;

 private:
  struct Leaving {           // a container that takes no new traffic, and since when everybody has confirmed it
    uint64_t revision;
    Nanos confirmed = 0;
  };
  void Housekeeping();
  void WatchLeaving();
  bool StillLeaves(const std::string& id, Leaving& leaving);
  std::string EngineDisagrees() const;
  std::string LeasesDisagree() const;
  std::string ConsumerDisagrees(const char* name, const discovery::Consumer& consumer) const;
  std::string BalancerDisagrees() const;
  void Settle();

  Nanos agent_due_ = kNever, dns_due_ = kNever, lb_due_ = kNever;
  std::map<std::string, Leaving> leaving_;
  bool watching_ = false;
};

}  // namespace fairlead::fleet
