// ContainerdEngine: containerd's own API (gRPC), for containers of nerdctl and ctr. containerd knows neither names nor
// networks: those are nerdctl's labels (`nerdctl/name`, `nerdctl/ports`), or else the id; addresses are what CNI said
// (cni_results.h), under the id NAMESPACE-ID that both give. Of a container in several namespaces each is one of its own:
// its id here is NAMESPACE/ID.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/io/offload.h"
#include "base/net/socket_address.h"
#include "runtime-shim/engine.h"

namespace fairlead::runtime {

inline constexpr const char* kDefaultCniResults = "/var/lib/cni/results";

struct ContainerdOptions {
  SocketAddress socket;
  std::vector<std::string> namespaces = {"default"};
  std::string cni_results = kDefaultCniResults;
  std::string proc = "/proc";                          // where the start of a process is read
};

class ContainerdEngine final : public Engine {
 public:
  // Files are read on `disk`.
  ContainerdEngine(io::Proactor& proactor, io::Offload& disk, ContainerdOptions options)
      : proactor_(proactor), disk_(disk), options_(std::move(options)) {}

  io::Task<StatusOr<std::vector<ContainerSummary>>> ListContainers(Nanos deadline) override;
  io::Task<StatusOr<ContainerDetails>> InspectContainer(std::string id, Nanos deadline) override;
  // Of which some container has a CNI result; their driver is the type of the plugin.
  io::Task<StatusOr<std::vector<NetworkDetails>>> ListNetworks(Nanos deadline) override;
  // containerd replays nothing: `since_wall` is not heard.
  io::Task<StatusOr<std::unique_ptr<EventStream>>> Events(Nanos since_wall, Nanos deadline) override;
  io::Task<StatusOr<EngineVersion>> Version(Nanos deadline) override;
  // Networks are CNI's: FailedPrecondition.
  io::Task<StatusOr<NetworkDetails>> InspectNetwork(std::string id, Nanos deadline) override;
  io::Task<Status> DisconnectNetwork(std::string network, std::string container, Nanos deadline) override;
  io::Task<Status> ConnectNetwork(std::string network, std::string container, EndpointSettings settings, Nanos deadline) override;
  io::Task<Status> CreateNetwork(NetworkDetails wanted, Nanos deadline) override;
  io::Task<Status> RemoveNetwork(std::string network, Nanos deadline) override;
  io::Task<Status> RemoveContainer(std::string id, Nanos deadline) override;

 private:
  using Ports = std::vector<ContainerPort>;

  io::Task<StatusOr<std::string>> Ask(std::string method, std::string name_space, std::string message, Nanos deadline);
  // What the image exposes; an error: ask again.
  io::Task<StatusOr<Ports>> ExposedBy(std::string image, std::string name_space, Nanos deadline);
  io::Task<StatusOr<Ports>> ReadImage(std::string image, std::string name_space, Nanos deadline);
  io::Task<StatusOr<std::string>> ReadBlob(std::string digest, std::string name_space, Nanos deadline);

  io::Proactor& proactor_;
  io::Offload& disk_;
  const ContainerdOptions options_;
  std::map<std::string, Ports> images_;                // by digest: what it names never changes
  std::set<std::string, std::less<>> started_;         // ids that had a task: without one they are over, not to come
};

}  // namespace fairlead::runtime
