// ip ls|inspect|history|reserve|release|reclaim.
#include <ostream>

#include "app/api_reply.h"
#include "app/commands.h"
#include "app/table.h"
#include "app/wall_time.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

// With what becomes of it, where that is still to come.
std::string LeaseState(const json& row, Nanos) {
  std::string state = FieldOf(row, "state");
  if (std::string name = FieldOf(row, "stand_in_for"); !name.empty()) {
    std::string own = FieldOf(row, "own_address");
    return Cat(state, ", stands in for ", name, own.empty() ? "" : Cat(" (own address ", own, " from its next start)"));
  }
  if (FieldOf(row, "observed") == "yes") return Cat("observed (", FieldOf(row, "settles"), ")");
  if (FieldOf(row, "reserved") == "yes") state = state == "detached" ? "reserved" : Cat(state, ", reserved");
  if (state == "foreign") return Cat("foreign: ", FieldOf(row, "mac"));
  for (const char* mark : {"provisional", "ephemeral"})
    if (FieldOf(row, mark) == "yes") state += Cat(", ", mark);
  if (FieldOf(row, "provisional") == "yes") state += Cat(" (", FieldOf(row, "settles"), ")");
  return state;
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

std::string HistoryTarget(const std::string& pool, const std::string& ip, const std::string& at = "") {
  return Cat("/v1/leases/history?ip=", PercentEncode(ip), pool.empty() ? "" : Cat("&pool=", PercentEncode(pool)),
             at.empty() ? "" : Cat("&at=", PercentEncode(at)));
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

Status History(Session& session, const std::string& address, const std::string& pool, std::string at) {
  if (!at.empty()) {
    std::optional<Nanos> moment = ParseMoment(at, session.now_wall());
    if (!moment) return InvalidArgument("--at: \"", at, "\" is no time; write 14:03, \"2026-11-21 14:03\" or 2026-11-21T14:03:00Z");
    at = FormatTime(*moment);
  }
  return session.List(HistoryListing(), HistoryTarget(pool, address, at));
}

void AddHistory(CommandTree& tree, CLI::App& ip) {
  auto address = std::make_shared<std::string>(), pool = std::make_shared<std::string>(), at = std::make_shared<std::string>();
  CLI::App& verb = tree.Verb(ip, "history", "who had an address, latest first",
                             [address, pool, at](Session& session) { return History(session, *address, *pool, *at); });
  verb.add_option("ADDRESS", *address)->required();
  verb.add_option("--pool", *pool, "of this pool (default: the one whose prefix holds it)");
  verb.add_option("--at", *at, "who had it then: 14:03, \"2026-11-21 14:03\", 2026-11-21T14:03:00Z")->type_name("TIME");
  tree.AddOutputOptions(verb);
}

Status Release(Session& session, const std::string& name, const std::string& network) {
  RETURN_IF_ERROR(session.Confirm(Cat("Forget whose address it is: ", name, "?")));
  std::string target = Cat("/v1/leases?name=", PercentEncode(name));
  if (!network.empty()) target += Cat("&network=", PercentEncode(network));
  ASSIGN_OR_RETURN(json released, session.Change("DELETE", target));
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

struct ReserveFlags {
  std::string name, network, pool, address, project;
};

// Prints the addresses alone on stdout, for scripts.
Status Reserve(Session& session, const ReserveFlags& flags) {
  json body = {{"name", flags.name}};
  for (auto [key, value] : {std::pair{"network", &flags.network}, {"pool", &flags.pool}, {"address", &flags.address},
                            {"project", &flags.project}})
    if (!value->empty()) body[key] = *value;
  ASSIGN_OR_RETURN(json reserved, session.Change("POST", "/v1/leases", body));
  if (PrintData(reserved, session.options.output, session.terminal())) return OkStatus();
  for (const json& lease : reserved)
    Tell(session, FieldOf(lease, session.options.output.names() ? "name" : "address"));
  return OkStatus();
}

void AddReserve(CommandTree& tree, CLI::App& ip) {
  auto flags = std::make_shared<ReserveFlags>();
  CLI::App& verb = tree.Verb(ip, "reserve", "give a name its address before its container exists; prints the address",
                             [flags](Session& session) { return Reserve(session, *flags); });
  verb.add_option("NAME", flags->name, "of the container to come")->required();
  verb.add_option("--network", flags->network, "default: the only one of the pool");
  verb.add_option("--pool", flags->pool, "default: the network's, or the only one");
  verb.add_option("--ip", flags->address, "this address (default: a free one)")->type_name("ADDRESS");
  verb.add_option("--project", flags->project, "default: the pool's");
  tree.AddOutputOptions(verb);
}

Status Reclaim(Session& session, const std::string& pool, const std::string& idle) {
  std::string query = Cat("?idle=", PercentEncode(idle), pool.empty() ? "" : Cat("&pool=", PercentEncode(pool)));
  ASSIGN_OR_RETURN(json leases, session.Get(Cat("/v1/leases/reclaim", query)));
  if (leases.empty()) {
    session.err() << "no leases idle for " << Printable(idle) << "\n";
    return OkStatus();
  }
  if (!session.options.yes) session.out() << TableOf(LeaseListing(), leases, false, session.now_wall());
  RETURN_IF_ERROR(session.Confirm(Cat("Forget whose addresses these ", leases.size(), " are?")));
  json body = {{"idle", idle}};
  if (!pool.empty()) body["pool"] = pool;
  ASSIGN_OR_RETURN(json ended, session.Change("POST", "/v1/leases/reclaim", body));
  for (const json& lease : ended)
    Tell(session, Cat("reclaimed ", FieldOf(lease, "address"), " of ", FieldOf(lease, "network"), "/", FieldOf(lease, "scope"), "/",
                      FieldOf(lease, "name")));
  return OkStatus();
}

void AddReclaim(CommandTree& tree, CLI::App& ip) {
  auto pool = std::make_shared<std::string>(), idle = std::make_shared<std::string>();
  CLI::App& verb = tree.Verb(ip, "reclaim", "forget names whose containers are long gone",
                             [pool, idle](Session& session) { return Reclaim(session, *pool, *idle); });
  verb.add_option("--pool", *pool, "of this pool (default: of all)");
  verb.add_option("--idle", *idle, "detached for at least so long")->required()->type_name("TIME");
  tree.AddYes(verb);
}

}  // namespace

void AddIpCommands(CommandTree& tree) {
  CLI::App& ip = tree.Noun("ip", "leases: whose address is whose");
  tree.Ls(ip, "list leases", LeaseListing(), "/v1/leases");
  tree.Inspect(ip, "the leases of a name or address, and who had it before", InspectLease);
  AddHistory(tree, ip);
  AddReserve(tree, ip);
  AddRelease(tree, ip);
  AddReclaim(tree, ip);
}

}  // namespace fairlead::app
