// Docker's JSON to the values of engine.h. Unknown fields are ignored, missing ones keep their defaults; what is no JSON,
// or not of the expected kind, is an error. `what` names the request in it.
#pragma once

#include <string_view>

#include "runtime-shim/engine.h"

namespace fairlead::runtime {

std::optional<EngineVersion> ParseVersion(std::string_view text);  // "1.41"

struct EngineVersions {
  EngineVersion newest, oldest;     // of the API that the engine speaks
};

StatusOr<EngineVersions> ParseVersions(std::string_view json);
StatusOr<std::vector<ContainerSummary>> ParseContainerList(std::string_view json);
StatusOr<ContainerDetails> ParseContainer(std::string_view json);
StatusOr<std::vector<NetworkDetails>> ParseNetworkList(std::string_view json);
StatusOr<NetworkDetails> ParseNetwork(std::string_view json);
StatusOr<EngineEvent> ParseEvent(std::string_view json);
// Bodies of POST /networks/NETWORK/disconnect and …/connect.
std::string DisconnectBody(const std::string& container);
std::string ConnectBody(const std::string& container, const EndpointSettings& settings);
std::string CreateNetworkBody(const NetworkDetails& network);  // of POST /networks/create
std::string ParseErrorMessage(std::string_view json);  // {"message": …}; else the text itself, shortened

// "2026-11-21T02:32:18.123456789Z" or with an offset; 0 for the engine's zero time and what is no time.
Nanos ParseTimestamp(std::string_view text);

}  // namespace fairlead::runtime
