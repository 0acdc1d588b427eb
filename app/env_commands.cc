// env ls.
#include "app/commands.h"
#include "app/table.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

void AddEnvCommands(CommandTree& tree) {
  Listing listing{.what = "branch environments",
                  .columns = {Field("BRANCH", "branch"),
                              Field("PROJECT", "project"),
                              Field("HOST", "host"),
                              {"READY", [](const json& row, Nanos) { return Cat(FieldOf(row, "ready"), "/", FieldOf(row, "total")); }},
                              Field("SERVICES", "services"),
                              Age("AGE", "since"),
                              Field("NODES", "nodes", true),
                              Field("CONTAINERS", "containers", true)},
                  .key = {"project", "branch"},
                  .name = "branch"};
  tree.Ls(tree.Noun("env", "branch environments: containers with label fairlead.branch"), "list branch environments",
          std::move(listing), "/v1/envs");
}

}  // namespace fairlead::app
