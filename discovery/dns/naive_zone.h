// For tests, of other modules too: what the name server must answer, worked out from all rows at once and as text, with
// nothing of the server's own code but the rules of the contract. "DNS equals catalog" is: for any rows and any
// question, NaiveZone and the server say the same.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/strings.h"
#include "discovery/dns/wire.h"
#include "discovery/dns/zone.h"
#include "discovery/names.h"

namespace fairlead::dns {

class NaiveZone {
 public:
  struct Result {
    Rcode rcode = Rcode::kRefused;
    std::set<std::string> data;
    friend bool operator==(const Result&, const Result&) = default;
  };

  NaiveZone(const std::vector<discovery::Row>& rows, const ZoneConfig& config) : config_(config) {
    zone_ = Cat(".", config.zone, ".");
    branch_zone_ = config.branch_zone.empty() ? "" : Cat(".", config.branch_zone, ".");
    for (const IpAddress& ip : config.balancer) balancer_.insert(ip.ToString());
    for (const discovery::Row& row : rows) {
      if (row.node_row() != nullptr) AddNode(*row.node_row());
    }
    for (const discovery::Row& row : rows) {
      if (row.endpoint() != nullptr) AddEndpoint(*row.endpoint());
      if (row.lease() != nullptr) AddLease(row.node, *row.lease());
    }
    for (const auto& [label, hosts] : hosts_of_) {
      if (hosts.size() == 1) names_[Cat(label, ".ct", zone_)].merge(std::set(hosts.begin()->second));
    }
  }

