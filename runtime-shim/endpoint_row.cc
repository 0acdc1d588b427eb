#include "runtime-shim/endpoint_row.h"

#include <algorithm>
#include <array>
#include <utility>

#include "discovery/labels.h"
#include "ipam/ipam.h"

namespace fairlead::runtime {
namespace {

using discovery::HealthState;
using discovery::RunState;

HealthState HealthOf(std::string_view health) {
  if (health == "starting") return HealthState::kStarting;
  if (health == "healthy") return HealthState::kHealthy;
  return health == "unhealthy" ? HealthState::kUnhealthy : HealthState::kNone;
}

// Ours first, then other networks by name; the node's own for containers on the host's network.
void AddAddresses(const RowContext& context, const std::map<std::string, std::string>& drivers,
                  const ContainerDetails& container, discovery::EndpointRow& row) {
  for (bool managed : {true, false}) {
    for (const NetworkAttachment& at : container.networks) {
      auto driver = drivers.find(at.network_id);
      bool ours = driver != drivers.end() && std::ranges::find(context.drivers, driver->second) != context.drivers.end();
      if (ours != managed) continue;
      for (const InterfaceAddress& ip : {at.ipv4, at.ipv6}) {
        if (ip.address.is_set()) row.addresses.push_back({ip.address, at.mac, at.network, managed});
      }
    }
  }
  if (!container.host_network || row.state == RunState::kExited) return;
  for (const IpAddress& ip : context.node_addresses) row.addresses.push_back({.ip = ip, .mac = {}, .network = ""});
}

// Docker adds the container's short id and service name among the aliases: the id is nobody's name for it.
void AddAliases(const ContainerDetails& container, discovery::EndpointRow& row) {
  for (const NetworkAttachment& at : container.networks) {
    for (const std::string& alias : at.aliases) {
      if (!container.id.starts_with(alias)) row.aliases.push_back(alias);
    }
  }
  std::ranges::sort(row.aliases);
  auto [first, last] = std::ranges::unique(row.aliases);
  row.aliases.erase(first, last);
}

void AddServices(const RowContext& context, const ContainerDetails& container, discovery::NameTables& names,
                 discovery::EndpointRow& row) {
  discovery::ContainerFacts facts;
  facts.name = row.name;
  facts.labels.insert(container.labels.begin(), container.labels.end());
  facts.environment.insert(container.environment.begin(), container.environment.end());
  for (const ContainerPort& port : container.exposed) facts.exposed_ports.emplace_back(port.number, port.protocol);
  facts.engine_checks = !container.health.empty();
  facts.dialects = context.dialects;
  facts.where.published_ports = row.published_ports;
  facts.where.host_network = container.host_network;
  facts.where.node_addresses = context.node_addresses;
  for (const discovery::Address& address : row.addresses) {
    if (!address.network.empty()) facts.where.addresses.push_back(address);
  }
  discovery::ContainerServices services = discovery::DescribeServices(facts, names);
  row.project = std::move(services.project);
  row.branch = std::move(services.branch);
  row.env = std::move(services.env);
  row.release = std::move(services.release);
  row.services = std::move(services.services);
  row.middlewares = std::move(services.middlewares);
}

}  // namespace

RunState RunStateOf(std::string_view state) {
  if (state == "running" || state == "stopping") return RunState::kRunning;  // stopping: Podman's, until the process ends
  if (state == "paused") return RunState::kPaused;
  if (state == "restarting") return RunState::kRestarting;
  bool before = state == "created" || state == "configured" || state == "initialized";  // the latter two are Podman's
  return before ? RunState::kCreated : RunState::kExited;                               // exited, dead, removing, stopped
}

int SignalNumber(std::string_view signal) {
  if (auto number = ParseNumber<int>(signal)) return *number;
  if (signal.starts_with("SIG")) signal.remove_prefix(3);
  static constexpr std::array<std::pair<std::string_view, int>, 14> kNames{{
      {"HUP", 1}, {"INT", 2}, {"QUIT", 3}, {"ABRT", 6}, {"KILL", 9}, {"USR1", 10}, {"SEGV", 11}, {"USR2", 12},
      {"PIPE", 13}, {"ALRM", 14}, {"TERM", 15}, {"CONT", 18}, {"STOP", 19}, {"WINCH", 28}}};
  for (auto [name, number] : kNames) {
    if (name == signal) return number;
  }
  // Real-time signals: systemd in a container stops by SIGRTMIN+3.
  if (signal == "RTMIN") return 34;
  if (signal.starts_with("RTMIN+")) return 34 + ParseNumber<int>(signal.substr(6)).value_or(-34);
  return 0;
}

discovery::EndpointRow BuildRow(const RowContext& context, const std::map<std::string, std::string>& drivers,
                                const ContainerDetails& container, discovery::NameTables& names) {
  discovery::EndpointRow row;
  row.node = context.node;
  row.engine = context.engine;
  row.engine_id = container.id;
  row.uid = container.run.empty() ? Cat(container.id.substr(0, 12), "-", container.started_wall) : container.run;
  row.name = ipam::CanonicalName(container.name, IsCompose(container.labels));
  row.stop_signal = container.stop_signal;
  row.stop_timeout_s = container.stop_timeout_s;
  row.pid = container.pid;
  row.state = RunStateOf(container.state);
  row.health = row.state == RunState::kRunning ? HealthOf(container.health) : HealthState::kNone;
  if (row.health == HealthState::kUnhealthy) row.health_reason = container.health_reason;
  if (row.health != HealthState::kNone) row.health_interval = container.health_interval;
  row.since_wall = row.state == RunState::kExited ? container.finished_wall : container.started_wall;
  row.created_wall = container.created_wall;
  for (const PortBinding& binding : container.published) {
    row.published_ports.push_back({binding.container.number, binding.container.protocol, binding.host_ip, binding.host_port});
  }
  AddAddresses(context, drivers, container, row);
  AddAliases(container, row);
  AddServices(context, container, names, row);
  return row;
}

}  // namespace fairlead::runtime
