#include "app/env_api.h"

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "app/api_reply.h"
#include "base/io/await.h"
#include "base/strings.h"
#include "discovery/names.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

constexpr Nanos kStopPatience = 10 * kSecond;  // for the engine, beyond the container's own stop timeout
constexpr Nanos kLongestStop = 50 * kSecond;   // whoever asks waits for a minute (ApiClient::kChangeDeadline)

}  // namespace

// Of this host: containers and what was registered. Of others only where they are.
struct EnvApi::Env {
  std::string project, branch;
  std::vector<std::shared_ptr<const discovery::Row>> kept;  // what the pointers below lead to
  std::vector<const discovery::EndpointRow*> containers, registered;
  std::set<std::string> elsewhere;

  json ToJson() const {
    json names = json::array(), addresses = json::array();
    for (const auto* row : containers) names.push_back(row->name);
    for (const auto* row : registered)
      for (const discovery::ServiceEntry& entry : row->services)
        addresses.push_back(Cat(entry.service, " ", row->name.empty() ? SocketAddress(entry.ip, entry.port).ToString() : row->name));
    return {{"project", project}, {"branch", branch}, {"containers", std::move(names)}, {"endpoints", std::move(addresses)}, {"elsewhere", elsewhere}};
  }
};

void EnvApi::AddTo(AgentApi& api) {
  api.AddPage("/v1/envs/", [this](ApiCall call) { return Show(std::move(call)); });
  api.AddChange("DELETE", "/v1/envs/", "env rm", [this](ApiCall call) { return Remove(std::move(call)); });
}

// "PROJECT/BRANCH"; the branch as the label has it, or as its name is.
StatusOr<EnvApi::Env> EnvApi::Find(const std::string& name) const {
  const size_t slash = name.find('/');
  if (slash == name.npos || slash == 0 || slash + 1 == name.size()) return InvalidArgument("\"", name, "\" is no environment; write PROJECT/BRANCH");
  Env env{.project = name.substr(0, slash), .branch = name.substr(slash + 1), .kept = {}};
  const std::string label = discovery::BranchLabel(env.branch);
  catalog_.ForEach([&](std::shared_ptr<const discovery::Row> entry) {
    const discovery::EndpointRow* row = entry->endpoint();
    if (row == nullptr || row->project != env.project || row->branch.empty()) return;
    if (row->branch != env.branch && discovery::BranchLabel(row->branch) != label) return;
    if (row->node != parts_.node) {
      env.elsewhere.insert(row->node);
    } else {
      (row->engine.empty() ? env.registered : env.containers).push_back(row);
      env.kept.push_back(std::move(entry));
    }
  });
  for (auto* rows : {&env.containers, &env.registered})
    std::ranges::sort(*rows, {}, [](const discovery::EndpointRow* row) -> const std::string& { return row->name; });
  if (env.containers.empty() && env.registered.empty() && env.elsewhere.empty())
    return WithFix(NotFound("project ", env.project, " has no branch ", env.branch), "fairlead env ls");
  return env;
}

EnvApi::Answer EnvApi::Show(ApiCall call) const {
  CO_ASSIGN_OR_RETURN(Env env, Find(call.name));
  co_return env.ToJson();
}

io::Task<void> EnvApi::RemoveContainer(const discovery::EndpointRow* row, Status* out) {
  runtime::Engine* engine = engine_(row->engine);
  if (engine == nullptr) {
    *out = Unavailable("engine ", row->engine, " is not followed");
    co_return;
  }
  const Nanos patience = std::min(kLongestStop, row->stop_timeout_s * kSecond + kStopPatience);
  *out = co_await engine->RemoveContainer(row->engine_id, parts_.proactor.Now() + patience);
}

// All at once: each may take its stop timeout. What is registered goes first, since it takes no time.
EnvApi::Answer EnvApi::Remove(ApiCall call) {
  CO_ASSIGN_OR_RETURN(Env env, Find(call.name));
  std::vector<std::string> failures;
  for (const auto* row : env.registered) {
    const EndpointBook::Entry* entry = book_.FindUid(row->uid);
    if (entry == nullptr) continue;  // a name has a row for each of its addresses: it went with the first
    const std::string service = entry->what.Service();
    Status removed = co_await book_.Remove(service, entry->what.address);
    if (!removed.ok() && removed.code() != StatusCode::kNotFound) failures.push_back(Cat("endpoint of ", service, ": ", Message(removed)));
  }
  std::vector<Status> results(env.containers.size());
  io::TaskGroup group;
  for (size_t i = 0; i < results.size(); i++) group.Spawn(RemoveContainer(env.containers[i], &results[i]));
  co_await group.Join();
  json removed = json::array();
  for (size_t i = 0; i < results.size(); i++) {
    const std::string& name = env.containers[i]->name;
    if (results[i].ok()) removed.push_back(name);
    if (!results[i].ok()) failures.push_back(Cat("container ", name, ": ", Message(results[i])));
  }
  if (!failures.empty()) co_return Unavailable("of ", env.project, "/", env.branch, " remain: ", Join(failures, "; "));
  json answer = env.ToJson();
  answer["containers"] = std::move(removed);
  co_return answer;
}

}  // namespace fairlead::app
