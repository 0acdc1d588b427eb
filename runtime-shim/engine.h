// What the agent asks of a container engine (Docker's API and its likes), as plain values. DockerEngine
// (engine_client.h) and PodmanEngine (podman_engine.h) talk to real ones, ScriptedEngine (scripted_engine.h) is the double for tests and the simulator.
// Everything runs on one worker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/io/task.h"
#include "base/net/ip_address.h"
#include "base/status.h"
#include "base/time.h"

namespace fairlead::runtime {

using Labels = std::map<std::string, std::string, std::less<>>;

// A container's place on one network.
struct NetworkAttachment {
  std::string network = {};         // name
  std::string network_id = {};      // "" before the first start
  std::string endpoint_id = {};     // "" while not attached
  IpAddress wanted = {};            // --ip: part of the container's own configuration
  IpAddress wanted_v6 = {};         // --ip6
  InterfaceAddress ipv4 = {}, ipv6 = {};
  MacAddress mac = {};
  std::vector<std::string> aliases = {}, links = {};  // of an inspection only
  Labels driver_opts = {};          // of an inspection only

  const IpAddress& Wanted(bool v6) const { return v6 ? wanted_v6 : wanted; }
  friend bool operator==(const NetworkAttachment&, const NetworkAttachment&) = default;
};

// One entry of the list of containers.
struct ContainerSummary {
  std::string id = {};
  std::string name = {};            // without the leading slash
  std::string state = {};           // created, running, paused, restarting, removing, exited, dead
  std::string status = {};          // "Up 2 minutes (healthy)": for people, and the only place of health in a list
  Labels labels = {};
  std::vector<NetworkAttachment> networks = {};
};

struct ContainerPort {
  uint16_t number = 0;
  std::string protocol = "tcp";
  friend auto operator<=>(const ContainerPort&, const ContainerPort&) = default;
};

struct PortBinding {
  ContainerPort container = {};
  IpAddress host_ip = {};
  uint16_t host_port = 0;
};

// What an inspection tells of a container.
struct ContainerDetails {
  std::string id = {};
  std::string name = {};            // without the leading slash
  std::string state = {};
  int32_t pid = 0;
  Nanos created_wall = 0;
  Nanos started_wall = 0;           // 0: never
  std::string run = {};             // tells this run from all others; "": id and started_wall do
  Nanos finished_wall = 0;
  std::string health = {};          // "", starting, healthy, unhealthy
  Nanos health_interval = 0;        // between two looks of the engine's check
  std::string health_reason = {};   // output of the last failed check, shortened
  Labels labels = {};
  Labels environment = {};          // of it what dialects of labels read (discovery/labels.h)
  std::vector<ContainerPort> exposed = {};
  std::vector<PortBinding> published = {};
  std::vector<NetworkAttachment> networks = {};
  bool host_network = false;
  bool auto_remove = false;         // --rm
  std::string stop_signal = "SIGTERM";
  uint32_t stop_timeout_s = 10;
};

struct NetworkMember {
  std::string endpoint_id = {};
  std::string name = {};            // the container's
  InterfaceAddress ipv4 = {}, ipv6 = {};
  MacAddress mac = {};
};

// One subnet of a network as it was configured.
struct SubnetConfig {
  Prefix subnet = {};
  IpAddress gateway = {};                  // unset: the engine's choice
  std::optional<Prefix> range = {};        // --ip-range
  std::vector<IpAddress> auxiliary = {};   // --aux-address
};

struct NetworkDetails {
  std::string id = {};
  std::string name = {};
  std::string driver = {};
  std::vector<Prefix> subnets = {};
  std::vector<NetworkMember> members = {};  // of an inspection only
  std::vector<SubnetConfig> configs = {};   // the same subnets, whole
  std::string ipam_driver = {};
  Labels options = {}, ipam_options = {};   // -o and --ipam-opt
};

// What a container's place on a network is configured to be. Unset and empty: left to the engine.
struct EndpointSettings {
  IpAddress ipv4 = {}, ipv6 = {};
  std::vector<std::string> aliases = {}, links = {};
  Labels driver_opts = {};
  MacAddress mac = {};
  friend bool operator==(const EndpointSettings&, const EndpointSettings&) = default;
};

// Of the API that an engine speaks: 1.45 is Docker 26, 1.52 Docker 29.
struct EngineVersion {
  int major = 0, minor = 0;
  friend auto operator<=>(const EngineVersion&, const EngineVersion&) = default;
  std::string ToString() const;     // "1.45"
};

struct EngineEvent {
  std::string type = {};            // container, network
  std::string action = {};          // "health_status: healthy" comes as "health_status"
  std::string id = {};              // of the container or network
  Labels attributes = {};
  Nanos time_wall = 0;
  bool early = false;               // told before an inspection shows it: to be looked at once more, a little later
};

class EventStream {
 public:
  virtual ~EventStream() = default;
  // The next event. An error (OutOfRange: the engine ended the stream) means that events may be missing.
  virtual io::Task<StatusOr<EngineEvent>> Next() = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  // Each call gives up at `deadline` (a point of Proactor::Now()). NotFound is the engine's word that it is not there.
  virtual io::Task<StatusOr<std::vector<ContainerSummary>>> ListContainers(Nanos deadline) = 0;  // stopped ones too
  // Blocks in the engine while that container is being started or stopped.
  virtual io::Task<StatusOr<ContainerDetails>> InspectContainer(std::string id, Nanos deadline) = 0;
  virtual io::Task<StatusOr<std::vector<NetworkDetails>>> ListNetworks(Nanos deadline) = 0;
  virtual io::Task<StatusOr<NetworkDetails>> InspectNetwork(std::string id, Nanos deadline) = 0;
  // Events after `since_wall` (0: from now on). The engine replays few of them (Docker: 256) and none over its restart.
  virtual io::Task<StatusOr<std::unique_ptr<EventStream>>> Events(Nanos since_wall, Nanos deadline) = 0;
  // A local file that the engine writes when it begins to stop a container, where no event tells of that; "": there is none.
  virtual io::Task<StatusOr<std::string>> StateFile(Nanos) { co_return std::string(); }
  // The newest API that the engine speaks; asked once.
  virtual io::Task<StatusOr<EngineVersion>> Version(Nanos deadline) = 0;
  // Takes a container from a network, by force; one that is not on it is NotFound or FailedPrecondition.
  virtual io::Task<Status> DisconnectNetwork(std::string network, std::string container, Nanos deadline) = 0;
  // Puts a container on a network. Of one that is not running only its configuration changes. An engine says OK and
  // changes nothing when the container is on the network already.
  virtual io::Task<Status> ConnectNetwork(std::string network, std::string container, EndpointSettings settings,
                                          Nanos deadline) = 0;
  // Makes a network of this name, driver, subnets and options; the engine asks our own plugin meanwhile.
  virtual io::Task<Status> CreateNetwork(NetworkDetails wanted, Nanos deadline) = 0;
  // Refused while containers are on it (FailedPrecondition).
  virtual io::Task<Status> RemoveNetwork(std::string network, Nanos deadline) = 0;
  // Stops a container by its own signal and patience, and removes it with its anonymous volumes. OK when it is gone already.
  virtual io::Task<Status> RemoveContainer(std::string id, Nanos deadline) = 0;
};

inline bool IsCompose(const Labels& labels) { return labels.contains("com.docker.compose.project"); }
bool IsOneOff(const Labels& labels);               // `docker compose run`
std::string ProjectOf(const Labels& labels);       // contract, "Names"

}  // namespace fairlead::runtime
