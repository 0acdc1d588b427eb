#include "app/why.h"

#include <algorithm>
#include <map>
#include <set>

#include "app/api_reply.h"
#include "app/wall_time.h"
#include "base/strings.h"
#include "lb/route_table.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

constexpr size_t kMaxTargetBytes = 2048;

std::string Texts(const std::vector<DnsAnswer::Record>& records) {
  std::vector<std::string> texts;
  for (const DnsAnswer::Record& record : records) texts.push_back(record.text);
  return Join(texts, ", ");
}

// Whose word a DNS answer is: "rows of host1", or "configuration".
std::string SourceOf(const DnsAnswer& answer) {
  std::set<std::string> nodes;
  for (const discovery::Row* row : answer.holders) nodes.insert(row->node);
  return nodes.empty() ? "" : Cat("rows of ", Join({nodes.begin(), nodes.end()}, ", "));
}

// The listeners of a route as the workers see them: a bit each.
uint64_t MaskOf(const std::vector<std::string>& names, const std::vector<lb::ListenerSpec>& listeners) {
  if (names.empty()) return ~uint64_t{0};
  uint64_t mask = 0;
  for (size_t i = 0; i < listeners.size(); i++)
    if (std::ranges::find(names, listeners[i].name) != names.end()) mask |= uint64_t{1} << i;
  return mask;
}

lb::RouteTable<size_t> TableOf(const std::vector<lb::Picture::RouteInfo>& routes,
                               const std::vector<lb::ListenerSpec>& listeners) {
  std::map<std::string, std::vector<lb::RouteTable<size_t>::Entry>> by_host;
  for (size_t i = 0; i < routes.size(); i++) {
    const lb::Picture::RouteInfo& route = routes[i];
    if (route.fault.empty())
      by_host[route.host].push_back({route.path_prefix, MaskOf(route.listeners, listeners), i, route.priority, route.condition});
  }
  lb::RouteTable<size_t> table;
  for (auto& [host, entries] : by_host) table.Set(host, std::move(entries));
  return table;
}

std::string SourceOfRoute(const lb::Picture::RouteInfo& route) {
  if (route.source == "file") return "configuration";
  if (route.source == "zone") return "name of the service";
  return route.source;
}

}  // namespace

io::Task<StatusOr<json>> Explainer::Explain(std::string target, AskedRequest asked) {
  asked_ = std::move(asked);
  if (target.empty() || target.size() > kMaxTargetBytes)
    co_return InvalidArgument("why needs a URL, a name or an address of at most ", kMaxTargetBytes, " bytes");
  Status status;
  auto ip = IpAddress::Parse(target);
  auto socket = SocketAddress::Parse(target);
  if (ip.ok()) {
    status = co_await Address(*ip, 0);
  } else if (socket.ok() && socket->ip().is_set()) {
    status = co_await Address(socket->ip(), socket->port());
  } else if (target.find('/') != target.npos) {
    status = Url(target);
  } else {
    status = Name(target);
  }
  if (!status.ok()) co_return status;
  co_return Render(target);
}

Status Explainer::Url(std::string_view url) {
  kind_ = "url";
  std::string_view rest = url;
  std::string scheme = "http";
  if (size_t colon = url.find("://"); colon != url.npos) {
    scheme = LowerAscii(url.substr(0, colon));
    rest = url.substr(colon + 3);
  }
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  std::string path(rest.substr(authority.size()));
  path = path.substr(0, path.find('#'));
  if (size_t question = path.find('?'); question != path.npos) {
    asked_.query = path.substr(question + 1);
    path.resize(question);
  }
  if (path.empty()) path = "/";
  std::string host(lb::HostKey(authority).view());
  if (host.empty()) return InvalidArgument("\"", url, "\" names no host; write http://HOST/PATH");
  std::optional<uint16_t> port;
  if (std::string_view text = authority.substr(lb::HostKey::WithoutPort(authority).size()); !text.empty()) {
    port = ParseNumber<uint16_t>(text.substr(1));
    if (!port) return InvalidArgument("\"", text.substr(1), "\" in ", url, " is no port");
  }
  DnsHop(host);
  RouteHops(host, path, ListenerHop(scheme, port));
  return OkStatus();
}

