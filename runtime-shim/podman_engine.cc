#include "runtime-shim/podman_engine.h"

#include "runtime-shim/json_fields.h"

namespace fairlead::runtime {
namespace {

// Both words for a removal: which one it is depends on Podman's version. "cleanup": the addresses are gone.
constexpr std::string_view kActions =
    R"(["create","start","restart","rename","update","pause","unpause","kill","die","stop","oom","remove","destroy","cleanup",)"
    R"("health_status","connect","disconnect"])";

class PodmanEvents final : public EventStream {
 public:
  explicit PodmanEvents(std::unique_ptr<EventStream> events) : events_(std::move(events)) {}

  io::Task<StatusOr<EngineEvent>> Next() override {
    CO_ASSIGN_OR_RETURN(EngineEvent event, co_await events_->Next());
    if (event.type == "container" && event.action == "remove") event.action = "destroy";
    if (event.type == "container" && event.action == "died") event.action = "die";
    event.early = event.action == "health_status";
    // A live connect or disconnect names the container, and of the network nothing (Podman 4).
    if (event.type == "network" && (event.action == "connect" || event.action == "disconnect"))
      event.attributes.try_emplace("container", event.id);
    co_return event;
  }

 private:
  std::unique_ptr<EventStream> events_;
};

}  // namespace

io::Task<StatusOr<std::unique_ptr<EventStream>>> PodmanEngine::Events(Nanos since_wall, Nanos deadline) {
  CO_ASSIGN_OR_RETURN(std::unique_ptr<EventStream> events, co_await EventsOf(kActions, since_wall, deadline));
  co_return std::unique_ptr<EventStream>(std::make_unique<PodmanEvents>(std::move(events)));
}

// BoltDB's until Podman 4.7, SQLite's since: whose log is what is written.
io::Task<StatusOr<std::string>> PodmanEngine::StateFile(Nanos deadline) {
  CO_ASSIGN_OR_RETURN(std::string text, co_await GetTarget("/v4.0.0/libpod/info", deadline));
  const Json info = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const std::string root = Text(Member(info, "store"), "graphRoot");
  if (root.empty()) co_return std::string();
  const bool sqlite = Text(Member(info, "host"), "databaseBackend") == "sqlite";
  co_return Cat(root, sqlite ? "/db.sql-wal" : "/libpod/bolt_state.db");
}

io::Task<StatusOr<ContainerDetails>> PodmanEngine::InspectContainer(std::string id, Nanos deadline) {
  CO_ASSIGN_OR_RETURN(ContainerDetails container, co_await DockerEngine::InspectContainer(std::move(id), deadline));
  CO_ASSIGN_OR_RETURN(bool infra, co_await IsInfra(container, deadline));
  if (infra) co_return NotFound("container ", container.name, " is a pod's infra container");
  co_return container;
}

// Docker's form of an inspection does not tell, Podman's own does. It is asked only where the name gives cause.
io::Task<StatusOr<bool>> PodmanEngine::IsInfra(ContainerDetails container, Nanos deadline) {
  if (!container.name.ends_with("infra")) co_return false;
  auto text = co_await GetTarget(Cat("/v4.0.0/libpod/containers/", container.id, "/json"), deadline);
  if (text.status().code() == StatusCode::kFailedPrecondition) co_return false;  // a Podman before 4.0
  if (!text.ok()) co_return text.status();
  co_return Flag(Json::parse(*text, nullptr, /*allow_exceptions=*/false), "IsInfra");
}

}  // namespace fairlead::runtime
