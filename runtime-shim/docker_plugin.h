// DockerPlugin: Docker's remote network driver and IPAM driver on one plugin socket (NetworkDriver.*, IpamDriver.*).
// Every call may be repeated: dockerd retries, and after its own crash sends again what was done. Every call is answered
// within a time of its own, from local state or by the kernel: dockerd holds the container's lock meanwhile and never
// gives up.
//
//   network create   RequestPool, RequestAddress (gateway, auxiliary), CreateNetwork
//   start            RequestAddress, CreateEndpoint, Join
//   stop, rm         Leave, DeleteEndpoint, ReleaseAddress
//   network rm       ReleaseAddress (gateway), ReleasePool, DeleteNetwork
//
// ReleaseAddress only detaches: the address stays its name's own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/http/server.h"
#include "base/io/offload.h"
#include "base/random.h"
#include "dataplane/dataplane.h"
#include "ipam/ipam.h"
#include "runtime-shim/engine.h"
#include "runtime-shim/json_fields.h"
#include "runtime-shim/lease_names.h"
#include "runtime-shim/network_driver.h"
#include "runtime-shim/pinner.h"
#include "runtime-shim/plugin_store.h"

namespace fairlead::runtime {

inline constexpr Nanos kAnswerTimeout = 2 * kSecond;
// NetworkDriver.* calls wait for the kernel, which changes one interface after the other while fifty containers boot (50
// ms each: dockerd's own moves between namespaces are among them). Giving up would leave a container without its start.
inline constexpr Nanos kKernelTimeout = 30 * kSecond;
inline constexpr Nanos kEngineTimeout = 500 * kMillisecond;  // for one question to the engine inside a call
inline constexpr Nanos kClaimTimeout = 60 * kSecond;         // an address that no endpoint took by then is detached
inline constexpr int kVerifyTries = 5;                       // of learning the name after Join
inline constexpr Nanos kPinAnswer = 2 * kSecond;             // a pin that takes longer goes on behind its answer
inline constexpr Nanos kStopQuiet = 1 * kSecond;             // a container at rest for so long is not just being restarted
inline constexpr Nanos kGateWait = 2 * kSecond;              // of one start, whatever the others before it do

struct PluginConfig {
  std::string node;
  std::string driver = "fairlead";
  std::string site = {};
  IpAddress dns_address;                                     // unset: containers get no route to it
};

class DockerPlugin {
 public:
  struct Parts {
    io::Proactor& proactor;
    const Clock& clock;
    Random& random;
    Engine& engine;
    ipam::Ipam& ipam;                                        // loaded
    PluginStore& store;
    io::Offload& store_thread;
    dataplane::Driver& driver;
    io::Offload& network_thread;
    io::Offload& probe_thread;                               // waits 100 ms at a time
    Neighbours neighbours = {};                              // Podman and other users of CNI
  };
  struct Stats {
    uint64_t calls = 0, errors = 0, timeouts = 0, unclaimed = 0;
    LeaseNames::Stats names = {};
    NameFinder::Stats finder = {};
    StartGate::Stats gate = {};
    Pinner::Stats pins = {};
    AddressGiver::Stats giver = {};
    NetworkDriver::Stats network = {};
  };

  DockerPlugin(PluginConfig config, Parts parts);
  ~DockerPlugin();                                           // after Stop()

  // Reads the state and puts the networks back into the kernel. Before the first call.
  io::Task<Status> Start();
  io::Task<void> Stop();                                     // waits for calls whose answer was given up

  // For http::Server on the plugin socket.
  io::Task<http::Reply> Handle(const http::Request& request, const http::RequestContext& context);

  // Calls of the small programs: `pin` ({"when": "create"|"start", "container": ID, "patience_ms": N}) answers {} when the
  // container has its name's own address by configuration, or needs none; {"under_way": true} when that is not done in so
  // much time. `starting` ({"container": ID, "pid": N}) answers when a start may go on to its addresses.
  io::Task<StatusOr<Json>> PinContainer(Json request);
  io::Task<StatusOr<Json>> StartingContainer(Json request);

  // What the event source learns corrects names, projects and `--rm` (level-triggered: any order, any number of times).
  void ContainerSeen(const ContainerDetails& container);
  void ContainerGone(const std::string& id);
  void NetworkSeen(const NetworkDetails& network);

  // For those: the container that has the lease of that key, or is just getting it; "": none.
  std::string HolderOf(const ipam::LeaseKey& key) const;
  // The network that was made under this name, as the data plane has it; nothing while its name is not known.
  std::optional<dataplane::NetworkSpec> NetworkNamed(std::string_view name) const;
  // For verification and repair: what is known of networks and endpoints, and how to let go of what is gone.
  PluginStore::Contents Snapshot() const;
  io::Task<Status> ForgetEndpoint(std::string id);   // its addresses' leases are detached
  io::Task<Status> ForgetNetwork(std::string id);    // one that the engine has no longer
  io::Task<Status> RestoreNetwork(std::string id);   // back into the kernel, its containers' interfaces back on the bridge

  const Stats& stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::runtime
