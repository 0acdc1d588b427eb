#include "runtime-shim/programs/netavark_program.h"

#include "runtime-shim/programs/agent_call.h"

namespace fairlead::programs {
namespace {

using nlohmann::json;

std::string Dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }
ProgramOutput Failure(std::string message) { return {Dump({{"error", std::move(message)}}), 1}; }

}  // namespace

ProgramOutput RunNetavark(const std::vector<std::string>& arguments, const std::string& input, const std::string& socket) {
  const std::string command = arguments.empty() ? "" : arguments[0];
  if (command == "info") return {Dump({{"version", FAIRLEAD_VERSION}, {"api_version", "1.0.0"}}), 0};
  const bool inside = command == "setup" || command == "teardown";
  if (command != "create" && !inside)
    return Failure(Cat("command \"", command, "\" is none of create, setup, teardown, info: this is a plugin that netavark runs"));
  if (inside && arguments.size() < 2) return Failure(Cat(command, " needs the path of a network namespace"));
  const json body = json::parse(input, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) return Failure("what is on stdin is no JSON object");
  const auto answer = CallAgent(socket, "netavark", {{"command", command}, {"netns", inside ? arguments[1] : ""}, {"input", body}},
                                MonotonicNow() + kCniPatience);
  // A stop passes whatever happened: the agent finds the namespace gone, and the address stays its name's anyhow.
  if (!answer.ok()) return command == "teardown" ? ProgramOutput{} : Failure(std::string(Message(answer.status())));
  if (auto error = answer->find("error"); error != answer->end()) return {Dump({{"error", *error}}), 1};
  auto result = answer->find("result");
  if (result == answer->end()) return Failure("the agent's answer has no result");
  return {command == "teardown" ? "" : Dump(*result), 0};
}

}  // namespace fairlead::programs
