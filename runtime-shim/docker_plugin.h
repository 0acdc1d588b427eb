// DockerPlugin: Docker's remote network driver and IPAM driver on one plugin socket (NetworkDriver.*, IpamDriver.*).
// Every call may be repeated: dockerd retries, and after its own crash sends again what was done. Every call is answered
// from local state within kAnswerTimeout, for dockerd holds the container's lock meanwhile and never gives up.
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
#include "runtime-shim/name_finder.h"
#include "runtime-shim/plugin_store.h"

namespace fairlead::runtime {

inline constexpr Nanos kAnswerTimeout = 2 * kSecond;
inline constexpr Nanos kEngineTimeout = 500 * kMillisecond;  // for one question to the engine inside a call
inline constexpr Nanos kClaimTimeout = 60 * kSecond;         // an address that no endpoint took by then is detached
inline constexpr int kVerifyTries = 5;                       // of asking for the name after Join

struct PluginConfig {
  std::string node;
  std::string driver = "fairlead";
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
  };
  struct Stats {
    uint64_t calls = 0, errors = 0, timeouts = 0, provisional = 0, renamed = 0, unclaimed = 0;
  };

  DockerPlugin(PluginConfig config, Parts parts);
  ~DockerPlugin();                                           // after Stop()

  // Reads the state and puts the networks back into the kernel. Before the first call.
  io::Task<Status> Start();
  io::Task<void> Stop();                                     // waits for calls whose answer was given up

  // For http::Server on the plugin socket.
  io::Task<http::Reply> Handle(const http::Request& request, const http::RequestContext& context);

  // What the event source learns corrects names, projects and `--rm` (level-triggered: any order, any number of times).
  void ContainerSeen(const ContainerDetails& container);
  void ContainerGone(const std::string& id);
  void NetworkSeen(const NetworkDetails& network);

  const Stats& stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::runtime
