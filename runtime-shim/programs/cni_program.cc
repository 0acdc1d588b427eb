#include "runtime-shim/programs/cni_program.h"

#include "runtime-shim/programs/agent_call.h"
#include "runtime-shim/programs/lease_file.h"

namespace fairlead::programs {
namespace {

using nlohmann::json;

constexpr int kEnvironment = 4, kIo = 5, kDecode = 6, kTryLater = 11, kNotAvailable = 50;  // of CNI's error result

std::string TextOf(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string Dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

std::string VersionOf(const json& config) {
  std::string version = config.is_object() ? TextOf(config, "cniVersion") : "";
  return version.empty() ? "1.0.0" : version;
}

ProgramOutput Failure(const json& config, int code, std::string message) {
  return {Dump({{"cniVersion", VersionOf(config)}, {"code", code}, {"msg", std::move(message)}, {"details", ""}}), 1};
}

// Engines ask at every turn: answered from constants, the same as the agent's.
ProgramOutput Versions() {
  return {Dump({{"cniVersion", "1.1.0"}, {"supportedVersions", {"0.3.1", "0.4.0", "1.0.0", "1.1.0"}}}), 0};
}

bool IsOurs(const json& config) {
  const std::string type = config.is_object() ? TextOf(config, "type") : "";
  return type == "fairlead" || type == "fairlead-cni";
}

// `ipam` of a network of another plugin, when it is ours; else the network itself.
const json& Ours(const json& config) {
  auto ipam = config.find("ipam");
  return ipam != config.end() && !IsOurs(config) && IsOurs(*ipam) ? *ipam : config;
}

std::string ArgumentOf(const std::string& args, std::string_view key) {
  for (std::string_view pair : Split(args, ';'))
    if (pair.starts_with(key) && pair.substr(key.size()).starts_with('=')) return std::string(pair.substr(key.size() + 1));
  return "";
}

// As the IPAM of another plugin nothing but the address is asked for, and a name that has one has it on file. With an
// interface to make, or a new name, only the agent can help.
ProgramOutput AddWithoutAgent(const CniInput& input, const json& config, const Status& why) {
  auto later = [&](std::string_view what) { return Failure(config, kTryLater, Cat("try later: ", what, " (", Message(why), ")")); };
  const json& ipam = Ours(config);
  if (&ipam == &config) return later("the agent is away");
  const std::string name = ArgumentOf(input.args, "K8S_POD_NAME");
  if (name.empty()) return later("the agent is away, and the container has no name");
  const std::string network = TextOf(ipam, "network").empty() ? TextOf(config, "name") : TextOf(ipam, "network");
  const std::string folder = TextOf(ipam, "state_dir").empty() ? kStateFolder : TextOf(ipam, "state_dir");
  const auto leases = ReadLeases(Cat(folder, "/agent/leases.db"), network, name);
  if (!leases.ok()) return later(Cat("the agent is away, and ", Message(leases.status())));
  const std::string wanted = ArgumentOf(input.args, "IP");
  json ips = json::array(), routes = json::array();
  bool has_wanted = wanted.empty();
  for (const KnownLease& lease : *leases) {
    has_wanted = has_wanted || lease.address.address.ToString() == wanted;
    json ip{{"address", lease.address.ToString()}};
    if (VersionOf(config) < "1.0.0") ip["version"] = lease.address.address.is_v4() ? "4" : "6";
    if (lease.gateway.is_set()) {
      ip["gateway"] = lease.gateway.ToString();
      routes.push_back({{"dst", lease.address.address.is_v4() ? "0.0.0.0/0" : "::/0"}, {"gw", lease.gateway.ToString()}});
    }
    ips.push_back(std::move(ip));
  }
  if (!has_wanted) return later(Cat("the agent is away, and ", name, " has another address than ", wanted));
  if (auto own = ipam.find("routes"); own != ipam.end() && own->is_array()) routes = *own;
  json dns = ipam.contains("dns") ? ipam["dns"] : json::object();
  return {Dump({{"cniVersion", VersionOf(config)}, {"ips", std::move(ips)}, {"routes", std::move(routes)}, {"dns", std::move(dns)}}), 0};
}

// A stop passes whatever happened: the agent finds the namespace gone, and the address stays its name's anyhow.
ProgramOutput WithoutAgent(const CniInput& input, const json& config, const Status& why) {
  if (input.command == "DEL") return {};
  const bool away = why.code() == StatusCode::kUnavailable || why.code() == StatusCode::kDeadlineExceeded;
  if (input.command == "STATUS") return Failure(config, kNotAvailable, Cat("not available: ", Message(why)));
  if (!away) return Failure(config, kIo, std::string(Message(why)));
  if (input.command == "ADD") return AddWithoutAgent(input, config, why);
  return Failure(config, kTryLater, Cat("try later: the agent is away (", Message(why), ")"));
}

}  // namespace

ProgramOutput RunCni(const CniInput& input) {
  if (input.command == "VERSION") return Versions();
  if (input.command.empty()) return Failure({}, kEnvironment, "CNI_COMMAND is not set: this is a plugin that container engines run");
  const json config = json::parse(input.config, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) {
    if (input.command == "DEL") return {};
    return Failure({}, kDecode, "the network configuration on stdin is no JSON object");
  }
  const std::string named = TextOf(Ours(config), "socket");
  const json request{{"command", input.command}, {"container_id", input.container_id}, {"netns", input.netns},
                     {"ifname", input.ifname},   {"args", input.args},                 {"path", input.path},
                     {"config", config}};
  const auto answer = CallAgent(named.empty() ? input.socket : named, "cni", request, MonotonicNow() + kCniPatience);
  if (!answer.ok()) return WithoutAgent(input, config, answer.status());
  if (auto error = answer->find("error"); error != answer->end()) return {Dump(*error), 1};
  auto result = answer->find("result");
  if (result == answer->end()) return WithoutAgent(input, config, Internal("the agent's answer has no result"));
  return {result->empty() ? "" : Dump(*result), 0};
}

}  // namespace fairlead::programs
