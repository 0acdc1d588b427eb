// status, node ls.
#include <ostream>

#include "app/commands.h"
#include "app/table.h"
#include "app/wall_time.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

json PartOf(const json& object, const char* key) {
  auto found = object.find(key);
  return found == object.end() ? json::object() : *found;
}

std::string Counted(const std::string& count, std::string_view one) { return Cat(count, " ", one, count == "1" ? "" : "s"); }

void PrintStatus(Session& session, const json& status) {
  Table table;
  table.Add({"node", Cat(FieldOf(status, "node"), ", fairlead ", FieldOf(status, "version"), ", up for ",
                         AgeOf(status, "started", session.now_wall()))});
  for (const json& engine : ListIn(status, "engines"))
    table.Add({"engine", Cat(FieldOf(engine, "name"), FieldOf(engine, "connected") == "yes" ? ": connected" : ": NOT CONNECTED",
                             FieldOf(engine, "detail").empty() ? "" : ", ", FieldOf(engine, "detail"))});
  json catalog = PartOf(status, "catalog");
  table.Add({"catalog", Cat("revision ", FieldOf(catalog, "revision"), " of epoch ", FieldOf(catalog, "epoch"), ", ",
                            FieldOf(catalog, "synced") == "yes" ? "complete" : "NOT COMPLETE: the engine has not been listed yet")});
  json services = PartOf(status, "services"), endpoints = PartOf(status, "endpoints"), leases = PartOf(status, "leases");
  table.Add({"containers", FieldOf(status, "containers")});
  table.Add({"services", Cat(FieldOf(services, "ready"), " of ", FieldOf(services, "total"), " ready; ",
                             FieldOf(endpoints, "ready"), " of ", Counted(FieldOf(endpoints, "total"), "endpoint"), " ready")});
  table.Add({"leases", Cat(FieldOf(leases, "attached"), " attached, ", FieldOf(leases, "detached"), " detached, in ",
                           Counted(FieldOf(status, "pools"), "pool"))});
  for (const json& reader : ListIn(status, "readers"))
    table.Add({"reader", Cat(FieldOf(reader, "name"), FieldOf(reader, "behind") == "0" ? std::string(": up to date")
                                                         : Cat(": ", Counted(FieldOf(reader, "behind"), "change"), " behind"))});
  session.out() << table.ToString();
}

Status ShowStatus(Session& session) {
  ASSIGN_OR_RETURN(json status, session.Get("/v1/status"));
  if (session.options.output.names()) {
    session.out() << Printable(FieldOf(status, "node")) << "\n";
  } else if (!session.PrintObject(status)) {
    PrintStatus(session, status);
  }
  return OkStatus();
}

}  // namespace

void AddStatusCommand(CommandTree& tree) {
  tree.AddOutputOptions(tree.Verb(tree.root(), "status", "this node's agent in a few lines", ShowStatus));
}

void AddNodeCommands(CommandTree& tree) {
  Listing listing{.what = "nodes",
                  .columns = {Field("NAME", "name"), Field("SITE", "site"), Field("ADDRESSES", "addresses"),
                              Field("CONTAINERS", "containers")}};
  tree.Ls(tree.Noun("node", "nodes: hosts with an agent"), "list nodes", std::move(listing), "/v1/nodes");
}

}  // namespace fairlead::app
