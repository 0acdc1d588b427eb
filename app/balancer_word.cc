#include "app/balancer_word.h"

#include "app/agent_view.h"
#include "base/http/client.h"

namespace fairlead::app {

using discovery::HealthState;
using nlohmann::json;

namespace {

HealthState HealthNamed(std::string_view name) {
  for (size_t i = 0; i < discovery::kHealthStates; i++)
    if (const auto state = static_cast<HealthState>(i); HealthName(state) == name) return state;
  return HealthState::kNone;
}

// The member if it is of the type of `otherwise`.
template <class T>
T Member(const json& object, const char* key, T otherwise) {
  auto found = object.find(key);
  if (found == object.end() || found->type() != json(otherwise).type()) return otherwise;
  return found->get<T>();
}

}  // namespace

json ChecksJson(const lb::Picture& picture) {
  json checks = json::array();
  for (const std::string& service : picture.Services())
    for (const lb::Picture::EndpointInfo& endpoint : picture.Endpoints(service)) {
      if (endpoint.checked_by != "balancer" && endpoint.listen_fault.empty()) continue;
      checks.push_back({{"service", service},
                        {"uid", endpoint.view->uid},
                        {"health", HealthName(endpoint.health.state)},
                        {"health_reason", endpoint.health.reason},
                        {"health_since_ns", std::to_string(endpoint.health.since_wall)},
                        {"checked_by", endpoint.checked_by == "balancer" ? endpoint.checked_by : ""},
                        {"listen_fault", endpoint.listen_fault},
                        {"fails_open", endpoint.fails_open},
                        {"ready", endpoint.ready},
                        {"reason", endpoint.why_not}});
    }
  return checks;
}

BalancerWord ParseChecks(const json& checks) {
  BalancerWord word{.answered = checks.is_array()};
  if (!word.answered) return word;
  for (const json& check : checks) {
    if (!check.is_object()) continue;
    lb::Picture::EndpointInfo info;
    info.health.state = HealthNamed(Member(check, "health", std::string()));
    info.health.reason = Member(check, "health_reason", std::string());
    info.health.since_wall = ParseNumber<int64_t>(Member(check, "health_since_ns", std::string())).value_or(0);
    info.fails_open = Member(check, "fails_open", false);
    info.ready = Member(check, "ready", false);
    info.why_not = Member(check, "reason", std::string());
    info.checked_by = Member(check, "checked_by", std::string());
    info.listen_fault = Member(check, "listen_fault", std::string());
    word.found[{Member(check, "service", std::string()), Member(check, "uid", std::string())}] = std::move(info);
  }
  return word;
}

io::Task<BalancerWord> AskBalancer(io::Proactor& proactor, SocketAddress admin) {
  if (!admin.is_set()) co_return BalancerWord();
  http::Request request{.method = "GET", .target = "/v1/checks"};
  auto answer = co_await http::Fetch(proactor, admin, std::move(request), proactor.Now() + kBalancerPatience);
  if (!answer.ok() || answer->status != 200) co_return BalancerWord();
  co_return ParseChecks(json::parse(answer->body, nullptr, /*allow_exceptions=*/false));
}

}  // namespace fairlead::app
