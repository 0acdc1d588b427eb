// network ls|create|rm; audit ls.
#include "app/api_reply.h"
#include "app/commands.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

std::string SubnetList(const json& network, Nanos) {
  std::string list;
  for (const json& subnet : ListIn(network, "subnets")) list += Cat(list.empty() ? "" : ",", FieldOf(subnet, "cidr"));
  return list;
}

Listing NetworkListing() {
  return {.what = "networks",
          .columns = {Field("NAME", "name"), Field("DRIVER", "driver"), Field("POOL", "pools"), {"SUBNETS", SubnetList},
                      Field("MODE", "mode"), Field("BRIDGE", "bridge"), Field("LEASES", "leases"), Field("ID", "id", true)}};
}

struct NetworkFlags {
  std::string name, pool, mode = "bridge", bridge;
};

Status CreateNetwork(Session& session, const NetworkFlags& flags) {
  json body = {{"name", flags.name}, {"pool", flags.pool}, {"mode", flags.mode}};
  if (!flags.bridge.empty()) body["bridge"] = flags.bridge;
  ASSIGN_OR_RETURN(json made, session.Change("POST", "/v1/networks", body));
  Tell(session, Cat("created network ", flags.name, " on pool ", flags.pool, ": ", SubnetList(made, 0)));
  return OkStatus();
}

Status RemoveNetwork(Session& session, const std::string& name) {
  RETURN_IF_ERROR(session.Confirm(Cat("Remove network ", name, "? Its leases stay.")));
  RETURN_IF_ERROR(session.Change("DELETE", Cat("/v1/networks/", PercentEncode(name))).status());
  Tell(session, Cat("removed network ", name));
  return OkStatus();
}

Listing AuditListing() {
  return {.what = "changes",
          .columns = {Field("TIME", "time"), {"WHO", [](const json& row, Nanos) {
                        std::string user = FieldOf(row, "user");
                        return user.empty() ? Cat("uid ", FieldOf(row, "uid")) : user;
                      }},
                      Field("ACTION", "action"), Field("OBJECT", "object"), Field("OUTCOME", "outcome"),
                      Field("PID", "pid", true), Field("REQUEST", "request", true)},
          .key = {"id", "time", "action", "object"},
          .name = "object"};
}

}  // namespace

void AddNetworkCommands(CommandTree& tree) {
  CLI::App& network = tree.Noun("network", "networks of the engine, and those that take their addresses from a pool");
  tree.Ls(network, "list networks", NetworkListing(), "/v1/networks");
  auto flags = std::make_shared<NetworkFlags>();
  CLI::App& create = tree.Verb(network, "create", "make a network on a pool",
                               [flags](Session& session) { return CreateNetwork(session, *flags); });
  create.add_option("NAME", flags->name)->required();
  create.add_option("--pool", flags->pool, "where its addresses come from")->required();
  create.add_option("--mode", flags->mode, "bridge");
  create.add_option("--bridge", flags->bridge, "an existing bridge, or the name of the one to make")->type_name("NAME");
  auto name = std::make_shared<std::string>();
  CLI::App& rm = tree.Verb(network, "rm", "remove a network; its names keep their addresses",
                           [name](Session& session) { return RemoveNetwork(session, *name); });
  rm.add_option("NAME", *name)->required();
  tree.AddYes(rm);
}

void AddAuditCommand(CommandTree& tree) {
  tree.Ls(tree.Noun("audit", "who changed what"), "list changes, latest first", AuditListing(), "/v1/audit");
}

}  // namespace fairlead::app
