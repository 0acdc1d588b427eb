// Dockerd: a container engine with Docker's habits, as far as its plugin and its event stream see them. It calls the plugin
// over its unix socket and tries again while nobody answers; its containers serve HTTP. What the agent sees of it is a
// ScriptedEngine, which is filled from here.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/io/await.h"
#include "runtime-shim/json_fields.h"
#include "runtime-shim/scripted_engine.h"
#include "tests/sim/container_process.h"
#include "tests/sim/lease_book.h"
#include "tests/sim/sim_kernel.h"

namespace fairlead::fleet {

inline constexpr const char* kNetworkName = "shopnet";
inline constexpr const char* kSubnet = "10.50.0.0/24";
inline constexpr const char* kPluginSocket = "/run/docker/plugins/fairlead.sock";

struct Container {
  runtime::ContainerDetails details;       // what the engine tells of it
  std::string canonical;                   // name without compose's temporary prefix
  std::string service;                     // SERVICE.PROJECT
  IpAddress ip;                            // while it has one
  std::string endpoint;                    // the engine's id for it
  std::unique_ptr<ContainerProcess> process;
  bool busy = false;                       // the engine works on it
  bool stopping = false;
  bool guessed = false;                    // another start was under way: the agent could not know whose request it was
  bool aborted = false;                    // the engine ended while it worked on it
  bool ephemeral = false;
  bool running() const { return details.state == "running"; }
};

class Dockerd {
 public:
  struct Parts {
    sim::SimWorld& world;
    IpAddress host;
    Verdict& verdict;
    SimKernel& kernel;
    LeaseBook& leases;
    bool tells_names;                      // as Docker 29 does, and 20.10 does not
  };
  explicit Dockerd(const Parts& parts);
  ~Dockerd();                              // after Shutdown()

  // The agent's view; null while there is no agent. Every change goes into it, events a little later.
  void SetView(runtime::ScriptedEngine* view);

  void CreateNetwork();
  bool network_made() const { return !network_.id.empty() && network_ready_; }

  // Orders; each takes its time. Ids are the engine's.
  std::string Create(const std::string& name, const std::string& canonical, const std::string& service,
                     const std::string& project, bool compose, bool auto_remove);
  void Start(const std::string& id);
  void Stop(const std::string& id, bool by_kill);          // docker stop, docker kill
  void Remove(const std::string& id);                      // docker rm -f
  void Rename(const std::string& id, const std::string& name, const std::string& canonical);
  // The daemon ends and comes back after `away`. Without live restore its containers end and start again at once.
  void Restart(Nanos away, bool live_restore);
  void CutEvents();                                        // the stream breaks; nothing is replayed
  void LoseEvents(bool lose) { losing_events_ = lose; }

  const std::map<std::string, Container>& containers() const { return containers_; }
  bool idle() const { return tasks_.live() == 0; }
  bool up() const { return up_; }

  // Outside of the world's turns.
  void Reap();
  void Shutdown();

 private:
  using Json = runtime::Json;
  template <class T>
  using Task = io::Task<T>;

  Task<void> MakeNetwork();
  Task<void> RunStart(std::string id);
  Task<void> RunStop(std::string id, bool by_kill, bool remove);
  Task<void> RunRestart(Nanos away, bool live_restore);
  Task<Status> Attach(std::string id);
  Task<void> Release(std::string id);
  Task<StatusOr<Json>> Call(std::string method, Json body);
  bool OthersStart(const std::string& id);
  void Exit(Container& container);
  void Show(const std::string& id);
  void Placed(const std::string& id);
  void Emit(std::string type, std::string action, const std::string& id, runtime::Labels attributes = {});
  std::string NewId();
  Nanos Wall() const { return parts_.world.clock().WallNow(); }

  const Parts parts_;
  sim::SimProactor proactor_;
  SeededRandom random_;
  runtime::ScriptedEngine* view_ = nullptr;
  uint64_t view_number_ = 0;
  std::map<std::string, Container> containers_;
  std::vector<std::unique_ptr<ContainerProcess>> ended_;
  std::set<std::string> starting_;
  runtime::NetworkDetails network_;
  std::string pool_id_;
  bool network_ready_ = false;
  bool up_ = true, losing_events_ = false;
  Nanos last_event_at_ = 0;
  io::TaskGroup tasks_;
};

}  // namespace fairlead::fleet
