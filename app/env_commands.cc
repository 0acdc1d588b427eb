// env ls and rm.
#include "app/api_reply.h"
#include "app/commands.h"
#include "app/table.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

// All of it: a person is to agree to it.
std::string Named(const json& env, const char* key) {
  std::vector<std::string> names;
  for (const json& name : ListIn(env, key)) names.push_back(name.is_string() ? Printable(name.get<std::string>()) : "");
  return Join(names, ", ");
}

Status RemoveEnv(Session& session, const std::string& project, const std::string& branch) {
  const std::string target = Cat("/v1/envs/", PercentEncode(Cat(project, "/", branch)));
  ASSIGN_OR_RETURN(json env, session.Get(target));
  const std::string containers = Named(env, "containers"), endpoints = Named(env, "endpoints"), elsewhere = Named(env, "elsewhere");
  const std::string remains = elsewhere.empty() ? "" : Cat("; the branch goes on at ", elsewhere, ": run it there too");
  if (containers.empty() && endpoints.empty())
    return FailedPrecondition("nothing of ", project, "/", branch, " is on this host", remains);
  std::vector<std::string> what;
  if (!containers.empty()) what.push_back(Cat("containers ", containers));
  if (!endpoints.empty()) what.push_back(Cat("registered endpoints ", endpoints));
  RETURN_IF_ERROR(session.Confirm(Cat("Stop and remove ", Join(what, " and "), "?")));
  RETURN_IF_ERROR(session.Change("DELETE", target).status());
  Tell(session, Cat("removed ", Join(what, " and "), " of ", project, "/", branch, remains));
  return OkStatus();
}

}  // namespace

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
  CLI::App& env = tree.Noun("env", "branch environments: containers with label fairlead.branch");
  tree.Ls(env, "list branch environments", std::move(listing), "/v1/envs");
  auto project = std::make_shared<std::string>(), branch = std::make_shared<std::string>();
  CLI::App& rm = tree.Verb(env, "rm", "stop and remove a branch's containers on this host, and its registered endpoints",
                           [project, branch](Session& session) { return RemoveEnv(session, *project, *branch); });
  rm.add_option("PROJECT", *project)->required();
  rm.add_option("BRANCH", *branch)->required();
  tree.AddYes(rm);
}

}  // namespace fairlead::app
