// DockerEngine: Docker's Engine API over its unix socket, which other engines speak too. The version is negotiated at the first call and again after a
// refusal, so that an engine may be upgraded under us.
#pragma once

#include <optional>

#include "base/http/client.h"
#include "runtime-shim/engine.h"
#include "runtime-shim/engine_json.h"

namespace fairlead::runtime {

// What we were written for, and the oldest that has all we need (1.24: Docker 1.12).
inline constexpr const char* kOwnCallHeader = "X-Fairlead";
inline constexpr EngineVersion kOurVersion{1, 47};
inline constexpr EngineVersion kOldestVersion{1, 24};
// min(ours, the engine's newest); an error when that is older than we need or than the engine serves.
StatusOr<EngineVersion> Negotiate(const EngineVersions& engine);

class DockerEngine : public Engine {
 public:
  // `secret` marks our own calls for the authorization plugin, which lets them pass unseen; "": they carry no mark.
  DockerEngine(io::Proactor& proactor, SocketAddress socket, std::string secret = "")
      : proactor_(proactor), socket_(std::move(socket)), secret_(std::move(secret)), kept_(proactor_, socket_) {}

  io::Task<StatusOr<std::vector<ContainerSummary>>> ListContainers(Nanos deadline) override;
  io::Task<StatusOr<ContainerDetails>> InspectContainer(std::string id, Nanos deadline) override;
  io::Task<StatusOr<std::vector<NetworkDetails>>> ListNetworks(Nanos deadline) override;
  io::Task<StatusOr<NetworkDetails>> InspectNetwork(std::string id, Nanos deadline) override;
  io::Task<StatusOr<std::unique_ptr<EventStream>>> Events(Nanos since_wall, Nanos deadline) override;
  io::Task<StatusOr<EngineVersion>> Version(Nanos deadline) override;
  io::Task<Status> DisconnectNetwork(std::string network, std::string container, Nanos deadline) override;
  io::Task<Status> ConnectNetwork(std::string network, std::string container, EndpointSettings settings,
                                  Nanos deadline) override;
  io::Task<Status> CreateNetwork(NetworkDetails wanted, Nanos deadline) override;
  io::Task<Status> RemoveNetwork(std::string network, Nanos deadline) override;
  io::Task<Status> RemoveContainer(std::string id, Nanos deadline) override;

 protected:
  io::Task<StatusOr<std::string>> GetTarget(std::string target, Nanos deadline);  // body of a 200; with the version in front
  // `actions`: of containers and networks, what is to be told; a JSON list.
  io::Task<StatusOr<std::unique_ptr<EventStream>>> EventsOf(std::string_view actions, Nanos since_wall, Nanos deadline);

 private:
  io::Task<StatusOr<std::string>> Get(std::string path, Nanos deadline);    // in the negotiated version
  // `on_5xx`: what an answer 500 and above is; the driver's refusals come as such.
  io::Task<Status> Change(std::string method, std::string path, std::string body, Nanos deadline,
                          StatusCode on_5xx = StatusCode::kUnavailable);
  http::Request RequestOf(std::string method, std::string target, std::string body = "") const;
  io::Task<StatusOr<std::string>> Target(std::string path, Nanos deadline); // with the version in front

  io::Proactor& proactor_;
  SocketAddress socket_;
  std::string secret_;
  http::KeptConnections kept_;      // for questions; what changes something has a connection of its own
  std::optional<EngineVersion> version_, newest_;  // what we speak with it; what it could speak
};

}  // namespace fairlead::runtime
