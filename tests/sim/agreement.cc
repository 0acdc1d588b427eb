// What must hold when all is quiet: engine, catalog, leases, consumers, name server and balancer say the same. The
// expectation is worked out anew from the engine's containers and the catalog's rows.
#include <set>

#include "lb/cluster.h"
#include "runtime-shim/endpoint_row.h"
#include "tests/sim/fleet.h"

namespace fairlead::fleet {
namespace {

constexpr Nanos kPatience = 180 * kSecond;  // a lost event costs up to a minute, an address that nobody took up to two
constexpr int kAsksPerEndpoint = 2;

template <class Map>
std::map<std::string, std::shared_ptr<const discovery::Row>> RowsOf(const Map& map) {
  std::map<std::string, std::shared_ptr<const discovery::Row>> rows;
  map.ForEach([&](const std::shared_ptr<const discovery::Row>& row) { rows.emplace(row->key, row); });
  return rows;
}

std::string Short(const Container& container) { return Cat(container.details.name, " (", container.details.id.substr(0, 6), ")"); }

}  // namespace

std::string Fleet::EngineDisagrees() const {
  size_t rows = 0;
  std::string wrong;
  agent->catalog()->ForEach([&](const std::shared_ptr<const discovery::Row>& row) {
    if (row->endpoint() == nullptr) return;
    rows++;
    if (!engine.containers().contains(row->endpoint()->engine_id)) wrong = Cat("the catalog has ", row->endpoint()->name, ", the engine has not");
  });
  if (!wrong.empty()) return wrong;
  for (const auto& [id, container] : engine.containers()) {
    auto row = agent->catalog()->Find(Cat("endpoint/", kNode, "/", id));
    if (row == nullptr) return Cat("the catalog has no ", Short(container));
    const discovery::EndpointRow& endpoint = *row->endpoint();
    std::vector<IpAddress> addresses;
    for (const discovery::Address& address : endpoint.addresses) addresses.push_back(address.ip);
    std::vector<IpAddress> wanted;
    if (container.ip.is_set()) wanted.push_back(container.ip);
    bool service = !endpoint.services.empty() && Cat(endpoint.services[0].service, ".", endpoint.services[0].project) == container.service;
    if (endpoint.name != container.canonical) return Cat("the catalog calls ", Short(container), " ", endpoint.name);
    if (endpoint.state != runtime::RunStateOf(container.details.state)) return Cat("the catalog has another state for ", Short(container));
    if (endpoint.draining) return Cat("the catalog drains ", Short(container));
    if (addresses != wanted || endpoint.pid != container.details.pid || !service) return Cat("the catalog has another row for ", Short(container));
  }
  return rows == engine.containers().size() ? "" : "the catalog has more rows than the engine containers";
}

std::string Fleet::LeasesDisagree() const {
  std::map<IpAddress, const Container*> holders;
  std::map<std::string, int> names;
  for (const auto& [id, container] : engine.containers()) {
    if (!container.ip.is_set()) continue;
    holders[container.ip] = &container;
    names[container.canonical]++;
  }
  std::map<IpAddress, const Container*> missing = holders;
  std::set<std::string> stood_for;
  for (const ipam::Lease& lease : agent->ipam().Leases()) stood_for.insert(lease.stand_in_for);
  for (const ipam::Lease& lease : agent->ipam().Leases()) {
    if (!lease.attached && stood_for.contains(lease.key.name)) continue;  // the name is shown where its stand-in is
    const std::string& shown = lease.stand_in_for.empty() ? lease.key.name : lease.stand_in_for;
    auto row = agent->catalog()->Find(Cat("lease/", lease.key.network, "/", lease.key.scope, "/", shown));
    if (row == nullptr || row->lease()->ip != lease.ip || row->lease()->attached != lease.attached)
      return Cat("the catalog has another row for lease ", lease.key.ToString());
    if (!lease.attached) continue;
    auto holder = holders.find(lease.ip);
    if (holder == holders.end()) return Cat("lease ", lease.key.ToString(), " is attached, but no container has ", lease.ip.ToString());
    missing.erase(lease.ip);
    const Container& container = *holder->second;
    if (names[container.canonical] > 1) continue;  // two live ones of one name: one of them is provisional
    if (lease.stand_in_for == container.canonical) continue;
    if (lease.key.name != container.canonical || lease.provisional)
      return Cat(lease.ip.ToString(), " of ", Short(container), " is leased to ", lease.key.ToString(), lease.provisional ? ", provisional" : "");
  }
  if (!missing.empty()) return Cat(Short(*missing.begin()->second), " has ", missing.begin()->first.ToString(), " without a lease");
  return "";
}

std::string Fleet::ConsumerDisagrees(const char* name, const discovery::Consumer& consumer) const {
  if (!consumer.synced()) return Cat(name, " is not synced: ", consumer.status().error);
  auto wanted = RowsOf(*agent->catalog()), got = RowsOf(consumer.rows());
  for (const auto& [key, row] : wanted)
    if (auto found = got.find(key); found == got.end() || !(*found->second == *row))
      return Cat(name, found == got.end() ? " has no row " : " has another row ", key);
  for (const auto& [key, row] : got)
    if (!wanted.contains(key)) return Cat(name, " has row ", key, ", the catalog has not");
  return "";
}

std::string Fleet::BalancerDisagrees() const {
  std::map<std::string, std::set<std::string>> wanted;
  agent->catalog()->ForEach([&](const std::shared_ptr<const discovery::Row>& row) {
    if (row->endpoint() == nullptr) return;
    for (const discovery::ServiceEntry& entry : row->endpoint()->services)
      if (row->endpoint()->ready(entry)) wanted[Cat(entry.service, ".", entry.project)].insert(SocketAddress(entry.ip, entry.port).ToString());
  });
  std::map<std::string, std::set<std::string>> got;
  for (const std::string& service : lb->picture().Services())
    for (const lb::Picture::EndpointInfo& endpoint : lb->picture().Endpoints(service))
      if (endpoint.ready) got[service].insert(endpoint.view->address.ToString());
  return wanted == got ? "" : "the balancer has other endpoints than the rows";
}

std::string Fleet::Disagreement() const {
  if (agent == nullptr || !agent->ready()) return "the agent is not ready";
  if (dns == nullptr || lb == nullptr) return "dns or lb is down";
  if (!engine.up() || !engine.idle()) return "the engine is busy";
  if (std::string wrong = EngineDisagrees(); !wrong.empty()) return wrong;
  if (std::string wrong = LeasesDisagree(); !wrong.empty()) return wrong;
  if (std::string wrong = ConsumerDisagrees("dns", dns->consumer()); !wrong.empty()) return wrong;
  if (std::string wrong = ConsumerDisagrees("lb", lb->consumer()); !wrong.empty()) return wrong;
  return BalancerDisagrees();
}

// Names have their addresses for certain now.
void Fleet::Settle() {
  std::map<std::string, std::vector<IpAddress>> by_name;
  for (const auto& [id, container] : engine.containers())
    if (container.ip.is_set()) by_name[container.canonical].push_back(container.ip);
  for (const auto& [name, addresses] : by_name) {
    auto own = agent->ipam().Find({kNetworkName, kNode, name});  // not where it is, where another lease stands in
    if (addresses.size() == 1) leases.Settled(name, own ? own->ip : addresses[0]);
  }
}

void Fleet::CheckAll() {
  std::string disagreement;
  bool agreed = RunUntil([&] { return (disagreement = Disagreement()).empty(); }, kPatience);
  if (!verdict.findings().empty()) return;
  if (!agreed) return verdict.Fail("convergence", disagreement);
  clients.Pause();
  Run(2 * lb::Endpoint::kAvoid);  // the balancer avoids for a while what refused it last
  if (!RunUntil([&] { return clients.idle(); }, kPatience)) return verdict.Fail("progress", "requests do not end");
  verdict.Tell("all agree");
  Settle();
  calm.End(Calm::kHttp, 0);
  calm.End(Calm::kDns, 0);

  std::vector<discovery::Row> rows;
  agent->catalog()->ForEach([&](const std::shared_ptr<const discovery::Row>& row) { rows.push_back(*row); });
  clients.CompareNames(dns::NaiveZone(rows, DnsProcess::Zone()));
  std::map<std::string, int> how_often;
  std::map<std::string, std::set<std::string>> wanted, answered;
  for (const auto& [id, container] : engine.containers()) {
    if (!container.running()) continue;
    how_often[container.service] += kAsksPerEndpoint;
    wanted[container.service].insert(id);
  }
  const uint64_t detours = lb->detours();
  clients.Sweep(how_often, &answered);
  if (!RunUntil([&] { return !clients.busy(); }, kPatience)) return verdict.Fail("progress", "the questions are not answered");
  if (lb->detours() != detours) verdict.Fail("balancer equals catalog", "the worker tried endpoints that are gone");
  if (answered != wanted) verdict.Fail("balancer equals catalog", "not each container of a service was asked, or others were");
  clients.Go();
}

}  // namespace fairlead::fleet
