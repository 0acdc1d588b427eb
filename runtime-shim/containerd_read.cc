#include "runtime-shim/containerd_read.h"

#include <algorithm>

#include "base/strings.h"
#include "containerd/containerd.pb.h"
#include "discovery/labels.h"
#include "runtime-shim/json_fields.h"

namespace fairlead::runtime {
namespace {

constexpr std::string_view kName = "nerdctl/name", kPorts = "nerdctl/ports", kStopTimeout = "nerdctl/stop-timeout",
                           kStopSignal = "io.containerd.image.config.stop-signal";

constexpr uint32_t kMaxStopTimeout = 86'400;  // s

std::string LabelOf(const Labels& labels, std::string_view name) {
  auto found = labels.find(name);
  return found == labels.end() ? "" : found->second;
}

Nanos WallOf(const google::protobuf::Timestamp& time) { return time.seconds() * kSecond + time.nanos(); }

// [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "0.0.0.0"}]
void ReadPorts(const std::string& text, ContainerDetails& out) {
  const Json ports = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!ports.is_array()) return;
  for (const Json& port : ports) {
    const int64_t inside = Integer(port, "ContainerPort"), outside = Integer(port, "HostPort");
    std::string protocol = Text(port, "Protocol");
    if (protocol.empty()) protocol = "tcp";
    if (inside < 1 || inside > UINT16_MAX) continue;
    const ContainerPort container{static_cast<uint16_t>(inside), protocol};
    out.exposed.push_back(container);  // as Docker has it: what is published is exposed
    if (outside < 1 || outside > UINT16_MAX) continue;
    auto host = IpAddress::Parse(Text(port, "HostIP"));
    out.published.push_back({container, host.ok() ? *host : IpAddress::V4(0), static_cast<uint16_t>(outside)});
  }
}

// OCI runtime specification: process.env, and a container without a network namespace of its own is on the host's.
void ReadSpec(const std::string& text, ContainerDetails& out) {
  const Json spec = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const Json& namespaces = Member(Member(spec, "linux"), "namespaces");
  out.host_network = namespaces.is_array() && std::ranges::none_of(namespaces, [](const Json& one) { return Text(one, "type") == "network"; });
  const Json& environment = Member(Member(spec, "process"), "env");
  if (!environment.is_array()) return;
  for (const Json& variable : environment) {
    if (!variable.is_string()) continue;
    const auto& pair = variable.get_ref<const std::string&>();
    const size_t equals = pair.find('=');
    if (equals != pair.npos && discovery::IsDialectVariable(pair.substr(0, equals)))
      out.environment.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
}

void ReadNetworks(const std::vector<CniResult>& networks, ContainerDetails& out) {
  for (const CniResult& result : networks) {
    NetworkAttachment at{.network = result.network, .network_id = result.network, .endpoint_id = result.interface, .mac = result.mac};
    for (const InterfaceAddress& address : result.addresses) {
      if (address.address.is_loopback()) continue;
      InterfaceAddress& family = address.address.is_v6() ? at.ipv6 : at.ipv4;
      if (!family.address.is_set()) family = address;
    }
    if (at.ipv4.address.is_set() || at.ipv6.address.is_set()) out.networks.push_back(std::move(at));
  }
}

// The first field, text, of any of containerd's events.
template <class Message>
Message Parsed(const containerd::Envelope& envelope) {
  Message message;
  if (!message.ParseFromString(envelope.event().value())) message.Clear();
  return message;
}

EngineEvent ContainerEvent(const containerd::Envelope& envelope, std::string action, const std::string& id) {
  return {.type = "container", .action = std::move(action), .id = Cat(envelope.namespace_(), "/", id),
          .time_wall = WallOf(envelope.timestamp())};
}

}  // namespace

std::string TaskState(const containerd::Process* task, bool had_one) {
  if (task == nullptr) return had_one ? "exited" : "created";
  switch (task->status()) {
    case containerd::Process::RUNNING: return "running";
    case containerd::Process::PAUSED:
    case containerd::Process::PAUSING: return "paused";
    case containerd::Process::STOPPED: return "exited";
    default: return "created";
  }
}

ContainerDetails ReadContainer(const std::string& name_space, const containerd::Container& container, const containerd::Process* task,
                               bool had_task, uint64_t start_ticks, Nanos started_wall, const std::vector<CniResult>& networks) {
  ContainerDetails out;
  out.id = Cat(name_space, "/", container.id());
  for (const auto& [key, value] : container.labels()) out.labels.emplace(key, value);
  out.name = LabelOf(out.labels, kName);
  if (out.name.empty()) out.name = container.id();
  out.state = TaskState(task, had_task);
  out.created_wall = WallOf(container.created_at());
  out.run = Cat(name_space, "/", container.id(), "-", start_ticks);
  out.started_wall = started_wall;
  if (task != nullptr && out.state != "exited") out.pid = static_cast<int32_t>(task->pid());
  if (task != nullptr && out.state == "exited") out.finished_wall = WallOf(task->exited_at());
  if (std::string signal = LabelOf(out.labels, kStopSignal); !signal.empty()) out.stop_signal = std::move(signal);
  if (auto timeout = ParseNumber<uint32_t>(LabelOf(out.labels, kStopTimeout))) out.stop_timeout_s = std::min(*timeout, kMaxStopTimeout);
  ReadPorts(LabelOf(out.labels, kPorts), out);
  ReadSpec(container.spec().value(), out);
  if (out.state == "running" || out.state == "paused") ReadNetworks(networks, out);
  return out;
}

std::optional<EngineEvent> ReadEvent(const containerd::Envelope& envelope, const std::vector<std::string>& namespaces) {
  if (std::ranges::find(namespaces, envelope.namespace_()) == namespaces.end()) return std::nullopt;
  const std::string& topic = envelope.topic();
  if (topic.starts_with("/containers/")) {
    const auto event = Parsed<containerd::ContainerEvent>(envelope);
    return ContainerEvent(envelope, topic == "/containers/delete" ? "destroy" : topic.substr(sizeof "/containers/" - 1), event.id());
  }
  // Of an exec's process too; the container's own has the container's id.
  if (topic == "/tasks/exit") {
    const auto event = Parsed<containerd::TaskExit>(envelope);
    if (event.id() != event.container_id()) return std::nullopt;
    return ContainerEvent(envelope, "die", event.container_id());
  }
  if (topic == "/tasks/delete") {
    const auto event = Parsed<containerd::TaskDelete>(envelope);
    if (!event.id().empty() && event.id() != event.container_id()) return std::nullopt;
    return ContainerEvent(envelope, "update", event.container_id());
  }
  for (const auto& [theirs, ours] : {std::pair("/tasks/create", "update"), {"/tasks/start", "start"}, {"/tasks/paused", "pause"},
                                     {"/tasks/resumed", "unpause"}, {"/tasks/oom", "oom"}})
    if (topic == theirs) {
      EngineEvent event = ContainerEvent(envelope, ours, Parsed<containerd::ContainerEvent>(envelope).id());
      event.early = topic == "/tasks/start";  // `ctr run --cni` adds its network beside it
      return event;
    }
  return std::nullopt;
}

uint64_t StartTicks(std::string_view stat) {
  constexpr size_t kAfterName = 19;          // field 22; the name, in parentheses, may hold anything
  const size_t name_end = stat.rfind(") ");
  if (name_end == stat.npos) return 0;
  const std::vector<std::string_view> fields = Split(stat.substr(name_end + 2), ' ');
  return fields.size() > kAfterName ? ParseNumber<uint64_t>(fields[kAfterName]).value_or(0) : 0;
}

}  // namespace fairlead::runtime