std::optional<DnsAnswer> Explainer::DnsHop(const std::string& name) {
  StatusOr<DnsAnswer> answer = AnswerOf(view_, picture_.config().zone, facts_, name);
  if (!answer.ok() || answer->kind == DnsAnswer::kOutside) return std::nullopt;
  std::string records = Texts(answer->records);
  std::string source = SourceOf(*answer);
  switch (answer->kind) {
    case DnsAnswer::kOutside: break;
    case DnsAnswer::kNoSuchName: Add({"dns", false, Cat(name, ": no such name (NXDOMAIN): no row gives it")}); break;
    case DnsAnswer::kNoData:
      Add({"dns", false, Cat(name, " is known, but has no record now", answer->note.empty() ? "" : ": ", answer->note), source});
      break;
    case DnsAnswer::kBalancer:
      Add({"dns", !records.empty(), Cat(name, " is the balancer: ", records.empty() ? "no address of it is known" : records), source});
      break;
    case DnsAnswer::kAddresses:
    case DnsAnswer::kPointer:
    case DnsAnswer::kService: Add({"dns", true, Cat(name, " is ", records), source}); break;
  }
  return *std::move(answer);
}

// The listeners that the request may come in by.
std::vector<size_t> Explainer::ListenerHop(std::string_view scheme, std::optional<uint16_t> port) {
  const std::vector<lb::ListenerSpec>& listeners = picture_.config().listeners;
  std::vector<size_t> at_port, all;
  std::string here, everywhere;
  for (size_t i = 0; i < listeners.size(); i++) {
    std::string text = Cat(listeners[i].name, " at ", listeners[i].bind.ToString());
    all.push_back(i);
    everywhere += Cat(everywhere.empty() ? "" : ", ", text);
    if (listeners[i].bind.port() != port.value_or(80)) continue;
    at_port.push_back(i);
    here += Cat(here.empty() ? "" : ", ", text);
  }
  if (scheme != "http") {
    Add({"listener", false, Cat(scheme, ": not yet: this version's listeners speak http"), "configuration"});
  } else if (listeners.empty()) {
    Add({"listener", false, "none is configured on this node: listeners: in its configuration", "configuration"});
  } else if (!at_port.empty()) {
    Add({"listener", true, here, "configuration"});
    return at_port;
  } else if (port) {
    Add({"listener", false, Cat("none at port ", *port, "; there is ", everywhere), "configuration"});
  } else {
    Add({"listener", std::nullopt, Cat("none at port 80; assuming ", everywhere), "configuration"});
  }
  if (all.empty()) all.push_back(0);  // the routes are told as a listener would see them
  return all;
}

bool AskedRequest::NextField(const void* fields, std::string_view name, int& at, std::string_view& value) {
  const auto& headers = static_cast<const AskedRequest*>(fields)->headers;
  while (static_cast<size_t>(at) < headers.size()) {
    const auto& [field, content] = headers[static_cast<size_t>(at++)];
    if (!EqualsIgnoreCase(field, name)) continue;
    value = content;
    return true;
  }
  return false;
}

// "Name: value" lines, an address, a method, as the API's query has them.
StatusOr<AskedRequest> AskedRequest::Parse(std::string method, const std::string& headers, const std::string& client) {
  AskedRequest asked;
  if (!method.empty()) asked.method = std::move(method);
  for (std::string_view line : Split(headers, '\n')) {
    size_t colon = line.find(':');
    if (line.empty()) continue;
    if (colon == line.npos || colon == 0) return InvalidArgument("header: \"", line, "\" is no field, as in X-Version: 2");
    asked.headers.emplace_back(Trim(line.substr(0, colon)), Trim(line.substr(colon + 1)));
  }
  if (!client.empty()) {
    ASSIGN_OR_RETURN(asked.client, IpAddress::Parse(client));
  }
  return asked;
}

