// pool ls|inspect|create|update|rm. A pool is changed by reading it, changing what the flags name, and writing it whole.
#include <algorithm>
#include <ostream>

#include "app/api_reply.h"
#include "app/commands.h"
#include "app/table.h"
#include "base/net/ip_address.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

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

std::string Quota(const json& pool, Nanos) {
  std::string quota = FieldOf(pool, "quota");
  return quota == "0" ? "none" : quota;
}

Listing PoolListing() {
  return {.what = "pools",
          .columns = {Field("NAME", "name"), Field("PROJECT", "project"), {"PREFIXES", PrefixList}, Count("SIZE", "size"),
                      Field("ATTACHED", "attached"), Field("DETACHED", "detached"), Field("QUARANTINED", "quarantined"),
                      Field("RESERVED", "reserved"), Count("FREE", "free"), Field("FOREIGN", "foreign", true),
                      Count("EXCLUDED", "excluded", true), {"QUOTA", Quota, true}, Field("RETAIN", "retain", true),
                      Field("QUARANTINE", "quarantine", true), Field("NAMES", "names", true), Field("SOURCE", "source", true)}};
}

// "12", or "12 of 200" where the prefix has a cap.
std::string LeasesOf(const json& prefix) {
  std::string most = FieldOf(prefix, "max_endpoints");
  return most == "0" ? FieldOf(prefix, "leases") : Cat(FieldOf(prefix, "leases"), " of ", most);
}

Status InspectPool(Session& session, const std::string& name) {
  ASSIGN_OR_RETURN(json pools, session.Get(Cat("/v1/pools?name=", PercentEncode(name))));
  for (const json& pool : pools) {
    if (session.PrintObject(pool)) continue;
    Table facts;
    for (const Column& column : PoolListing().columns)
      if (std::string value = column.cell(pool, session.now_wall()); !value.empty()) facts.Add({LowerAscii(column.heading), value});
    session.out() << facts.ToString() << "\n";
    Table prefixes({"PREFIX", "GATEWAY", "LEASES", "ATTACHED", "VLAN", "SITE", "NODE", "RANGES", "EXCLUDED"});
    for (const json& prefix : ListIn(pool, "prefixes"))
      prefixes.Add({FieldOf(prefix, "cidr"), FieldOf(prefix, "gateway"), LeasesOf(prefix), FieldOf(prefix, "attached"),
                    FieldOf(prefix, "vlan") == "0" ? "" : FieldOf(prefix, "vlan"), FieldOf(prefix, "site"), FieldOf(prefix, "node"),
                    FieldOf(prefix, "ranges"), FieldOf(prefix, "exclude")});
    session.out() << prefixes.ToString();
  }
  return OkStatus();
}

// What `pool create` and `pool update` were told. Unset: as it is, or the default.
struct PoolFlags {
  std::string name;
  std::vector<std::string> cidrs, gateways, ranges, excludes, remove_cidrs;
  std::optional<std::string> project, quota, retain, quarantine;
  std::optional<std::string> node, site, vlan, max_endpoints;  // of the prefixes named by --cidr, of all without one
};

json* PrefixThatHolds(json& pool, const std::string& address) {
  auto ip = IpAddress::Parse(address);
  for (json& prefix : pool["prefixes"])
    if (auto cidr = Prefix::Parse(FieldOf(prefix, "cidr")); cidr.ok() && ip.ok() && cidr->Contains(*ip)) return &prefix;
  return nullptr;
}

// Gateways, ranges and exclusions belong to the prefix that holds them. The first of a list replaces what was there.
Status SetInPrefixes(json& pool, const char* key, const char* flag, const std::vector<std::string>& values, bool list) {
  std::vector<json*> begun;
  for (const std::string& value : values) {
    json* prefix = PrefixThatHolds(pool, value.substr(0, value.find('-')));
    if (prefix == nullptr)
      return InvalidArgument(flag, " ", value, " is in none of the pool's prefixes: ", PrefixList(pool, 0));
    if (!list) {
      (*prefix)[key] = value;
      continue;
    }
    if (std::ranges::find(begun, prefix) == begun.end()) (*prefix)[key] = json::array();
    begun.push_back(prefix);
    (*prefix)[key].push_back(value);
  }
  return OkStatus();
}

