// ip ls|inspect|history|release, pool ls|inspect.
#include <ostream>

#include "app/api_reply.h"
#include "app/commands.h"
#include "app/table.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

std::string LeaseState(const json& row, Nanos) {
  std::string state = FieldOf(row, "state");
  if (FieldOf(row, "provisional") == "yes") state += ", provisional";
  return FieldOf(row, "ephemeral") == "yes" ? state + ", ephemeral" : state;
}

Listing LeaseListing() {
  return {.what = "leases",
          .columns = {Field("NAME", "name"), Field("ADDRESS", "address"), Field("NETWORK", "network"), Field("POOL", "pool"),
                      {"STATE", LeaseState}, Age("AGE", "since"), Field("SCOPE", "scope", true), Field("MAC", "mac", true),
                      Field("PROJECT", "project", true), Age("HELD FOR", "acquired", true)},
          .key = {"network", "scope", "name", "address"}};
}

Listing HistoryListing() {
  return {.what = "history",
          .columns = {Field("NAME", "name"), Field("NETWORK", "network"), Field("SCOPE", "scope", true), Field("POOL", "pool"),
                      Field("FROM", "from"),
                      {"TO", [](const json& row, Nanos) {
                         std::string to = FieldOf(row, "to");
                         return to.empty() ? std::string("now") : to;
                       }}}};
}

// Pools of IPv6: the API gives null for 2^53 addresses and more.
Column Count(std::string heading, const char* key, bool wide = false) {
  return {std::move(heading), [key](const json& row, Nanos) {
            std::string count = FieldOf(row, key);
            return count.empty() ? std::string(">2^53") : count;
          }, wide};
}

std::string PrefixList(const json& pool, Nanos) {
  std::string list;
  for (const json& prefix : ListIn(pool, "prefixes")) list += Cat(list.empty() ? "" : ",", FieldOf(prefix, "cidr"));
  return list;
}

Listing PoolListing() {
  return {.what = "pools",
          .columns = {Field("NAME", "name"), Field("PROJECT", "project"), {"PREFIXES", PrefixList}, Count("SIZE", "size"),
                      Field("ATTACHED", "attached"), Field("DETACHED", "detached"), Field("QUARANTINED", "quarantined"),
                      Count("FREE", "free"), Count("RESERVED", "reserved", true), Field("RETAIN", "retain", true),
                      Field("QUARANTINE", "quarantine", true), Field("NAMES", "names", true)}};
}

std::string HistoryTarget(const std::string& pool, const std::string& ip) {
  return Cat("/v1/leases/history?ip=", PercentEncode(ip), pool.empty() ? "" : Cat("&pool=", PercentEncode(pool)));
}

Status InspectLease(Session& session, const std::string& name) {
  ASSIGN_OR_RETURN(json leases, session.Get(Cat("/v1/leases?name=", PercentEncode(name))));
  if (PrintData(leases, session.options.output, session.terminal())) return OkStatus();
  for (const json& lease : leases) {
    if (session.PrintObject(lease)) continue;
    ASSIGN_OR_RETURN(json history, session.Get(HistoryTarget(FieldOf(lease, "pool"), FieldOf(lease, "address"))));
    Table facts;
    facts.Add({"name", FieldOf(lease, "name")});
    facts.Add({"address", Cat(FieldOf(lease, "address"), "/", FieldOf(lease, "prefix_length"))});
    facts.Add({"gateway", FieldOf(lease, "gateway")});
    facts.Add({"mac", FieldOf(lease, "mac")});
    facts.Add({"key", Cat(FieldOf(lease, "network"), "/", FieldOf(lease, "scope"), "/", FieldOf(lease, "name"))});
    facts.Add({"pool", FieldOf(lease, "pool")});
    if (std::string project = FieldOf(lease, "project"); !project.empty()) facts.Add({"project", project});
    facts.Add({"state", Cat(LeaseState(lease, 0), " for ", AgeOf(lease, "since", session.now_wall()))});
    facts.Add({"held", Cat("for ", AgeOf(lease, "acquired", session.now_wall()), ", since ", FieldOf(lease, "acquired"))});
    session.out() << facts.ToString() << "\nwho had the address:\n"
                  << TableOf(HistoryListing(), history, false, session.now_wall());
    if (&lease != &leases.back()) session.out() << "\n";
  }
  return OkStatus();
}

void AddHistory(CommandTree& tree, CLI::App& ip) {
  auto address = std::make_shared<std::string>(), pool = std::make_shared<std::string>();
  CLI::App& verb = tree.Verb(ip, "history", "who had an address, latest first", [address, pool](Session& session) {
    return session.List(HistoryListing(), HistoryTarget(*pool, *address));
  });
  verb.add_option("ADDRESS", *address)->required();
  verb.add_option("--pool", *pool, "of this pool (default: the one whose prefix holds it)");
  tree.AddOutputOptions(verb);
}

Status Release(Session& session, const std::string& name, const std::string& network) {
  RETURN_IF_ERROR(session.Confirm(Cat("Forget whose address it is: ", name, "?")));
  std::string target = Cat("/v1/leases?name=", PercentEncode(name));
  if (!network.empty()) target += Cat("&network=", PercentEncode(network));
  ASSIGN_OR_RETURN(json released, session.Delete(target));
  for (const json& lease : released)
    session.out() << Printable(Cat("released ", FieldOf(lease, "address"), " of ", FieldOf(lease, "network"), "/",
                                   FieldOf(lease, "scope"), "/", FieldOf(lease, "name"))) << "\n";
  return OkStatus();
}

void AddRelease(CommandTree& tree, CLI::App& ip) {
  auto name = std::make_shared<std::string>(), network = std::make_shared<std::string>();
  CLI::App& verb = tree.Verb(ip, "release", "forget the name of a detached address", [name, network](Session& session) {
    return Release(session, *name, *network);
  });
  verb.add_option("NAME", *name, "of the container, or the address")->required();
  verb.add_option("--network", *network, "where the name has leases on several");
  tree.AddYes(verb);
}

Status InspectPool(Session& session, const std::string& name) {
  ASSIGN_OR_RETURN(json pools, session.Get(Cat("/v1/pools?name=", PercentEncode(name))));
  for (const json& pool : pools) {
    if (session.PrintObject(pool)) continue;
    Table facts;
    for (const Column& column : PoolListing().columns)
      if (std::string value = column.cell(pool, session.now_wall()); !value.empty()) facts.Add({LowerAscii(column.heading), value});
    session.out() << facts.ToString() << "\n";
    Table prefixes({"PREFIX", "GATEWAY", "RANGES", "EXCLUDED"});
    for (const json& prefix : ListIn(pool, "prefixes"))
      prefixes.Add({FieldOf(prefix, "cidr"), FieldOf(prefix, "gateway"), FieldOf(prefix, "ranges"), FieldOf(prefix, "exclude")});
    session.out() << prefixes.ToString();
  }
  return OkStatus();
}

}  // namespace

void AddIpCommands(CommandTree& tree) {
  CLI::App& ip = tree.Noun("ip", "leases: whose address is whose");
  tree.Ls(ip, "list leases", LeaseListing(), "/v1/leases");
  tree.Inspect(ip, "the leases of a name or address, and who had it before", InspectLease);
  AddHistory(tree, ip);
  AddRelease(tree, ip);
  CLI::App& pool = tree.Noun("pool", "pools: where addresses come from");
  tree.Ls(pool, "list pools and how full they are", PoolListing(), "/v1/pools");
  tree.Inspect(pool, "one pool with its prefixes", InspectPool);
}

}  // namespace fairlead::app
