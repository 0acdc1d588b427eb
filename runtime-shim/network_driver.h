// NetworkDriver.* calls: networks and endpoints put on the wire. Internal to the Docker plugin; on the worker.
#pragma once

#include <set>
#include <string>

#include "base/io/await.h"
#include "runtime-shim/ipam_driver.h"

namespace fairlead::runtime {

class NetworkDriver {
 public:
  struct Parts {
    io::Proactor& proactor;
    Engine& engine;
    ipam::Ipam& ipam;
    PluginState& state;
    LeaseNames& names;
    IpamDriver& ipam_driver;
    dataplane::Driver& driver;
    io::Offload& network_thread;
    io::TaskGroup& tasks;            // for what goes on after an answer
    const Neighbours& neighbours;
  };
  NetworkDriver(std::string node, IpAddress dns_address, Parts parts)
      : node_(std::move(node)), dns_address_(dns_address), parts_(parts) {}

  // After a restart: networks back into the kernel, endpoints whose interface is gone (the host was rebooted) forgotten.
  io::Task<Status> Restore();

  io::Task<StatusOr<Json>> CreateNetwork(const Json& request, Nanos deadline);
  io::Task<StatusOr<Json>> DeleteNetwork(const Json& request, Nanos deadline);
  io::Task<StatusOr<Json>> CreateEndpoint(const Json& request, Nanos deadline);
  io::Task<StatusOr<Json>> DeleteEndpoint(const Json& request, Nanos deadline);
  io::Task<StatusOr<Json>> Join(const Json& request, Nanos deadline);
  io::Task<StatusOr<Json>> Leave(const Json& request, Nanos deadline);
  io::Task<StatusOr<Json>> EndpointInfo(const Json& request, Nanos deadline);
  // What docker tells and we have nothing to do for: discovery, external connectivity (we do no NAT).
  io::Task<StatusOr<Json>> Nothing(const Json& request, Nanos deadline);

  // The events told whose endpoint this is, and its leases were settled: the engine need not be asked for it again.
  void Named(const std::string& endpoint_id);
  // Bridges that got a container since the last time: their place in the packet filter, which others reload.
  io::Task<void> RecheckFilters();
  struct Stats {
    uint64_t named = 0, asked = 0;   // joins whose name the events told, questions to the engine for one
  };
  const Stats& stats() const { return stats_; }

 private:
  StatusOr<NetworkRecord> ParseNetwork(const Json& request) const;
  StatusOr<EndpointRecord> ParseEndpoint(const Json& request) const;
  io::Task<Status> EnsureGateways(const EndpointRecord& endpoint);
  MacAddress MacFor(const EndpointRecord& endpoint) const;
  Json JoinReply(const NetworkRecord& network, const EndpointRecord& endpoint) const;
  io::Task<Status> DetachFromKernel(std::string endpoint_id);
  io::Task<void> KeepJoined(EndpointRecord endpoint);
  io::Task<void> KeepRemoved(std::string endpoint_id);
  io::Task<void> AfterJoin(EndpointRecord endpoint);
  io::Task<void> LearnName(const EndpointRecord& endpoint);
  io::Task<bool> Verify(EndpointRecord endpoint);
  io::Task<Status> SettleAll(EndpointRecord endpoint, std::string network, TrueName who);

  std::string node_;
  IpAddress dns_address_;
  Parts parts_;
  std::set<std::string, std::less<>> unnamed_;  // endpoints that joined and whose name nobody has told yet
  std::set<std::string, std::less<>> joined_;   // networks that got a container since their filter was looked at
  Stats stats_;
};

}  // namespace fairlead::runtime