Status Apply(const PoolFlags& flags, json& pool) {
  json& prefixes = pool["prefixes"];
  if (prefixes.is_null()) prefixes = json::array();
  for (const std::string& cidr : flags.remove_cidrs) {
    auto gone = std::ranges::find_if(prefixes, [&](const json& prefix) { return FieldOf(prefix, "cidr") == cidr; });
    if (gone == prefixes.end()) return NotFound("pool ", flags.name, " has no prefix ", cidr, "; it has ", PrefixList(pool, 0));
    prefixes.erase(gone);
  }
  for (const std::string& cidr : flags.cidrs)
    if (std::ranges::none_of(prefixes, [&](const json& prefix) { return FieldOf(prefix, "cidr") == cidr; }))
      prefixes.push_back({{"cidr", cidr}});
  RETURN_IF_ERROR(SetInPrefixes(pool, "gateway", "--gateway", flags.gateways, false));
  RETURN_IF_ERROR(SetInPrefixes(pool, "ranges", "--range", flags.ranges, true));
  RETURN_IF_ERROR(SetInPrefixes(pool, "exclude", "--exclude", flags.excludes, true));
  using Values = std::vector<std::pair<const char*, const std::optional<std::string>*>>;
  for (json& prefix : prefixes) {
    if (!flags.cidrs.empty() && std::ranges::find(flags.cidrs, FieldOf(prefix, "cidr")) == flags.cidrs.end()) continue;
    for (const auto& [key, value] : Values{{"node", &flags.node}, {"site", &flags.site}, {"vlan", &flags.vlan},
                                           {"max_endpoints", &flags.max_endpoints}})
      if (*value) prefix[key] = **value;
  }
  for (const auto& [key, value] : Values{
      {"project", &flags.project}, {"quota", &flags.quota}, {"retain", &flags.retain}, {"quarantine", &flags.quarantine}})
    if (*value) pool[key] = **value;
  return OkStatus();
}

void AddFlags(CLI::App& verb, PoolFlags& flags) {
  verb.add_option("NAME", flags.name)->required();
  verb.add_option("--cidr", flags.cidrs, "a prefix, as in 10.40.0.0/24; may be repeated")->type_name("PREFIX");
  verb.add_option("--gateway", flags.gateways, "of the prefix that holds it (default: its first address)")->type_name("IP");
  verb.add_option("--range", flags.ranges, "addresses are chosen from these only")->type_name("FROM-TO");
  verb.add_option("--exclude", flags.excludes, "never given")->type_name("IP");
  verb.add_option("--project", flags.project, "business line that owns the pool");
  verb.add_option("--quota", flags.quota, "leases at most; 0: no limit")->type_name("N");
  verb.add_option("--retain", flags.retain, "an address stays its name's so long after its container is gone; forever, 0")
      ->type_name("TIME");
  verb.add_option("--vlan", flags.vlan, "of the prefixes named by --cidr: their VLAN; 0: untagged")->type_name("ID");
  verb.add_option("--site", flags.site, "of these: for containers of that site only");
  verb.add_option("--node", flags.node, "of these: for containers of that host only");
  verb.add_option("--max-endpoints", flags.max_endpoints, "of these: leases at most; 0: as many as fit")->type_name("N");
  verb.add_option("--quarantine", flags.quarantine, "no other name gets an address so soon")->type_name("TIME");
}

Status CreatePool(Session& session, const PoolFlags& flags) {
  json pool = {{"name", flags.name}};
  RETURN_IF_ERROR(Apply(flags, pool));
  ASSIGN_OR_RETURN(json made, session.Change("POST", "/v1/pools", pool));
  Tell(session, Cat("created pool ", flags.name, ": ", PrefixList(made, 0)));
  return OkStatus();
}

Status UpdatePool(Session& session, const PoolFlags& flags) {
  ASSIGN_OR_RETURN(json pools, session.Get(Cat("/v1/pools?name=", PercentEncode(flags.name))));
  json pool;
  for (const char* key : {"name", "project", "quota", "names", "retain", "quarantine", "prefixes"}) pool[key] = pools.at(0).at(key);
  for (json& prefix : pool["prefixes"])
    for (const char* told : {"leases", "attached"}) prefix.erase(told);
  RETURN_IF_ERROR(Apply(flags, pool));
  ASSIGN_OR_RETURN(json made, session.Change("PUT", Cat("/v1/pools/", PercentEncode(flags.name)), pool));
  Tell(session, Cat("updated pool ", flags.name, ": ", PrefixList(made, 0)));
  return OkStatus();
}

Status RemovePool(Session& session, const std::string& name) {
  RETURN_IF_ERROR(session.Confirm(Cat("Remove pool ", name, "?")));
  RETURN_IF_ERROR(session.Change("DELETE", Cat("/v1/pools/", PercentEncode(name))).status());
  Tell(session, Cat("removed pool ", name));
  return OkStatus();
}

}  // namespace

void AddPoolCommands(CommandTree& tree) {
  CLI::App& pool = tree.Noun("pool", "pools: where addresses come from");
  tree.Ls(pool, "list pools and how full they are", PoolListing(), "/v1/pools");
  tree.Inspect(pool, "one pool with its prefixes", InspectPool);
  auto created = std::make_shared<PoolFlags>(), updated = std::make_shared<PoolFlags>();
  AddFlags(tree.Verb(pool, "create", "make a pool", [created](Session& session) { return CreatePool(session, *created); }), *created);
  CLI::App& update = tree.Verb(pool, "update", "change a pool; flags that are not given leave things as they are",
                               [updated](Session& session) { return UpdatePool(session, *updated); });
  AddFlags(update, *updated);
  update.add_option("--rm-cidr", updated->remove_cidrs, "take this prefix away; not while it has leases")->type_name("PREFIX");
  auto name = std::make_shared<std::string>();
  CLI::App& rm = tree.Verb(pool, "rm", "remove a pool that has no leases and no network",
                           [name](Session& session) { return RemovePool(session, *name); });
  rm.add_option("NAME", *name)->required();
  tree.AddYes(rm);
}

}  // namespace fairlead::app
