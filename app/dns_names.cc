#include "app/dns_names.h"

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "discovery/dns/container_labels.h"
#include "discovery/dns/name.h"
#include "discovery/dns/wire.h"
#include "discovery/names.h"

namespace fairlead::app {
namespace {

using discovery::Row;

std::string WithoutFinalDot(std::string name) {
  if (name.ends_with('.')) name.pop_back();
  return name;
}

std::string AddressText(std::string_view data) {
  if (data.size() == 16) return IpAddress::V6(std::span<const uint8_t, 16>(reinterpret_cast<const uint8_t*>(data.data()), 16)).ToString();
  uint32_t host_order = 0;
  for (char byte : data) host_order = host_order << 8 | static_cast<uint8_t>(byte);
  return IpAddress::V4(host_order).ToString();
}

// Priority, weight, port, target (RFC 2782).
std::string SrvText(std::string_view data) {
  uint16_t port = static_cast<uint16_t>(static_cast<uint8_t>(data[4]) << 8 | static_cast<uint8_t>(data[5]));
  return Cat(WithoutFinalDot(dns::NameToText(data.substr(6))), ":", port);
}

class Gatherer final : public dns::NameSink {
 public:
  Gatherer(std::string target, const dns::ZoneNames& zones) : target_(std::move(target)), zones_(zones) {}

  void Ask(const Row& row) {
    row_ = &row;
    std::string_view container = dns::ContainerOf(row);
    NamesOf(row, container.empty() ? std::string() : labels_.Take(row.node, container), zones_, *this);
  }

  void Record(std::string_view owner, uint16_t type, std::string_view data) override {
    if (owner != target_) return;
    Hold();
    if (type == dns::kSrv) Add(DnsAnswer::kService, SrvText(data));
    if (type == dns::kA || type == dns::kAaaa) Add(DnsAnswer::kAddresses, AddressText(data));
  }
  void Srv(std::string_view owner, std::string_view data, const IpAddress&) override { Record(owner, dns::kSrv, data); }
  void Known(std::string_view owner) override {
    if (owner == target_) Hold();
  }
  void Balanced(std::string_view owner) override {
    bool wildcard = owner.starts_with("\1*") && target_ != owner.substr(2) && dns::IsWithin(target_, owner.substr(2));
    if (owner != target_ && !wildcard) return;
    Hold();
    answer.kind = DnsAnswer::kBalancer;
  }
  void Container(std::string_view label, std::string_view node) override {
    if (IsContainer(label, node)) Hold();
  }
  void ContainerAddress(std::string_view label, std::string_view node, const IpAddress& ip) override {
    if (IsContainer(label, node)) Add(DnsAnswer::kAddresses, ip.ToString());
  }
  void Local(dns::LocalKind, std::string_view, const dns::AskerScope&, const IpAddress&) override {}
  void Asker(const IpAddress&, const dns::AskerScope&, bool) override {}
  void Reverse(const IpAddress& ip, std::string_view target) override {
    if (dns::ReverseName(ip) != target_) return;
    Hold();
    Add(DnsAnswer::kPointer, WithoutFinalDot(dns::NameToText(target)));
  }
  void NodeAddress(std::string_view, const IpAddress&) override {}

  DnsAnswer answer;
  std::set<std::string> nodes;  // that a short container name was found on

 private:
  // CONTAINER.NODE.ct.ZONE, or CONTAINER.ct.ZONE.
  bool IsContainer(std::string_view label, std::string_view node) {
    if (target_ == dns::Owner({label, node, "ct"}, zones_.zone)) return true;
    if (target_ != dns::Owner({label, "ct"}, zones_.zone)) return false;
    nodes.emplace(node);
    return true;
  }
  void Hold() {
    if (answer.kind == DnsAnswer::kNoSuchName) answer.kind = DnsAnswer::kNoData;
    if (std::ranges::find(answer.holders, row_) == answer.holders.end()) answer.holders.push_back(row_);
  }
  void Add(DnsAnswer::Kind kind, std::string text) {
    answer.kind = kind;
    bool there = std::ranges::any_of(answer.records, [&](const DnsAnswer::Record& record) { return record.text == text; });
    if (!there) answer.records.push_back({std::move(text), row_});
  }

  const std::string target_;
  const dns::ZoneNames& zones_;
  dns::ContainerLabels labels_;
  const Row* row_ = nullptr;
};

// As the name server is configured, or else at its node's addresses.
void AddBalancer(const AgentView& view, const AgentFacts& facts, DnsAnswer& answer) {
  for (const IpAddress& ip : facts.balancer) answer.records.push_back({ip.ToString(), nullptr});
  if (!facts.balancer.empty()) return;
  for (const Row* row : view.all_rows())
    if (const discovery::NodeRow* node = row->node_row(); node != nullptr && node->name == facts.node)
      for (const IpAddress& ip : node->addresses) answer.records.push_back({ip.ToString(), row});
}

}  // namespace

StatusOr<DnsAnswer> AnswerOf(const AgentView& view, const std::string& zone, const AgentFacts& facts,
                             const std::string& name) {
  dns::ZoneNames zones;
  ASSIGN_OR_RETURN(zones.zone, dns::ParseName(zone));
  if (!facts.branch_zone.empty()) {
    ASSIGN_OR_RETURN(zones.branch_zone, dns::ParseName(facts.branch_zone));
  }
  ASSIGN_OR_RETURN(std::string target, dns::ParseName(name));
  Gatherer gatherer(target, zones);
  bool ours = dns::IsWithin(target, zones.zone) || (!zones.branch_zone.empty() && dns::IsWithin(target, zones.branch_zone)) ||
              dns::IsWithin(target, *dns::ParseName("in-addr.arpa")) || dns::IsWithin(target, *dns::ParseName("ip6.arpa"));
  if (!ours) return gatherer.answer;
  gatherer.answer.kind = DnsAnswer::kNoSuchName;
  for (const Row* row : view.all_rows()) gatherer.Ask(*row);
  if (gatherer.nodes.size() > 1) {
    gatherer.answer.kind = DnsAnswer::kNoData;
    gatherer.answer.records.clear();
    gatherer.answer.note = Cat("several nodes have a container of that name: ",
                               Join({gatherer.nodes.begin(), gatherer.nodes.end()}, ", "));
  }
  if (gatherer.answer.kind == DnsAnswer::kBalancer) AddBalancer(view, facts, gatherer.answer);
  return std::move(gatherer.answer);
}

}  // namespace fairlead::app