void Explainer::TriedHops(const lb::RouteTable<size_t>& table, const std::vector<lb::Picture::RouteInfo>& routes,
                          const discovery::RequestView& view, int listener, std::optional<size_t> winner) {
  std::vector<const lb::Picture::RouteInfo*> tried;
  table.ForEachCandidate(view, listener, [&](const lb::RouteTable<size_t>::Entry& entry, bool holds) {
    if (!holds && (!winner || entry.priority >= routes[*winner].priority)) tried.push_back(&routes[entry.target]);
  });
  std::ranges::sort(tried, {}, [](const lb::Picture::RouteInfo* route) { return std::pair(-route->priority, route); });
  for (const lb::Picture::RouteInfo* route : tried)
    Add({"route", std::nullopt, Cat("tried first, priority ", route->priority, ", does not hold: ", route->rule, " of ", route->service),
         SourceOfRoute(*route), 0, 1});
}

void Explainer::RouteHops(const std::string& host, const std::string& path, const std::vector<size_t>& listeners) {
  const discovery::RequestView view{host, path, asked_.query, asked_.method, AskedRequest::NextField, &asked_, asked_.client};
  std::vector<lb::Picture::RouteInfo> routes = picture_.Routes();
  const std::vector<lb::ListenerSpec>& configured = picture_.config().listeners;
  lb::RouteTable<size_t> table = TableOf(routes, configured);
  std::map<size_t, std::vector<std::string>> winners;  // route → listeners that take it
  for (size_t listener : listeners) {
    std::string name = listener < configured.size() ? configured[listener].name : "";
    if (const auto* entry = table.Find(view, static_cast<int>(listener))) {
      winners[entry->target].push_back(name);
    } else if (listeners.size() > 1) {
      Add({"route", std::nullopt, Cat("none matches at listener ", name)});
    }
  }
  if (winners.empty()) {
    NoRoute(host, path);
    return TriedHops(table, routes, view, static_cast<int>(listeners.front()), std::nullopt);
  }
  for (const auto& [index, names] : winners) {
    const lb::Picture::RouteInfo& route = routes[index];
    std::string only = winners.size() > 1 ? Cat(" at listener ", Join(names, ", ")) : "";
    std::string what = route.rule.empty() ? Cat(route.host, route.path_prefix) : Cat(route.rule, " (priority ", route.priority, ")");
    Add({"route", true, Cat(what, " leads to ", route.service, only), SourceOfRoute(route)});
    MiddlewareHops(route);
    for (size_t listener : listeners)
      if (std::string name = listener < configured.size() ? configured[listener].name : ""; name == names.front())
        TriedHops(table, routes, view, static_cast<int>(listener), index);
    for (const lb::Picture::RouteInfo& other : routes)
      if (other.shadowed_by == route.service && other.host == route.host && other.path_prefix == route.path_prefix &&
          other.rule == route.rule)
        Add({"route", std::nullopt,
             Cat(other.service, " claims it too, and ", other.priority < route.priority ? "has a lower priority" : "came later"),
             SourceOfRoute(other), 0, 1});
    if (route.resolved.fault.empty()) ServiceHops(route.service, 0);
  }
}

// What the route does to a request on its way.
void Explainer::MiddlewareHops(const lb::Picture::RouteInfo& route) {
  if (!route.resolved.fault.empty()) {
    Add({"middleware", false, Cat(route.resolved.fault, ": the balancer answers 503 to every request of this route"), SourceOfRoute(route)});
    return;
  }
  if (route.resolved.chain != nullptr)
    for (const lb::MiddlewareChain::Step& step : route.resolved.chain->steps())
      Add({"middleware", true, Cat(step.id, ": ", step.what), SourceOfRoute(route), 0, 1});
  for (const std::string& note : route.resolved.notes) Add({"middleware", std::nullopt, note, SourceOfRoute(route), 0, 1});
  for (const lb::MiddlewareBook::Info& info : picture_.Middlewares())
    if (info.fault.starts_with("rejected") && std::ranges::find(route.middlewares, info.id) != route.middlewares.end())
      Add({"middleware", std::nullopt, Cat(info.id, " of container ", info.holder, " ", info.fault), "label", 0, 1});
}

