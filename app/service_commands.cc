// service ls|inspect, endpoint ls, route ls.
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
  return FieldOf(row, "ready") == "yes" ? "ready" : FieldOf(row, "reason");
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
                      Field("PROTOCOL", "protocol", true),
                      Field("SOURCE", "source", true),
                      Field("ADDRESS RULE", "address_rule", true)},
          .key = {"service", "uid"}};
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
                      {"NOTE", [](const json& row, Nanos) {
                         return FieldOf(row, "shadowed") == "yes" ? Cat("shadowed by ", FieldOf(row, "shadowed_by")) : "";
                       }}},
          .key = {"host", "path_prefix", "service"},
          .name = "host"};
}

void AddServiceCommands(CommandTree& tree) {
  CLI::App& service = tree.Noun("service", "services: who may take their traffic");
  tree.Ls(service, "list services", ServiceListing(), "/v1/services");
  tree.Inspect(service, "one service with its names, routes, endpoints and problems", InspectService);
  CLI::App& endpoint = tree.Noun("endpoint", "endpoints: a container's or an address' part in a service");
  tree.Ls(endpoint, "list endpoints", EndpointListing(), "/v1/endpoints");
  CLI::App& route = tree.Noun("route", "routes: which host and path lead to which service");
  tree.Ls(route, "list routes, shadowed ones too", RouteListing(), "/v1/routes");
}

}  // namespace fairlead::app
