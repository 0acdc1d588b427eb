// PodmanEngine: Podman's service (`podman system service`, podman.socket), which speaks Docker's API with habits of its own.
//  - A removal is told as "remove". Of a stop no event tells before the container has ended; but its state is "stopping"
//    from before the signal on, in a list too, and Podman's database is written then.
//  - "health_status" comes before the new health can be read, and the list of containers tells no health.
//  - A network's id is its name wherever a container is on it.
//  - A pod's infra container is listed like any other: it only holds the addresses, which the pod's containers have too.
#pragma once

#include "runtime-shim/engine_client.h"

namespace fairlead::runtime {

class PodmanEngine final : public DockerEngine {
 public:
  PodmanEngine(io::Proactor& proactor, SocketAddress socket) : DockerEngine(proactor, std::move(socket)) {}

  // NotFound for a pod's infra container, which is nobody's endpoint.
  io::Task<StatusOr<ContainerDetails>> InspectContainer(std::string id, Nanos deadline) override;
  // In Docker's words. Podman keeps its events over a restart of the service.
  io::Task<StatusOr<std::unique_ptr<EventStream>>> Events(Nanos since_wall, Nanos deadline) override;
  io::Task<StatusOr<std::string>> StateFile(Nanos deadline) override;

 private:
  io::Task<StatusOr<bool>> IsInfra(ContainerDetails container, Nanos deadline);
};

}  // namespace fairlead::runtime