void Explainer::NoRoute(const std::string& host, const std::string& path) {
  std::vector<std::string> paths, hosts;
  for (const lb::Picture::RouteInfo& route : picture_.Routes()) {
    hosts.push_back(route.host);
    if (route.host == host) paths.push_back(route.path_prefix);
  }
  std::vector<std::string_view> candidates(hosts.begin(), hosts.end());
  std::string_view nearest = Nearest(host, candidates);
  std::string hint;
  if (!paths.empty()) {
    hint = Cat("; ", host, " has routes for ", Join(paths, ", "));
  } else if (!nearest.empty()) {
    hint = Cat("; the nearest host with a route is ", nearest);
  }
  Add({"route", false, Cat("none matches ", host, path, ": the balancer answers 404", hint)});
}

void Explainer::ServiceHops(const std::string& service, int depth) {
  std::vector<EndpointFact> facts = view_.Endpoints(service);
  if (facts.empty()) {
    Add({"service", false, Cat(service, " has no endpoint: the balancer answers 503"), "", 0, depth});
    return;
  }
  auto ready = std::ranges::count_if(facts, [](const EndpointFact& fact) { return fact.info.ready; });
  Add({"service", ready > 0,
       ready > 0 ? Cat(service, ": ", ready, " of ", facts.size(), " endpoints may take traffic")
                 : Cat(service, ": none of ", facts.size(), " endpoints may take traffic: the balancer answers 503"),
       "", 0, depth});
  for (const EndpointFact& fact : facts) EndpointHop(fact, depth + 1);
}

void Explainer::EndpointHop(const EndpointFact& fact, int depth) {
  const std::string& name = fact.info.view->name;
  if (fact.row == nullptr) {
    Add({"endpoint", fact.info.ready, Cat(name, fact.info.ready ? "" : ": ", fact.info.why_not), "configuration", 0, depth});
    return;
  }
  std::string source = Cat("node ", fact.row->node);
  std::string where = fact.entry->published() ? Cat(" at ", fact.info.view->address.ToString()) : "";
  std::string state = fact.info.ready ? std::string(StateName(fact.row->state)) : fact.info.why_not;
  if (fact.info.ready && HealthOf(*fact.row, *fact.entry) == discovery::HealthState::kHealthy) state += ", healthy";
  Add({"endpoint", fact.info.ready, Cat(name, where, ": ", state), source, fact.row->since_wall, depth});
  for (const std::string& problem : fact.entry->problems)
    if (problem != fact.info.why_not) Add({"note", std::nullopt, problem, source, 0, depth + 1});
  if (!fact.entry->published()) return;
  Add({"rule", true, fact.entry->address_rule, source, 0, depth + 1});
  LeaseHopOf(fact.entry->ip, depth + 1);
}

void Explainer::LeaseHopOf(const IpAddress& ip, int depth) {
  for (const ipam::Lease& lease : ipam_.Leases())
    if (lease.ip == ip) LeaseHop(lease, depth);
}

void Explainer::LeaseHop(const ipam::Lease& lease, int depth) {
  std::string text = Cat(lease.ip.ToString(), " belongs to ", lease.key.ToString(), " in pool ", lease.pool,
                         lease.attached ? ", attached" : ", detached: kept for that name");
  if (lease.provisional) text += ", provisional: the engine has not told the name yet";
  Add({"lease", true, std::move(text), "lease store", lease.since_wall, depth});
}

