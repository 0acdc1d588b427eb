// service ls|inspect, endpoint ls|add|rm, route ls.
#include <ostream>

#include "app/api_reply.h"
#include "app/commands.h"
#include "app/table.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

// What the row says of its readiness in few words.
std::string StatusCell(const json& row, Nanos) {
  if (FieldOf(row, "ready") != "yes") return FieldOf(row, "reason");
  // It serves because all of its service failed together: the check is suspect.
  const std::string status = FieldOf(row, "fails_open") == "yes" ? Cat("ready, though unhealthy: ", FieldOf(row, "health_reason")) : "ready";
  const std::string note = FieldOf(row, "note");
  return note.empty() ? status : Cat(status, " (", note, ")");
}

std::string ProblemsCell(const json& row, Nanos) {
  auto problems = row.find("problems");
  if (problems == row.end() || problems->empty()) return "";
  return Cat(problems->size(), problems->size() == 1 ? " problem" : " problems");
}

Listing ServiceListing() {
  return {.what = "services",
          .columns = {Field("NAME", "name"),
                      {"READY", [](const json& row, Nanos) { return Cat(FieldOf(row, "ready"), "/", FieldOf(row, "total")); }},
                      Field("HOSTS", "hosts"),
                      Field("PROTOCOL", "protocol", true),
                      Field("SOURCE", "sources", true),
                      {"NOTE", ProblemsCell}}};
}

void PrintService(Session& session, const json& service) {
  std::ostream& out = session.out();
  Table facts;
  facts.Add({"service", FieldOf(service, "name")});
  facts.Add({"ready", Cat(FieldOf(service, "ready"), " of ", FieldOf(service, "total"), " endpoints")});
  facts.Add({"protocol", FieldOf(service, "protocol")});
  facts.Add({"source", FieldOf(service, "sources")});
  for (const json& name : ListIn(service, "names")) facts.Add({"name", TextOf(name)});
  out << facts.ToString();
  if (const json& routes = ListIn(service, "routes"); !routes.empty())
    out << "\n" << TableOf(RouteListing(), routes, false, session.now_wall());
  Table endpoints({"ENDPOINT", "ADDRESS", "STATUS", "WEIGHT", "NODE", "AGE", "ADDRESS RULE"});
  Table problems;
  for (const json& row : ListIn(service, "endpoints")) {
    endpoints.Add({FieldOf(row, "name"), FieldOf(row, "address"), StatusCell(row, 0), FieldOf(row, "weight"),
                   FieldOf(row, "node"), AgeOf(row, "since", session.now_wall()), FieldOf(row, "address_rule")});
    for (const json& problem : ListIn(row, "problems")) problems.Add({FieldOf(row, "name"), TextOf(problem)});
  }
  if (endpoints.size() > 0) out << "\n" << endpoints.ToString();
  if (problems.size() > 0) out << "\nproblems:\n" << problems.ToString();
}

Status InspectService(Session& session, const std::string& name) {
  ASSIGN_OR_RETURN(json service, session.Get(Cat("/v1/services/", PercentEncode(name))));
  if (!session.PrintObject(service)) PrintService(session, service);
  return OkStatus();
}

}  // namespace

Listing EndpointListing() {
  return {.what = "endpoints",
          .columns = {Field("SERVICE", "service"),
                      Field("NAME", "name"),
                      Field("ADDRESS", "address"),
                      {"STATUS", StatusCell},
                      Field("WEIGHT", "weight"),
                      Field("NODE", "node"),
                      Age("AGE", "since"),
                      Field("STATE", "state", true),
                      Field("HEALTH", "health", true),
                      Age("HEALTH SINCE", "health_since", true),
                      Field("CHECKED BY", "checked_by", true),
                      Field("PROTOCOL", "protocol", true),
                      Field("SOURCE", "source", true),
                      Field("EXPIRES", "expires", true),
                      Field("ADDRESS RULE", "address_rule", true)},
          .key = {"service", "uid"}};
}

std::string RouteNote(const json& route) {
  std::string rule = FieldOf(route, "rule"), fault = FieldOf(route, "fault");
  if (fault.starts_with("middleware")) return Cat("answers 503: ", fault, rule.empty() ? "" : ": ", rule);
  if (!fault.empty()) return Cat("not in use: ", rule, ": ", fault);
  std::string shadowed = FieldOf(route, "shadowed") == "yes" ? Cat("shadowed by ", FieldOf(route, "shadowed_by")) : "";
  return Cat(shadowed, shadowed.empty() || rule.empty() ? "" : ": ", rule);
}

// The references, in the order they are applied.
std::string MiddlewaresCell(const json& route, Nanos) {
  std::vector<std::string> references;
  if (route.contains("middlewares"))
    for (const json& reference : ListIn(route["middlewares"], "references")) references.push_back(TextOf(reference));
  return Join(references, ", ");
}

