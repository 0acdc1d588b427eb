#include "runtime-shim/cni.h"

#include "base/log.h"

namespace fairlead::runtime {
namespace {

CniCode CodeOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kUnimplemented: return CniCode::kConfig;
    case StatusCode::kUnavailable:
    case StatusCode::kAborted:
    case StatusCode::kDeadlineExceeded: return CniCode::kTryLater;
    case StatusCode::kResourceExhausted: return CniCode::kExhausted;
    case StatusCode::kAlreadyExists: return CniCode::kConflict;
    case StatusCode::kNotFound:
    case StatusCode::kFailedPrecondition: return CniCode::kDrifted;
    default: return CniCode::kIo;
  }
}

Json ErrorOf(const std::string& version, CniCode code, std::string message) {
  return {{"error", {{"cniVersion", version}, {"code", static_cast<int>(code)}, {"msg", std::move(message)}, {"details", ""}}}};
}

bool Before(const std::string& version, const std::string& other) {  // of the known ones, whose text sorts as they do
  return version < other;
}

Json Ips(const CniCall& call, const Attached& attached) {
  Json ips = Json::array();
  for (size_t i = 0; i < attached.record.addresses.size(); ++i) {
    const InterfaceAddress& address = attached.record.addresses[i];
    Json ip{{"address", address.ToString()}};
    if (Before(call.version, "1.0.0")) ip["version"] = address.address.is_v4() ? "4" : "6";
    if (attached.gateways[i].is_set()) ip["gateway"] = attached.gateways[i].ToString();
    if (!call.as_ipam) ip["interface"] = 2;
    ips.push_back(std::move(ip));
  }
  return ips;
}

// The host's bridge, the host's side, and the container's, to which the addresses belong.
Json Interfaces(const CniCall& call, const Attached& attached) {
  Json inside{{"name", call.interface}, {"mac", attached.record.mac.ToString()}, {"sandbox", call.netns}};
  if (!Before(call.version, "1.1.0") && call.network.mtu != 0) inside["mtu"] = call.network.mtu;
  return {{{"name", attached.bridge}}, {{"name", attached.host_interface}}, std::move(inside)};
}

Json Routes(const CniCall& call, const Attached& attached) {
  if (call.as_ipam && call.routes.is_array()) return call.routes;
  Json routes = Json::array();
  for (const IpAddress& gateway : attached.gateways)
    if (gateway.is_set()) routes.push_back({{"dst", gateway.is_v4() ? "0.0.0.0/0" : "::/0"}, {"gw", gateway.ToString()}});
  return routes;
}

Json ResultOf(const CniCall& call, const Attached& attached) {
  Json result{{"cniVersion", call.version}};
  if (!call.as_ipam) result["interfaces"] = Interfaces(call, attached);
  result["ips"] = Ips(call, attached);
  result["routes"] = Routes(call, attached);
  result["dns"] = call.dns.is_object() ? call.dns : Json::object();
  return result;
}

}  // namespace

io::Task<StatusOr<Json>> CniPlugin::Handle(Json request) {
  const std::string command = Text(request, "command");
  if (command == "VERSION")
    co_return Json{{"result", {{"cniVersion", CniVersions().back()}, {"supportedVersions", CniVersions()}}}};
  ParsedCni parsed = ParseCni(request);
  const std::string version = parsed.call.version;
  if (!parsed.ok) co_return ErrorOf(version, parsed.error.code, std::move(parsed.error.message));
  auto done = co_await Run(std::move(parsed.call));
  if (done.ok()) co_return Json{{"result", *std::move(done)}};
  const CniCode code = command == "STATUS" ? CniCode::kNotAvailable : CodeOf(done.status());
  co_return ErrorOf(version, code, std::string(Message(done.status())));
}

io::Task<StatusOr<Json>> CniPlugin::Run(CniCall call) {
  if (call.command == "ADD") co_return co_await Add(std::move(call));
  Status status = OkStatus();
  if (call.command == "DEL") {
    status = co_await Delete(std::move(call));
  } else if (call.command == "CHECK") {
    status = co_await parts_.attachments.Check(call.container_id, call.interface);
  } else if (call.command == "GC") {
    status = co_await parts_.attachments.Collect(call.network.name, call.valid);
  } else if (call.command == "STATUS") {
    status = parts_.attachments.PoolOf(call.network).status();
  } else {
    status = InvalidArgument("CNI_COMMAND \"", call.command, "\" is none of ADD, DEL, CHECK, GC, STATUS, VERSION");
  }
  if (!status.ok()) co_return status;
  co_return Json::object();
}

io::Task<StatusOr<Json>> CniPlugin::Add(CniCall call) {
  AttachRequest request{.container_id = call.container_id, .interface = call.interface, .netns = call.netns,
                        .network = call.network, .wanted = call.wanted, .mac = call.mac, .addresses_only = call.as_ipam};
  request.name = co_await NameOf(call);
  if (request.name.empty()) {
    request.name = call.container_id;
    request.ephemeral = true;
  }
  auto attached = co_await parts_.attachments.Attach(std::move(request));
  if (!attached.ok()) co_return attached.status();
  co_return ResultOf(call, *attached);
}

// A stop must pass whatever happened: what cannot be done now is done by GC, by the next start of the name, or by the
// agent's next start.
io::Task<Status> CniPlugin::Delete(CniCall call) {
  const std::string name = co_await NameOf(call);
  Status gone = co_await parts_.attachments.Detach(call.container_id, call.interface, call.network.name,
                                                   name.empty() ? call.container_id : name);
  if (!gone.ok()) LOG(kWarning, "attachment not removed yet", {"container", call.container_id}, {"error", Message(gone)});
  co_return OkStatus();
}

io::Task<std::string> CniPlugin::NameOf(CniCall call) {
  if (!call.pod_name.empty()) co_return ipam::CanonicalName(call.pod_name, false);
  co_return co_await io::OffloadTo(parts_.file_thread, parts_.proactor,
                                   [&] { return NerdctlName(parts_.nerdctl_root, call.container_id); });
}

}  // namespace fairlead::runtime