void Explainer::ContainerHops(const discovery::EndpointRow& row, int depth) {
  bool runs = row.state == discovery::RunState::kRunning;
  std::string text = Cat(row.name, " of project ", row.project, ": ", StateName(row.state));
  if (row.health != discovery::HealthState::kNone) text += Cat(", ", HealthName(row.health));
  if (row.draining) text += ", draining";
  Add({"container", runs, std::move(text), Cat("node ", row.node), row.since_wall, depth});
  for (const discovery::Address& address : row.addresses) {
    if (!address.ip.is_set()) continue;
    Add({"address", true, Cat(address.ip.ToString(), address.network.empty() ? " of the node" : " on network ", address.network),
         Cat("node ", row.node), 0, depth + 1});
    LeaseHopOf(address.ip, depth + 2);
  }
  for (const discovery::ServiceEntry& entry : row.services) {
    std::string service = lb::ServiceNameOf(row, entry);
    for (const EndpointFact& fact : view_.Endpoints(service))
      if (fact.row == &row && fact.entry == &entry)
        Add({"service", fact.info.ready, Cat("in ", service, fact.info.ready ? ": may take traffic" : ": ", fact.info.why_not),
             "", 0, depth + 1});
  }
}

// What stands behind a name of our zones.
void Explainer::FollowDns(const std::string& name, const DnsAnswer& answer) {
  std::string services = Cat(".svc.", picture_.config().zone);
  if (answer.kind == DnsAnswer::kBalancer) {
    RouteHops(name, "/", ListenerHop("http", std::nullopt));
  } else if (name.ends_with(services)) {
    auto service = view_.FindService(std::string_view(name).substr(0, name.size() - services.size()));
    if (service.ok()) ServiceHops(*service, 0);
  } else {
    for (const discovery::Row* row : answer.holders) {
      if (row->endpoint() != nullptr) ContainerHops(*row->endpoint(), 0);
      if (row->node_row() != nullptr) NodeHop(*row->node_row());
    }
  }
}

Status Explainer::Name(const std::string& raw) {
  kind_ = "name";
  std::string name = LowerAscii(std::string_view(raw));
  if (name.ends_with('.')) name.pop_back();
  const std::string& zone = picture_.config().zone;
  if (std::optional<DnsAnswer> answer = DnsHop(name)) {
    FollowDns(name, *answer);
    return OkStatus();
  }
  auto service = view_.FindService(name);
  if (service.ok()) {
    kind_ = "service";
    DnsHop(Cat(*service, ".svc.", zone));
    ServiceHops(*service, 0);
    return OkStatus();
  }
  if (service.status().code() == StatusCode::kInvalidArgument) return service.status();
  for (const discovery::EndpointRow* row : view_.rows()) {
    bool alias = std::ranges::find(row->aliases, raw) != row->aliases.end();
    if (row->name != raw && !alias) continue;
    kind_ = "container";
    if (alias && row->name != raw) Add({"name", true, Cat(raw, " is a network alias of ", row->name), Cat("node ", row->node)});
    ContainerHops(*row, 0);
  }
  for (const ipam::Lease& lease : ipam_.Leases())
    if (hops_.empty() && lease.key.name == raw) {
      kind_ = "container";
      Add({"container", false, Cat(raw, " does not exist now; its address is kept")});
      LeaseHop(lease, 1);
    }
  for (const lb::Picture::RouteInfo& route : picture_.Routes())
    if (hops_.empty() && route.host == name) return Url(Cat("http://", name, "/"));
  return hops_.empty() ? NothingCalled(raw) : OkStatus();
}

Status Explainer::NothingCalled(const std::string& name) const {
  std::vector<std::string> names = view_.services();
  for (const discovery::EndpointRow* row : view_.rows()) names.push_back(row->name);
  for (const lb::Picture::RouteInfo& route : picture_.Routes()) names.push_back(route.host);
  std::vector<std::string_view> candidates(names.begin(), names.end());
  std::string_view nearest = Nearest(name, candidates);
  return NotFound("no service, container, alias or routed host is called ", name,
                  nearest.empty() ? std::string() : Cat("; did you mean ", nearest, "?"));
}

