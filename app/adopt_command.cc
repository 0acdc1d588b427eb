// adopt NETWORK [--to NEWNETWORK] [--pool POOL], or adopt --bridge BRIDGE.
#include <ostream>

#include "app/commands.h"
#include "app/table.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

struct AdoptFlags {
  std::string network, bridge, to, pool;
};

Listing AdoptedListing() {
  return {.what = "containers",
          .columns = {Field("NAME", "name"), Field("ADDRESS", "address"), Field("STATE", "state"), Field("RUNNING", "running"),
                      Field("MAC", "mac", true)}};
}

Status Adopt(Session& session, const AdoptFlags& flags) {
  json body = json::object();
  for (auto [key, value] : {std::pair{"network", &flags.network}, {"bridge", &flags.bridge}, {"to", &flags.to}, {"pool", &flags.pool}})
    if (!value->empty()) body[key] = *value;
  ASSIGN_OR_RETURN(json adopted, session.Change("POST", "/v1/adopt", body));
  if (PrintData(adopted, session.options.output, session.terminal())) return OkStatus();
  PrintListing(AdoptedListing(), ListIn(adopted, "containers"), session.options.output, session.now_wall(), session.terminal());
  if (session.options.output.names()) return OkStatus();
  const std::string to = FieldOf(adopted, "to"), pool = FieldOf(adopted, "pool");
  session.err() << Printable(Cat("adopted network ", FieldOf(adopted, "network"), ": addresses are reserved in pool ", pool,
                                 FieldOf(adopted, "made_pool") == "yes" ? " (new)" : "", " and published; nothing was touched."))
                << "\n" << Printable(Cat("Containers keep them when they are re-created on a Fairlead network ", to,
                                 ": fairlead network create ", to, " --pool ", pool)) << "\n";
  return OkStatus();
}

}  // namespace

void AddAdoptCommand(CommandTree& tree) {
  auto flags = std::make_shared<AdoptFlags>();
  CLI::App& verb = tree.Verb(tree.root(), "adopt", "reserve and publish what an existing network's containers hold",
                             [flags](Session& session) { return Adopt(session, *flags); });
  verb.add_option("NETWORK", flags->network, "of the engine");
  verb.add_option("--bridge", flags->bridge, "the network on this bridge")->type_name("NAME");
  verb.add_option("--to", flags->to, "what the Fairlead network will be called (default: the same)")->type_name("NEWNETWORK");
  verb.add_option("--pool", flags->pool, "default: the pool that has its subnets, or one made of them");
  tree.AddOutputOptions(verb);
}

}  // namespace fairlead::app
