#include "discovery/dns/zone.h"

#include <algorithm>

#include "base/check.h"
#include "base/strings.h"
#include "discovery/names.h"

namespace fairlead::dns {

namespace {

constexpr size_t kMany = 1024;      // changes: a catalog is being read
constexpr size_t kNamesOfRow = 4;   // about
constexpr uint32_t kRefresh = 3600, kRetry = 600, kExpire = 86400;

// MNAME, RNAME and timers; the serial is written when it is answered.
std::string SoaData(std::string_view zone, uint32_t minimum_s) {
  std::string data = Owner({"ns"}, zone) + Owner({"hostmaster"}, zone);
  for (uint32_t value : {uint32_t{1}, kRefresh, kRetry, kExpire, minimum_s}) Append32(data, value);
  return data;
}

uint32_t SoaSerial(std::string_view data) {
  return Load32(reinterpret_cast<const uint8_t*>(data.data()) + data.size() - 20);
}

bool SetLocalKey(NameBuffer& key, LocalKind kind, std::string_view label, std::string_view project,
                 std::string_view branch) {
  char letter = static_cast<char>(kind);
  std::string_view last(&letter, 1);
  if (branch.empty()) return key.Set({label, project, last}, kRoot);
  return key.Set({label, discovery::NameLabel(branch), project, last}, kRoot);
}

// Adds one to, or takes one from, a count in a map; an entry at 0 is gone.
void Tally(std::map<AskerScope, uint32_t>& counts, const AskerScope& key, bool add) {
  auto it = counts.try_emplace(key).first;
  if (add) {
    ++it->second;
  } else if (--it->second == 0) {
    counts.erase(it);
  }
}

}  // namespace

StatusOr<std::unique_ptr<Zone>> Zone::Make(const ZoneConfig& config, const Clock& clock) {
  ZoneNames names;
  auto zone = ParseName(config.zone);
  if (!zone.ok()) return WithContext(zone.status(), "dns.zone: ");
  names.zone = *zone;
  if (!config.branch_zone.empty()) {
    auto branch_zone = ParseName(config.branch_zone);
    if (!branch_zone.ok()) return WithContext(branch_zone.status(), "dns.branch_zone: ");
    names.branch_zone = *branch_zone;
  }
  if (Owner({"hostmaster"}, names.zone).empty()) return InvalidArgument("dns.zone: ", config.zone, " is too long");
  return std::unique_ptr<Zone>(new Zone(config, std::move(names), clock));
}

Zone::Zone(const ZoneConfig& config, ZoneNames names, const Clock& clock)
    : config_(config), names_(std::move(names)), clock_(clock), serial_(static_cast<uint32_t>(clock.WallNow() / kSecond)),
      rendered_(config.workers) {
  for (const ViewConfig& view : config.views) views_.push_back({view, {}, {}});
  Rebuild();
}

Status Zone::SetRecords(std::vector<StaticRecord> records, std::vector<std::vector<StaticRecord>> of_views) {
  std::vector<std::string> static_zones;
  for (const StaticRecord& record : records) {
    if (record.type == kSoa) static_zones.push_back(record.owner);
  }
  std::vector<std::string> zones = static_zones;
  zones.push_back(names_.zone);
  if (!names_.branch_zone.empty()) zones.push_back(names_.branch_zone);
  auto check = [&](const StaticRecord& record) -> Status {
    if (std::any_of(zones.begin(), zones.end(), [&](std::string_view zone) { return IsWithin(record.owner, zone); })) return OkStatus();
    return InvalidArgument(record.where, ": ", NameToText(record.owner), " lies in no zone of this server; ",
                           "move it below ", NameToText(names_.zone), " or add an SOA record for its zone");
  };
  for (const StaticRecord& record : records) RETURN_IF_ERROR(check(record));
  of_views.resize(views_.size());
  for (const auto& of_view : of_views) {
    for (const StaticRecord& record : of_view) {
      RETURN_IF_ERROR(check(record));
      if (record.type != kSoa && record.type != kNs) continue;
      return InvalidArgument(record.where, ": a view has no zones of its own; move SOA and NS records to dns.records");
    }
  }
  for (size_t i = 0; i < views_.size(); i++) views_[i].records = std::move(of_views[i]);
  static_records_ = std::move(records);
  static_zones_ = std::move(static_zones);
  Rebuild();
  return OkStatus();
}

bool Zone::HoldsStatic(std::string_view owner, uint16_t type) const {
  return std::any_of(static_records_.begin(), static_records_.end(),
                     [&](const StaticRecord& record) { return record.owner == owner && record.type == type; });
}

// A zone needs SOA and NS; what the master files do not give is made up.
void Zone::OpenZone(const std::string& apex) {
  if (!HoldsStatic(apex, kSoa)) {
    tree_.AddRecord(apex, kSoa, SoaData(names_.zone, config_.negative_ttl_s), config_.negative_ttl_s);
  }
  if (!HoldsStatic(apex, kNs)) tree_.AddRecord(apex, kNs, Owner({"ns"}, names_.zone), config_.ttl_s);
}

void Zone::Rebuild() {
  tree_.Clear();
  DropAllRendered();
  local_.Clear();
  containers_.clear();
  askers_.clear();
  balancer_ = {RrSet(kA), RrSet(kAaaa)};
  adding_ = true;
  for (const IpAddress& ip : config_.balancer) SetBalancer(ip);
  // Outer zones first: a name is tied to what stands above it when it is made.
  std::vector<const StaticRecord*> records;
  for (const StaticRecord& record : static_records_) {
    if (record.type == kSoa) records.push_back(&record);
  }
  std::sort(records.begin(), records.end(),
            [](const auto* a, const auto* b) { return a->owner.size() < b->owner.size(); });
  for (const StaticRecord& record : static_records_) {
    if (record.type != kSoa) records.push_back(&record);
  }
  std::vector<std::string> own = {names_.zone};
  if (!names_.branch_zone.empty() && names_.branch_zone != names_.zone) own.push_back(names_.branch_zone);
  std::sort(own.begin(), own.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  for (const std::string& apex : own) OpenZone(apex);
  for (const StaticRecord* record : records) {
    if (record->type == kSoa && !HoldsStatic(record->owner, kNs)) OpenZone(record->owner);
    tree_.AddRecord(record->owner, record->type, record->data, record->ttl_s);
    if (record->type == kSoa) serial_ = std::max(serial_, SoaSerial(record->data));
  }
  RebuildViews();
  for (const auto& row : rows_) {
    std::string_view raw = ContainerOf(*row);
    Apply(*row, raw.empty() ? "" : labels_.Of(row->node, raw), true);
  }
  ++serial_;
}

void Zone::RebuildViews() {
  for (View& view : views_) {
    view.tree.Clear();
    for (const std::string& apex : tree_.apexes()) {
      const RrSet& soa = *tree_.Find(apex)->Find(kSoa);
      view.tree.AddRecord(apex, kSoa, soa.data(0), soa.ttl_s());
    }
    for (const StaticRecord& record : view.records) view.tree.AddRecord(record.owner, record.type, record.data, record.ttl_s);
  }
}

Zone::View* Zone::ViewNamed(std::string_view env) {
  auto view = std::find_if(views_.begin(), views_.end(), [&](const View& v) { return v.config.env == env; });
  return view != views_.end() ? &*view : nullptr;
}

const NameTree* Zone::ViewOf(const IpAddress& asker) const {
  if (views_.empty()) return nullptr;
  if (auto it = askers_.find(asker); it != askers_.end()) {
    for (const View& view : views_) {
      if (view.config.env == it->second.scope().env) return &view.tree;
    }
  }
  for (const View& view : views_) {
    for (const Prefix& prefix : view.config.from) {
      if (prefix.Contains(asker)) return &view.tree;
    }
  }
  return nullptr;
}

void Zone::OnChanges(const std::vector<discovery::Change>& changes) {
  if (changes.size() >= kMany) {
    rows_.reserve(rows_.size() + changes.size());
    tree_.Reserve(kNamesOfRow * changes.size());
    local_.Reserve(changes.size());
    containers_.reserve(containers_.size() + changes.size());
    askers_.reserve(askers_.size() + changes.size());
  }
  for (const discovery::Change& change : changes) {
    auto it = rows_.find(std::string_view(change.key));
    std::shared_ptr<const discovery::Row> before;
    if (it != rows_.end()) {
      before = *it;
      rows_.erase(it);
    }
    Replace(before.get(), change.row.get());
    if (change.row != nullptr) rows_.insert(change.row);
  }
  serial_ = std::max(serial_ + 1, static_cast<uint32_t>(clock_.WallNow() / kSecond));
}

// The new statements come first: what both rows say never goes away in between.
void Zone::Replace(const discovery::Row* before, const discovery::Row* after) {
  const discovery::EndpointRow* old = before != nullptr ? before->endpoint() : nullptr;
  const discovery::EndpointRow* now = after != nullptr ? after->endpoint() : nullptr;
  if (old != nullptr && now != nullptr && DifferInServicesAlone(*old, *now)) {
    adding_ = true;
    ServiceNamesOf(*now, names_, *this);
    ApplyToView(*now);
    adding_ = false;
    ServiceNamesOf(*old, names_, *this);
    ApplyToView(*old);
    return;
  }
  if (after != nullptr) Say(*after);
  if (before != nullptr) TakeBack(*before);
}

void Zone::Say(const discovery::Row& row) {
  std::string_view raw = ContainerOf(row);
  Apply(row, raw.empty() ? "" : labels_.Take(row.node, raw), true);
}

void Zone::TakeBack(const discovery::Row& row) {
  std::string_view raw = ContainerOf(row);
  Apply(row, raw.empty() ? "" : labels_.Release(row.node, raw), false);
}

void Zone::Apply(const discovery::Row& row, std::string_view container, bool add) {
  adding_ = add;
  NamesOf(row, container, names_, *this);
  if (const discovery::EndpointRow* endpoint = row.endpoint()) ApplyToView(*endpoint);
}

void Zone::ApplyToView(const discovery::EndpointRow& row) {
  View* view = ViewNamed(row.env);
  if (view == nullptr) return;
  into_ = &view->tree;
  ServiceNamesOf(row, names_, *this);
  into_ = &tree_;
}

const RrSet* Zone::Find(const Node& node, uint16_t type) const {
  if (const RrSet* set = node.Find(type)) return set;
  if (node.balanced == 0) return nullptr;
  for (const RrSet& set : balancer_) {
    if (set.type() == type && !set.empty()) return &set;
  }
  return nullptr;
}

const Node* Zone::FindLocal(std::string_view label, const IpAddress& asker, bool* asker_known) const {
  auto it = askers_.find(asker);
  *asker_known = it != askers_.end();
  if (!*asker_known) return nullptr;
  const AskerScope& scope = it->second.scope();
  const NameTree* view = ViewOf(asker);
  if (!scope.branch.empty()) {
    if (const Node* node = FindScoped(view, label, scope.project, scope.branch)) return node;
  }
  return FindScoped(view, label, scope.project, "");
}

const Node* Zone::FindScoped(const NameTree* view, std::string_view label, std::string_view project,
                             std::string_view branch) const {
  NameBuffer name;
  bool set = branch.empty() ? name.Set({label, project, "svc"}, names_.zone)
                            : name.Set({ServiceLabel(label, branch), project, "svc"}, names_.zone);
  if (set) {
    const Node* own = view != nullptr ? view->Find(name.view()) : nullptr;
    if (own != nullptr && own->says_something()) return own;
    if (const Node* service = tree_.Find(name.view())) return service;
  }
  for (LocalKind kind : {LocalKind::kContainer, LocalKind::kAlias}) {
    if (!SetLocalKey(name, kind, label, project, branch)) continue;
    if (const Node* node = local_.Find(name.view())) return node;
  }
  return nullptr;
}

void Zone::Render(size_t worker, const Node& node, const RrSet& set) const {
  if (auto answer = RenderedAnswer::Make(node.name, set)) rendered_[worker].Keep(node.name, set.type(), std::move(answer));
}

void Zone::DropRendered(std::string_view owner, uint16_t type) {
  for (RenderedAnswers& of_worker : rendered_) of_worker.Drop(owner, type);
}

void Zone::DropAllRendered() {
  for (RenderedAnswers& of_worker : rendered_) of_worker.Clear();
}

void Zone::SetRecord(std::string_view owner, uint16_t type, std::string_view data, std::string_view glue) {
  bool changed = adding_ ? into_->AddRecord(owner, type, data, config_.ttl_s, glue) : into_->RemoveRecord(owner, type, data);
  if (changed) DropRendered(owner, type);
}

void Zone::SetCount(NameTree& tree, std::string_view owner, uint32_t Node::*count) {
  Node& node = tree.Ensure(owner);
  if (count == &Node::balanced) tree.BeforeChange(node);
  if (adding_) {
    ++(node.*count);
    return;
  }
  CHECK(node.*count > 0);
  --(node.*count);
  tree.Prune(node);
}

void Zone::Record(std::string_view owner, uint16_t type, std::string_view data) {
  SetRecord(owner, type, data);
}

void Zone::Srv(std::string_view owner, std::string_view data, const IpAddress& ip) {
  SetRecord(owner, kSrv, data, AddressData(ip));
}

void Zone::Known(std::string_view owner) { SetCount(*into_, owner, &Node::known); }

void Zone::Balanced(std::string_view owner) {
  SetCount(tree_, owner, &Node::balanced);
  for (uint16_t type : {kA, kAaaa}) DropRendered(owner, type);
}

void Zone::SetShortName(std::string_view short_name, const Host& host, bool add) {
  bool before = std::exchange(adding_, add);
  if (add) Known(short_name);
  for (const auto& [ip, holders] : host.addresses) Record(short_name, AddressType(ip), AddressData(ip));
  if (!add) Known(short_name);
  adding_ = before;
}

// A row names the container, with that address or without one. CONTAINER.ct.ZONE exists while one host alone has a container
// of that name.
void Zone::ChangeHost(std::string_view label, std::string_view node, const IpAddress& ip) {
  NameBuffer short_name;
  bool named = short_name.Set({label, "ct"}, names_.zone);
  auto hosts = containers_.try_emplace(label).first;
  auto host = hosts->second.find(node);
  if (host == hosts->second.end()) {
    if (named && hosts->second.size() == 1) SetShortName(short_name.view(), hosts->second.begin()->second, false);
    if (named && hosts->second.empty()) Known(short_name.view());
    host = hosts->second.try_emplace(std::string(node)).first;
  }
  bool alone = hosts->second.size() == 1;
  if (ip.is_set()) {
    CountAddress(host->second, ip, named && alone ? short_name.view() : "");
  } else {
    host->second.holders += adding_ ? 1u : ~0u;
  }
  if (!host->second.empty()) return;
  hosts->second.erase(host);
  if (named && alone) Known(short_name.view());
  if (named && hosts->second.size() == 1) SetShortName(short_name.view(), hosts->second.begin()->second, true);
  if (hosts->second.empty()) containers_.erase(hosts);
}

void Zone::CountAddress(Host& host, const IpAddress& ip, std::string_view short_name) {
  auto address = std::ranges::find(host.addresses, ip, [](const auto& known) { return known.first; });
  if (address == host.addresses.end()) address = host.addresses.insert(address, {ip, 0});
  uint32_t before = address->second;
  address->second += adding_ ? 1u : ~0u;
  bool changed = before == 0 || address->second == 0;
  if (changed && !short_name.empty()) Record(short_name, AddressType(ip), AddressData(ip));
  if (address->second == 0) host.addresses.erase(address);
}

void Zone::Container(std::string_view label, std::string_view node) {
  if (NameBuffer owner; owner.Set({label, node, "ct"}, names_.zone)) Known(owner.view());
  ChangeHost(label, node, {});
}

void Zone::ContainerAddress(std::string_view label, std::string_view node, const IpAddress& ip) {
  if (NameBuffer owner; owner.Set({label, node, "ct"}, names_.zone)) Record(owner.view(), AddressType(ip), AddressData(ip));
  ChangeHost(label, node, ip);
}

void Zone::Local(LocalKind kind, std::string_view label, const AskerScope& scope, const IpAddress& ip) {
  NameBuffer key;
  if (!SetLocalKey(key, kind, label, scope.project, scope.branch)) return;
  if (!ip.is_set()) {
    SetCount(local_, key.view(), &Node::known);
  } else if (adding_) {
    local_.AddRecord(key.view(), AddressType(ip), AddressData(ip), config_.ttl_s);
  } else {
    local_.RemoveRecord(key.view(), AddressType(ip), AddressData(ip));
  }
}

void Zone::Asker(const IpAddress& ip, const AskerScope& scope, bool endpoint) {
  auto it = askers_.try_emplace(ip).first;
  Tally(endpoint ? it->second.endpoints : it->second.leases, scope, adding_);
  if (it->second.endpoints.empty() && it->second.leases.empty()) askers_.erase(it);
}

// A reverse zone of our own is opened only where no configured zone covers the address already.
void Zone::Reverse(const IpAddress& ip, std::string_view target) {
  std::string apex = ReverseZone(ip);
  if (std::none_of(static_zones_.begin(), static_zones_.end(),
                   [&](const std::string& zone) { return IsWithin(apex, zone); })) {
    Record(apex, kSoa, SoaData(names_.zone, config_.negative_ttl_s));
    Record(apex, kNs, Owner({"ns"}, names_.zone));
  }
  Record(ReverseName(ip), kPtr, target);
}

void Zone::SetBalancer(const IpAddress& ip) {
  RrSet& set = balancer_[ip.is_v4() ? 0 : 1];
  if (adding_) {
    set.Add(AddressData(ip), config_.ttl_s);
  } else {
    set.Remove(AddressData(ip));
  }
  DropAllRendered();  // too many names have them to tell which; the balancer hardly ever moves
}

void Zone::NodeAddress(std::string_view node, const IpAddress& ip) {
  if (node != config_.node) return;
  if (config_.balancer.empty()) SetBalancer(ip);
  Record(Owner({"ns"}, names_.zone), AddressType(ip), AddressData(ip));
}

}  // namespace fairlead::dns
