// DockerEngine: Docker's Engine API over its unix socket. The version is negotiated at the first call and again after a
// refusal, so that an engine may be upgraded under us.
#pragma once

#include <optional>

#include "base/http/client.h"
#include "runtime-shim/engine.h"
#include "runtime-shim/engine_json.h"

namespace fairlead::runtime {

// What we were written for, and the oldest that has all we need (1.24: Docker 1.12).
inline constexpr EngineVersion kOurVersion{1, 47};
inline constexpr EngineVersion kOldestVersion{1, 24};
// min(ours, the engine's newest); an error when that is older than we need or than the engine serves.
StatusOr<EngineVersion> Negotiate(const EngineVersions& engine);

class DockerEngine final : public Engine {
 public:
  DockerEngine(io::Proactor& proactor, SocketAddress socket) : proactor_(proactor), socket_(std::move(socket)) {}

  io::Task<StatusOr<std::vector<ContainerSummary>>> ListContainers(Nanos deadline) override;
  io::Task<StatusOr<ContainerDetails>> InspectContainer(std::string id, Nanos deadline) override;
  io::Task<StatusOr<std::vector<NetworkDetails>>> ListNetworks(Nanos deadline) override;
  io::Task<StatusOr<NetworkDetails>> InspectNetwork(std::string id, Nanos deadline) override;
  io::Task<StatusOr<std::unique_ptr<EventStream>>> Events(Nanos since_wall, Nanos deadline) override;

 private:
  io::Task<StatusOr<std::string>> Get(std::string path, Nanos deadline);    // body of a 200
  io::Task<StatusOr<std::string>> Target(std::string path, Nanos deadline); // with the version in front

  io::Proactor& proactor_;
  SocketAddress socket_;
  std::optional<EngineVersion> version_;
};

}  // namespace fairlead::runtime
