// Branch environments for people: `env ls` and /v1/envs (docs/api.md).
#pragma once

#include <nlohmann/json.hpp>

#include "app/agent_view.h"

namespace fairlead::app {

// A list by project and branch: services, endpoints, where they run, and the host that leads there.
nlohmann::json EnvsJson(const AgentView& view);

}  // namespace fairlead::app
