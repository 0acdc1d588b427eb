// NetworkDriver.* calls: networks and endpoints put on the wire. Internal to the Docker plugin; on the worker.
#pragma once

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

 private:
  StatusOr<NetworkRecord> ParseNetwork(const Json& request) const;
  StatusOr<EndpointRecord> ParseEndpoint(const Json& request) const;
  MacAddress MacFor(const EndpointRecord& endpoint) const;
  Json JoinReply(const NetworkRecord& network, const EndpointRecord& endpoint) const;
  io::Task<Status> DetachFromKernel(std::string endpoint_id);
  io::Task<void> AfterJoin(EndpointRecord endpoint);
  io::Task<bool> Verify(EndpointRecord endpoint);
  io::Task<Status> SettleAll(EndpointRecord endpoint, std::string network, TrueName who);

  std::string node_;
  IpAddress dns_address_;
  Parts parts_;
};

}  // namespace fairlead::runtime