void Explainer::NodeHop(const discovery::NodeRow& node) {
  std::vector<std::string> addresses;
  for (const IpAddress& ip : node.addresses) addresses.push_back(ip.ToString());
  Add({"node", true, Cat(node.name, " at ", Join(addresses, ", ")), Cat("node ", node.name)});
}

io::Task<Status> Explainer::Address(IpAddress ip, uint16_t port) {
  kind_ = "address";
  LeaseHopOf(ip, 0);
  if (hops_.empty()) CO_RETURN_IF_ERROR(co_await NoLeaseHop(ip));
  bool used = false;
  for (const discovery::EndpointRow* row : view_.rows()) {
    bool has = std::ranges::any_of(row->addresses, [&](const discovery::Address& address) { return address.ip == ip; });
    bool serves = std::ranges::any_of(row->services, [&](const discovery::ServiceEntry& entry) {
      return entry.ip == ip && (port == 0 || entry.port == port);
    });
    if (!has && !serves) continue;
    used = true;
    ContainerHops(*row, 0);
  }
  for (const std::string& service : view_.services())
    for (const EndpointFact& fact : view_.Endpoints(service))
      if (fact.row == nullptr && fact.info.view->address.ip() == ip && (port == 0 || fact.info.view->address.port() == port)) {
        used = true;
        Add({"service", fact.info.ready, Cat(fact.info.view->name, " is an endpoint of ", service), "configuration"});
      }
  for (const discovery::Row* row : view_.all_rows())
    if (row->node_row() != nullptr && std::ranges::find(row->node_row()->addresses, ip) != row->node_row()->addresses.end()) {
      used = true;
      NodeHop(*row->node_row());
    }
  if (hops_.empty())
    co_return WithFix(NotFound("no pool, lease, container, endpoint or node here has the address ", ip.ToString()),
                      "fairlead ip ls");
  if (!used) Add({"container", false, Cat("none has ", ip.ToString(), " now")});
  co_return OkStatus();
}

// A free address of a pool: who had it last, or why nobody gets it.
io::Task<Status> Explainer::NoLeaseHop(IpAddress ip) {
  for (const ipam::PoolSpec& pool : ipam_.Pools()) {
    const ipam::PrefixSpec* prefix = pool.PrefixOf(ip);
    if (prefix == nullptr) continue;
    std::string reserved(prefix->WhyReserved(ip));
    Add({"lease", false, Cat("nobody has ", ip.ToString(), " of pool ", pool.name,
                             reserved.empty() ? std::string() : Cat(": it is ", reserved)), "lease store"});
    CO_ASSIGN_OR_RETURN(std::vector<ipam::HistoryEntry> history, co_await ipam_.History(pool.name, ip));
    if (history.empty()) continue;
    const ipam::HistoryEntry& last = history.front();
    Add({"lease", std::nullopt, Cat("it was ", last.key.ToString(), "'s until ", FormatTime(last.to_wall)), "lease store",
         last.to_wall, 1});
  }
  co_return OkStatus();
}

json Explainer::Render(const std::string& target) const {
  json hops = json::array();
  bool ok = true;
  for (const Hop& hop : hops_) {
    if (hop.depth == 0) ok &= hop.ok.value_or(true);  // deeper ones are some of several
    json item = {{"hop", hop.what}, {"ok", nullptr}, {"text", hop.text}, {"source", nullptr}, {"since", nullptr}, {"depth", hop.depth}};
    if (hop.ok) item["ok"] = *hop.ok;
    if (!hop.source.empty()) item["source"] = hop.source;
    if (hop.since_wall != 0) item["since"] = FormatTime(hop.since_wall);
    hops.push_back(std::move(item));
  }
  return {{"target", target}, {"kind", kind_}, {"ok", ok}, {"hops", std::move(hops)}};
}

}  // namespace fairlead::app