  // All names that there are; for tests that ask for each.
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, data] : names_) all.push_back(name);
    for (const auto& [key, data] : local_) all.push_back(key.substr(0, key.find('/')) + ".");
    return all;
  }

  // `name` in lower case with a final dot. A, AAAA, SRV and PTR only.
  Result Answer(const std::string& name, uint16_t type, const std::string& asker = "") const {
    if (!InZone(name)) return std::count(name.begin(), name.end(), '.') == 1 ? Local(name, type, asker) : Result{};
    if (Exists(name)) return Pick(name, type);
    std::string above = name;
    while (!Exists(above) && !IsApex(above)) above = above.substr(above.find('.') + 1);
    std::string star = Cat("*.", above);
    if (names_.contains(star)) return Pick(star, type);
    return {Rcode::kNxDomain, {}};
  }

 private:
  using Data = std::set<std::pair<uint16_t, std::string>>;

  static uint16_t TypeOf(const IpAddress& ip) { return ip.is_v4() ? kA : kAaaa; }

  static std::string Dashed(const IpAddress& ip) {
    std::string text;
    for (size_t i = 0; i < ip.bytes().size(); i += ip.is_v4() ? 1 : 2) {
      char piece[8];
      snprintf(piece, sizeof piece, ip.is_v4() ? "%u" : "%x", ip.is_v4() ? ip.bytes()[i] : ip.bytes()[i] * 256u + ip.bytes()[i + 1]);
      text += Cat(i == 0 ? "" : "-", piece);
    }
    return text;
  }

  void AddNode(const discovery::NodeRow& node) {
    Data& data = names_[Cat(discovery::NameLabel(node.name), ".node", zone_)];
    for (const IpAddress& ip : node.addresses) {
      data.emplace(TypeOf(ip), ip.ToString());
      if (node.name != config_.node) continue;
      names_[Cat("ns", zone_)].emplace(TypeOf(ip), ip.ToString());
      if (config_.balancer.empty()) balancer_.insert(ip.ToString());
    }
  }

  void AddContainer(const std::string& raw_name, const std::string& raw_node, const IpAddress& ip) {
    std::string name = discovery::NameLabel(raw_name), node = discovery::NameLabel(raw_node);
    Data& own = names_[Cat(name, ".", node, ".ct", zone_)];
    Data& host = hosts_of_[name][node];
    if (!ip.is_set()) return;
    own.emplace(TypeOf(ip), ip.ToString());
    host.emplace(TypeOf(ip), ip.ToString());
  }

  void AddLease(const std::string& node, const discovery::LeaseRow& lease) {
    if (lease.provisional) return;
    AddContainer(lease.name, node, lease.ip);
    std::string target = Cat(discovery::NameLabel(lease.name), ".", discovery::NameLabel(node), ".ct", zone_);
    names_[Reverse(lease.ip, 0)].emplace(kPtr, target);
    reverse_zones_.insert(Reverse(lease.ip, lease.ip.is_v4() ? 1 : 8));
    if (lease.project.empty()) return;
    std::string project = discovery::NameLabel(lease.project);
    lease_askers_[lease.ip.ToString()].emplace(project, "");
    local_[Cat(discovery::NameLabel(lease.name), "/", project, "/c")].emplace(TypeOf(lease.ip), lease.ip.ToString());
  }

  static std::string Reverse(const IpAddress& ip, size_t skip) {
    std::string name;
    for (size_t i = 0; i < ip.bytes().size() - skip; i++) {
      char piece[16];
      unsigned byte = ip.bytes()[i];
      if (ip.is_v4()) {
        snprintf(piece, sizeof piece, "%u.", byte);
      } else {
        snprintf(piece, sizeof piece, "%x.%x.", byte & 15, byte >> 4);
      }
      name = Cat(piece, name);
    }
    return Cat(name, ip.is_v4() ? "in-addr.arpa." : "ip6.arpa.");
  }

  void AddEndpoint(const discovery::EndpointRow& row) {
    std::string project = discovery::NameLabel(row.project), name = discovery::NameLabel(row.name);
    bool any_managed = false;
    for (const auto& address : row.addresses) any_managed |= address.managed;
    AddContainer(row.name, row.node, {});
    Data& container = local_[Cat(name, "/", project, "/c")];
    std::string in_branch = row.branch.empty() ? "" : Cat("/", row.branch);
    for (const std::string& alias : row.aliases) local_[Cat(discovery::NameLabel(alias), "/", project, "/a", in_branch)];
    for (const auto& address : row.addresses) {
      AddContainer(row.name, row.node, address.ip);
      if (address.managed) endpoint_askers_[address.ip.ToString()].emplace(project, row.branch);
      if (address.managed != any_managed) continue;
      container.emplace(TypeOf(address.ip), address.ip.ToString());
      if (row.state != discovery::RunState::kRunning) continue;
      for (const std::string& alias : row.aliases) {
        local_[Cat(discovery::NameLabel(alias), "/", project, "/a", in_branch)].emplace(TypeOf(address.ip), address.ip.ToString());
      }
    }
    for (const auto& entry : row.services) AddService(row, entry);
  }

  void AddService(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry) {
    std::string service = discovery::NameLabel(entry.service), project = discovery::NameLabel(entry.project);
    std::string shared = row.branch.empty() ? service : discovery::NameLabel(Cat(entry.service, "--", row.branch));
    std::string owner = Cat(shared, ".", project, ".svc", zone_);
    names_[owner];
    bool published = entry.ip.is_set() && entry.port != 0;
    bool ready = published && row.state == discovery::RunState::kRunning && !row.draining &&
                 row.health != discovery::HealthState::kStarting && row.health != discovery::HealthState::kUnhealthy;
    std::string target = Cat(Dashed(entry.ip), ".", owner);
    if (ready) {
      names_[owner].emplace(TypeOf(entry.ip), entry.ip.ToString());
      names_[target].emplace(TypeOf(entry.ip), entry.ip.ToString());
    }
    for (size_t i = 0; i < entry.ports.size(); i++) {
      std::string label = entry.ports[i].name.empty() ? Cat(entry.ports[i].number) : entry.ports[i].name;
      Data& srv = names_[Cat("_", label, "._", entry.ports[i].protocol, ".", owner)];
      uint16_t port = i == 0 ? entry.port : PortOf(row, entry, entry.ports[i]);
      if (ready && port != 0) srv.emplace(kSrv, Cat("0 ", entry.weight, " ", port, " ", target));
    }
    if (!published) return;
    AddBalanced(Cat(shared, ".", project, ".lb", zone_));
    std::string branch = discovery::BranchLabel(row.branch);
    if (branch_zone_.empty() || branch.empty() || row.state == discovery::RunState::kExited) return;
    if (row.health == discovery::HealthState::kStarting || (row.health == discovery::HealthState::kUnhealthy && !row.was_healthy)) return;
    AddBalanced(Cat(branch, ".", project, branch_zone_));
    AddBalanced(Cat("*.", branch, ".", project, branch_zone_));
    AddBalanced(Cat(discovery::NameLabel(Cat(branch, "--", project)), branch_zone_));
    AddBalanced(Cat(discovery::NameLabel(Cat(service, "--", branch, "--", project)), branch_zone_));
  }

  static uint16_t PortOf(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry, const discovery::Port& port) {
    for (const auto& address : row.addresses) {
      if (address.ip == entry.ip) return port.number;
    }
    for (const auto& p : row.published_ports) {
      if (p.container_port == port.number && p.protocol == port.protocol) return p.host_port;
    }
    return 0;
  }

  void AddBalanced(const std::string& name) {
    Data& data = names_[name];
    for (const std::string& ip : balancer_) data.emplace(TypeOf(*IpAddress::Parse(ip)), ip);
  }

  bool IsApex(const std::string& name) const {
    return Cat(".", name) == zone_ || Cat(".", name) == branch_zone_ || reverse_zones_.contains(name);
  }
  bool InZone(const std::string& name) const {
    for (std::string above = name; !above.empty(); above = above.substr(above.find('.') + 1)) {
      if (IsApex(above)) return true;
    }
    return false;
  }
  bool Exists(const std::string& name) const {
    if (IsApex(name)) return true;
    for (const auto& [other, data] : names_) {
      if (other == name || other.ends_with(Cat(".", name))) return true;
    }
    return false;
  }
  static Result Pick(const Data& data, uint16_t type) {
    Result result{Rcode::kNoError, {}};
    for (const auto& [data_type, text] : data) {
      if (data_type == type) result.data.insert(text);
    }
    return result;
  }
  Result Pick(const std::string& name, uint16_t type) const {
    auto it = names_.find(name);
    return it != names_.end() ? Pick(it->second, type) : Result{Rcode::kNoError, {}};
  }

  Result Local(const std::string& name, uint16_t type, const std::string& asker) const {
    auto of = endpoint_askers_.find(asker);
    if (of == endpoint_askers_.end()) {
      of = lease_askers_.find(asker);
      if (of == lease_askers_.end()) return {};
    }
    std::string label = name.substr(0, name.size() - 1);
    const auto& [project, branch] = *of->second.begin();
    if (!branch.empty()) {
      std::string service = Cat(discovery::NameLabel(Cat(label, "--", branch)), ".", project, ".svc", zone_);
      if (names_.contains(service)) return Pick(service, type);
      auto it = local_.find(Cat(label, "/", project, "/a/", branch));
      if (it != local_.end()) return Pick(it->second, type);
    }
    std::string service = Cat(label, ".", project, ".svc", zone_);
    if (names_.contains(service)) return Pick(service, type);
    for (std::string_view kind : {"/c", "/a"}) {
      auto it = local_.find(Cat(label, "/", project, kind));
      if (it != local_.end()) return Pick(it->second, type);
    }
    return {Rcode::kNxDomain, {}};
  }

  ZoneConfig config_;
  std::string zone_, branch_zone_;  // ".fl.internal."
  std::set<std::string> balancer_;
  std::map<std::string, Data> names_;
  std::map<std::string, std::map<std::string, Data>> hosts_of_;
  std::map<std::string, Data> local_;  // LABEL/PROJECT/KIND
  std::map<std::string, std::set<std::pair<std::string, std::string>>> endpoint_askers_, lease_askers_;  // project, branch
  std::set<std::string> reverse_zones_;
};

}  // namespace fairlead::dns