Listing RouteListing() {
  return {.what = "routes",
          .columns = {Field("HOST", "host"),
                      Field("PATH", "path_prefix"),
                      Field("SERVICE", "service"),
                      {"LISTENERS", [](const json& row, Nanos) {
                         std::string listeners = FieldOf(row, "listeners");
                         return listeners.empty() ? std::string("all") : listeners;
                       }},
                      Field("SOURCE", "source"),
                      Field("PRIORITY", "priority", true),
                      {"MIDDLEWARES", MiddlewaresCell, true},
                      {"NOTE", [](const json& row, Nanos) { return RouteNote(row); }}},
          .key = {"host", "path_prefix", "service", "rule", "listeners"},
          .name = "host"};
}

namespace {

struct EndpointFlags {
  std::string service, address, name, protocol, path, rule, check, ttl;
  std::vector<std::string> hosts;
  uint32_t weight = 1;
};

Status AddEndpoint(Session& session, const EndpointFlags& flags) {
  json body = {{"service", flags.service}, {"address", flags.address}, {"weight", flags.weight}};
  for (const auto& [key, value] : {std::pair("name", flags.name), {"protocol", flags.protocol}, {"path", flags.path},
                                   {"rule", flags.rule}, {"check", flags.check}, {"ttl", flags.ttl}})
    if (!value.empty()) body[key] = value;
  if (!flags.hosts.empty()) body["host"] = flags.hosts;
  ASSIGN_OR_RETURN(json made, session.Change("PUT", "/v1/endpoints", body));
  const std::string until = FieldOf(made, "expires");
  Tell(session, Cat(FieldOf(made, "renewed") == "yes" ? "renewed " : "added ", FieldOf(made, "address"), " of ", FieldOf(made, "service"),
                    until.empty() ? ", until it is removed" : Cat(", until ", until)));
  return OkStatus();
}

Status RemoveEndpoint(Session& session, const EndpointFlags& flags) {
  RETURN_IF_ERROR(session.Confirm(Cat("Remove endpoint ", flags.address, " of ", flags.service, "?")));
  ASSIGN_OR_RETURN(json gone, session.Change("DELETE", Cat("/v1/endpoints?service=", PercentEncode(flags.service), "&address=",
                                                           PercentEncode(flags.address))));
  Tell(session, Cat("removed ", FieldOf(gone, "address"), " of ", FieldOf(gone, "service")));
  return OkStatus();
}

void AddEndpointChanges(CommandTree& tree, CLI::App& endpoint) {
  auto flags = std::make_shared<EndpointFlags>();
  CLI::App& add = tree.Verb(endpoint, "add", "add an endpoint that is no container, or renew it",
                            [flags](Session& session) { return AddEndpoint(session, *flags); });
  add.add_option("SERVICE", flags->service)->required();
  add.add_option("ADDRESS", flags->address, "as in 10.0.0.5:8080 or db.example.com:5432")->required();
  add.add_option("--ttl", flags->ttl, "lapses unless it is added again within; default: never")->type_name("TIME");
  add.add_option("--check", flags->check, "http:/PATH, tcp, grpc, none; default: once its port accepts")->type_name("CHECK");
  add.add_option("--name", flags->name, "for DNS, as a container has one")->type_name("NAME");
  add.add_option("--weight", flags->weight, "0 to 1000; default 1")->type_name("N");
  add.add_option("--protocol", flags->protocol, "http, h2c, tcp, udp")->type_name("P");
  add.add_option("--host", flags->hosts, "host names that are routed to the service")->type_name("HOST");
  add.add_option("--path", flags->path, "with --host: only below this path")->type_name("PATH");
  add.add_option("--rule", flags->rule, "in place of --host and --path")->type_name("RULE");
  auto gone = std::make_shared<EndpointFlags>();
  CLI::App& rm = tree.Verb(endpoint, "rm", "remove an added endpoint; one of the file until the next reload",
                           [gone](Session& session) { return RemoveEndpoint(session, *gone); });
  rm.add_option("SERVICE", gone->service)->required();
  rm.add_option("ADDRESS", gone->address)->required();
  tree.AddYes(rm);
}

}  // namespace

void AddServiceCommands(CommandTree& tree) {
  CLI::App& service = tree.Noun("service", "services: who may take their traffic");
  tree.Ls(service, "list services", ServiceListing(), "/v1/services");
  tree.Inspect(service, "one service with its names, routes, endpoints and problems", InspectService);
  CLI::App& endpoint = tree.Noun("endpoint", "endpoints: a container's or an address' part in a service");
  tree.Ls(endpoint, "list endpoints", EndpointListing(), "/v1/endpoints");
  AddEndpointChanges(tree, endpoint);
  CLI::App& route = tree.Noun("route", "routes: which host and path lead to which service");
  tree.Ls(route, "list routes, shadowed ones too", RouteListing(), "/v1/routes");
}

}  // namespace fairlead::app
