#include "runtime-shim/attachments.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "runtime-shim/pools.h"

namespace fairlead::runtime {
namespace {

constexpr Nanos kHeldRetry = 2 * kMillisecond;
// A namespace goes a little after its container: so long the holder of a name may still seem to live.
constexpr Nanos kHolderPatience = 2 * kSecond, kHolderRetry = 20 * kMillisecond;

constexpr size_t kShownIdBytes = 12;  // of a container's id, as engines show it

// What a call under way holds for its name.
std::string NameHold(const std::string& network, const std::string& name) { return Cat(network, " ", name); }

std::string EndpointId(const std::string& attachment_id) { return Cat(kAttachmentEndpoints, attachment_id); }

dataplane::EndpointSpec EndpointOf(const AttachmentRecord& record, const std::string& network_id) {
  return {.id = EndpointId(record.id()), .network_id = network_id, .addresses = record.addresses, .mac = record.mac,
          .netns = record.netns};
}

}  // namespace

// One call at a time for an attachment, and for a name: a runtime that gave up on a call makes the next one while the
// first still runs here.
class Attachments::Hold {
 public:
  Hold(std::set<std::string>& held, std::vector<std::string> keys) : held_(held), keys_(std::move(keys)) {
    held_.insert(keys_.begin(), keys_.end());
  }
  Hold(const Hold&) = delete;
  ~Hold() {
    for (const std::string& key : keys_) held_.erase(key);
  }
  static bool Free(const std::set<std::string>& held, const std::vector<std::string>& keys) {
    return std::ranges::none_of(keys, [&](const std::string& key) { return held.contains(key); });
  }

 private:
  std::set<std::string>& held_;
  std::vector<std::string> keys_;
};

io::Task<Status> Attachments::Start() {
  auto records = co_await io::OffloadTo(parts_.store_thread, parts_.proactor, [this] { return parts_.store.Load(); });
  if (!records.ok()) co_return records.status();
  for (AttachmentRecord& record : *records) records_.emplace(record.id(), std::move(record));
  auto kept = co_await io::OffloadTo(parts_.store_thread, parts_.proactor, [this] { return parts_.store.LoadNetworks(); });
  if (!kept.ok()) co_return kept.status();
  for (dataplane::NetworkSpec& network : *kept) kept_.emplace(network.name, std::move(network));
  auto present = co_await io::OffloadTo(parts_.network_thread, parts_.proactor, [this] { return parts_.driver.ListEndpoints(); });
  if (!present.ok()) co_return present.status();
  const std::set<std::string> there(present->begin(), present->end());
  for (const auto& [id, record] : std::map(records_)) {
    bool alive = record.addresses_only ? parts_.namespace_there(record.netns) : there.contains(EndpointId(id));
    if (!alive) CO_RETURN_IF_ERROR(co_await Drop(record));
  }
  for (const std::string& id : there) {
    if (!id.starts_with(kAttachmentEndpoints) || records_.contains(id.substr(kAttachmentEndpoints.size()))) continue;
    LOG(kInfo, "endpoint without attachment removed", {"endpoint", id});
    CO_RETURN_IF_ERROR(co_await io::OffloadTo(parts_.network_thread, parts_.proactor, [&] { return parts_.driver.Detach(id); }));
  }
  for (const auto& [name, network] : std::map(kept_)) co_await LetGo(name);
  co_return OkStatus();
}

StatusOr<ipam::PoolSpec> Attachments::PoolOf(const AttachNetwork& network) const {
  if (const ipam::PoolSpec* pool = parts_.ipam.FindPool(network.pool.empty() ? network.name : network.pool)) return *pool;
  std::vector<ipam::PoolSpec> pools = parts_.ipam.Pools();
  if (network.pool.empty() && pools.size() == 1) return pools.front();
  if (network.pool.empty())
    return InvalidArgument("network ", network.name, " names no pool (there is: ", PoolNames(parts_.ipam), "); set \"pool\"");
  return InvalidArgument("network ", network.name, ": pool ", network.pool, " is not known", NameOrMakePool(parts_.ipam, network.pool));
}

ipam::LeaseKey Attachments::KeyOf(const ipam::PoolSpec& pool, const std::string& network, const std::string& name, bool v6) const {
  return {network, pool.fleet_names ? "fleet" : node_, name, v6};
}

StatusOr<dataplane::NetworkSpec> Attachments::SpecOf(const AttachNetwork& network, const ipam::PoolSpec& pool) const {
  auto known = parts_.known_network(network.name);
  if (auto kept = kept_.find(network.name); !known && kept != kept_.end()) known = kept->second;
  if (known) {
    if (network.bridge.empty() || known->bridge.empty() || network.bridge == known->bridge) return *std::move(known);
    return InvalidArgument("network ", network.name, " has bridge ", known->bridge, " already, not ", network.bridge);
  }
  dataplane::NetworkSpec spec;
  spec.id = Cat(kAttachmentEndpoints, network.name);
  spec.name = network.name;
  spec.bridge = network.bridge;
  spec.mtu = network.mtu;
  spec.internal = network.internal;
  if (!network.gateway_on_bridge) return spec;
  for (const ipam::PrefixSpec& prefix : pool.prefixes)
    if (IpAddress gateway = prefix.Gateway(); gateway.is_set()) spec.gateways.push_back({gateway, prefix.prefix.length()});
  return spec;
}

io::Task<StatusOr<Attached>> Attachments::Attach(AttachRequest request) {
  const std::vector<std::string> keys{Cat(request.container_id, "/", request.interface),
                                      NameHold(request.network.name, request.name)};
  while (!Hold::Free(held_, keys)) {
    io::IoResult slept = co_await io::Sleep(parts_.proactor, kHeldRetry);
    if (!slept.ok()) co_return Unavailable("the agent is stopping; try again");
  }
  const std::string network = request.network.name;
  StatusOr<Attached> attached = Internal("unset");
  {
    const Hold hold(held_, keys);
    attached = co_await AttachHeld(std::move(request));
  }
  attached.ok() ? ++stats_.attached : ++stats_.refused;
  if (!attached.ok()) co_await LetGo(network);
  co_return attached;
}

io::Task<StatusOr<Attached>> Attachments::AttachHeld(AttachRequest request) {
  CO_ASSIGN_OR_RETURN(const ipam::PoolSpec pool, PoolOf(request.network));
  CO_ASSIGN_OR_RETURN(dataplane::NetworkSpec network, SpecOf(request.network, pool));
  for (const IpAddress& wanted : request.wanted)
    if (!HasFamily(pool, wanted.is_v6()))
      co_return InvalidArgument("address ", wanted.ToString(), ": pool ", pool.name, " has no subnet of ", wanted.is_v6() ? "IPv6" : "IPv4",
                                "; it has ", pool.PrefixList(), "; choose one there, or add one: fairlead pool update ", pool.name,
                                " --cidr PREFIX");
  CO_RETURN_IF_ERROR(co_await DropHolder(request));
  Attached attached;
  attached.record = {.container_id = request.container_id, .interface = request.interface, .netns = request.netns,
                     .network = request.network.name, .name = request.name, .mac = request.mac,
                     .addresses_only = request.addresses_only};
  for (bool v6 : {false, true}) {
    if (!HasFamily(pool, v6)) continue;
    auto lease = co_await Give(request, pool, v6);
    if (!lease.ok()) {
      // What the other family got is not left attached to nobody.
      for (const InterfaceAddress& address : attached.record.addresses) CO_RETURN_IF_ERROR(co_await DetachLease(address.address));
      co_return lease.status();
    }
    attached.record.addresses.push_back({lease->ip, lease->prefix_length});
    attached.gateways.push_back(request.network.internal ? IpAddress() : lease->gateway);
    if (!attached.record.mac.is_set()) attached.record.mac = lease->mac;
  }
  if (Status kept = co_await PutRecord(attached.record); !kept.ok()) {
    for (const InterfaceAddress& address : attached.record.addresses) CO_RETURN_IF_ERROR(co_await DetachLease(address.address));
    co_return kept;
  }
  if (request.addresses_only) co_return attached;
  auto connected = co_await Connect(attached, std::move(network));
  if (!connected.ok()) CO_RETURN_IF_ERROR(co_await Drop(attached.record));
  co_return connected;
}

// Engines of these protocols have a name once. So an earlier attachment of the name is one whose end we were not told:
// it goes, unless its namespace is still there, for then its container has the address.
io::Task<Status> Attachments::DropHolder(AttachRequest request) {
  const std::string id = Cat(request.container_id, "/", request.interface);
  if (auto own = records_.find(id); own != records_.end()) {
    bool same = own->second.network == request.network.name && own->second.name == request.name;
    if (!same) CO_RETURN_IF_ERROR(co_await Drop(own->second));
  }
  const Nanos give_up = parts_.proactor.Now() + kHolderPatience;
  std::vector<AttachmentRecord> others;
  for (const auto& [other_id, other] : records_)
    if (other_id != id && other.network == request.network.name && other.name == request.name) others.push_back(other);
  for (const AttachmentRecord& other : others) {
    while (other.netns != request.netns && parts_.namespace_there(other.netns)) {
      if (parts_.proactor.Now() >= give_up)
        co_return AlreadyExists("address ", other.addresses.empty() ? "" : other.addresses[0].address.ToString(), " of name ",
                                request.name, " on network ", request.network.name, " is in use by container ",
                                other.container_id, "; remove that one or take another name");
      io::IoResult slept = co_await io::Sleep(parts_.proactor, kHolderRetry);
      if (!slept.ok()) co_return Unavailable("the agent is stopping; try again");
    }
    CO_RETURN_IF_ERROR(co_await Drop(other));
  }
  co_return OkStatus();
}

io::Task<StatusOr<ipam::Lease>> Attachments::Give(AttachRequest request, ipam::PoolSpec pool, bool v6) {
  ipam::AcquireRequest acquire{.pool = pool.name, .key = KeyOf(pool, request.network.name, request.name, v6),
                               .ephemeral = request.ephemeral, .node = node_, .site = site_};
  for (const IpAddress& wanted : request.wanted)
    if (wanted.is_v6() == v6) acquire.wanted = wanted;
  const auto held = parts_.ipam.Find(acquire.key);
  if (std::string holder = parts_.holder_elsewhere(acquire.key); !holder.empty() && !(held && Uses(held->ip)))
    co_return RunsElsewhere(parts_.ipam, acquire.key, holder);
  dataplane::NetworkSpec network;
  network.id = Cat(kAttachmentEndpoints, request.network.name);
  network.name = request.network.name;
  network.bridge = request.network.bridge;
  co_return co_await giver_.Give(std::move(acquire), std::move(network));
}

io::Task<StatusOr<Attached>> Attachments::Connect(Attached attached, dataplane::NetworkSpec network) {
  const dataplane::EndpointSpec endpoint = EndpointOf(attached.record, network.id);
  dataplane::Placement placement{.netns = attached.record.netns, .interface = attached.record.interface, .name_server = dns_address_};
  for (const IpAddress& gateway : attached.gateways)
    if (gateway.is_set()) placement.gateways.push_back(gateway);
  auto known = ensured_.find(network.id);
  const bool ensured = known != ensured_.end() && known->second == network;
  auto done = co_await io::OffloadTo(parts_.network_thread, parts_.proactor, [&]() -> StatusOr<dataplane::Attachment> {
    if (!ensured) RETURN_IF_ERROR(parts_.driver.EnsureNetwork(network));
    auto pair = parts_.driver.Attach(network, endpoint);
    if (pair.status().code() == StatusCode::kNotFound) {  // somebody removed the bridge meanwhile
      RETURN_IF_ERROR(parts_.driver.EnsureNetwork(network));
      pair = parts_.driver.Attach(network, endpoint);
    }
    RETURN_IF_ERROR(pair.status());
    Status placed = parts_.driver.Place(network, endpoint, placement);
    if (placed.code() == StatusCode::kNotFound) {  // the container's side is in another namespace: an earlier life's
      RETURN_IF_ERROR(parts_.driver.Detach(endpoint.id));
      RETURN_IF_ERROR(parts_.driver.Attach(network, endpoint).status());
      placed = parts_.driver.Place(network, endpoint, placement);
    }
    RETURN_IF_ERROR(placed);
    if (Status told = parts_.driver.Announce(network, endpoint); !told.ok())
      LOG(kWarning, "address not announced", {"endpoint", endpoint.id}, {"error", Message(told)});
    return pair;
  });
  if (!done.ok()) co_return done.status();
  ensured_[network.id] = std::move(network);
  attached.bridge = done->bridge;
  attached.host_interface = done->host_interface;
  co_return attached;
}

io::Task<Status> Attachments::Detach(std::string container_id, std::string interface, std::string network, std::string name) {
  const std::string id = Cat(container_id, "/", interface);
  while (!Hold::Free(held_, {id})) {
    io::IoResult slept = co_await io::Sleep(parts_.proactor, kHeldRetry);
    if (!slept.ok()) co_return Unavailable("the agent is stopping; try again");
  }
  const Hold hold(held_, {id});
  ++stats_.detached;
  if (auto found = records_.find(id); found != records_.end()) {
    const AttachmentRecord record = found->second;
    CO_RETURN_IF_ERROR(co_await Drop(record));
    co_await LetGo(record.network);
    co_return OkStatus();
  }
  // The record was lost: the kernel's mark tells the interface, the name the lease.
  CO_RETURN_IF_ERROR(co_await io::OffloadTo(parts_.network_thread, parts_.proactor,
                                            [&] { return parts_.driver.Detach(EndpointId(id)); }));
  if (name.empty()) co_return OkStatus();
  for (bool v6 : {false, true})
    for (const char* scope : {node_.c_str(), "fleet"}) {
      auto lease = parts_.ipam.Find({network, scope, name, v6});
      if (!lease || !lease->attached || Uses(lease->ip) || !parts_.holder_elsewhere(lease->key).empty()) continue;
      CO_RETURN_IF_ERROR(co_await parts_.ipam.Detach(lease->pool, lease->ip));
    }
  co_return OkStatus();
}

// Down first: the address must be unusable before its lease says so. The record goes last, so that a crash repeats it all.
io::Task<Status> Attachments::Drop(AttachmentRecord record) {
  if (!record.addresses_only)
    CO_RETURN_IF_ERROR(co_await io::OffloadTo(parts_.network_thread, parts_.proactor,
                                              [&] { return parts_.driver.Detach(EndpointId(record.id())); }));
  for (const InterfaceAddress& address : record.addresses) {
    bool shared = std::ranges::any_of(records_, [&](const auto& entry) {
      return entry.first != record.id() && std::ranges::find(entry.second.addresses, address) != entry.second.addresses.end();
    });
    if (!shared) CO_RETURN_IF_ERROR(co_await DetachLease(address.address));
  }
  CO_RETURN_IF_ERROR(co_await io::OffloadTo(parts_.store_thread, parts_.proactor, [&] { return parts_.store.Remove(record.id()); }));
  records_.erase(record.id());
  co_return OkStatus();
}

io::Task<Status> Attachments::DetachLease(IpAddress ip) {
  for (const ipam::PoolSpec& pool : parts_.ipam.Pools()) {  // prefixes of pools never overlap
    if (pool.PrefixOf(ip) == nullptr) continue;
    auto lease = parts_.ipam.FindByAddress(pool.name, ip);
    if (lease && !parts_.holder_elsewhere(lease->key).empty()) co_return OkStatus();  // the name runs there now
    co_return co_await parts_.ipam.Detach(pool.name, ip);
  }
  co_return OkStatus();
}

io::Task<Status> Attachments::PutRecord(AttachmentRecord record) {
  auto known = records_.find(record.id());
  if (known != records_.end() && known->second == record) co_return OkStatus();
  CO_RETURN_IF_ERROR(co_await io::OffloadTo(parts_.store_thread, parts_.proactor, [&] { return parts_.store.Put(record); }));
  records_[record.id()] = std::move(record);
  co_return OkStatus();
}

io::Task<Status> Attachments::Check(std::string container_id, std::string interface) {
  auto found = records_.find(Cat(container_id, "/", interface));
  if (found == records_.end())
    co_return NotFound("container ", container_id, " has no attachment ", interface, "; restart the container");
  const AttachmentRecord record = found->second;
  for (const InterfaceAddress& address : record.addresses) {
    bool leased = false;
    for (const ipam::PoolSpec& pool : parts_.ipam.Pools())
      if (auto lease = parts_.ipam.FindByAddress(pool.name, address.address))
        leased = lease->attached && lease->key.name == record.name;
    if (!leased) co_return NotFound("address ", address.ToString(), " is no lease of ", record.name, " any more; restart the container");
  }
  if (record.addresses_only) co_return OkStatus();
  co_return co_await io::OffloadTo(parts_.network_thread, parts_.proactor, [&] {
    return parts_.driver.CheckPlaced(EndpointOf(record, ""), {.netns = record.netns, .interface = record.interface});
  });
}

io::Task<Status> Attachments::Collect(std::string network, std::set<std::string> valid) {
  Status status;
  for (const auto& [id, record] : std::map(records_)) {
    if (record.network != network || valid.contains(id)) continue;
    Status dropped = co_await Detach(record.container_id, record.interface, network, record.name);
    if (status.ok()) status = dropped;  // the others go all the same
  }
  co_return status;
}

std::string Attachments::HolderOf(const ipam::LeaseKey& key) const {
  for (const auto& [id, record] : records_) {
    if (record.network != key.network || record.name != key.name || !parts_.namespace_there(record.netns)) continue;
    return Cat("container ", record.container_id.substr(0, kShownIdBytes), " of Podman or another user of CNI");
  }
  const bool starts = held_.contains(NameHold(key.network, key.name));
  return starts ? Cat("container ", key.name, " of Podman or another user of CNI, which is just being started") : "";
}

// --- bridges of networks that another engine has removed

bool Attachments::InBridge(const std::string& network) const {
  const std::string starts = NameHold(network, "");
  auto starting = held_.lower_bound(starts);
  return (starting != held_.end() && starting->starts_with(starts)) || std::ranges::any_of(records_, [&](const auto& entry) {
           return entry.second.network == network && !entry.second.addresses_only;
         });
}

io::Task<StatusOr<bool>> Attachments::KeepNetwork(dataplane::NetworkSpec network) {
  if (network.name.empty() || !InBridge(network.name)) co_return false;
  CO_RETURN_IF_ERROR(co_await io::OffloadTo(parts_.store_thread, parts_.proactor, [&] { return parts_.store.PutNetwork(network); }));
  LOG(kInfo, "bridge kept for containers that are still on it", {"network", network.name});
  const std::string name = network.name;
  kept_[name] = std::move(network);
  co_await LetGo(name);  // the last may have gone meanwhile
  co_return true;
}

Status Attachments::MayMake(const dataplane::NetworkSpec& network) const {
  for (const auto& [name, kept] : kept_) {
    bool bridge = !network.bridge.empty() && network.bridge == kept.bridge;
    bool gateway = std::ranges::any_of(kept.gateways, [&](const InterfaceAddress& address) {
      return std::ranges::find(network.gateways, address) != network.gateways.end();
    });
    if (!bridge && !gateway) continue;
    std::vector<std::string> who;
    for (const auto& [id, record] : records_)
      if (record.network == name) who.push_back(record.name);
    return AlreadyExists("bridge ", Cat(kept.bridge, kept.bridge.empty() ? "" : " "), "of the removed network ", name,
                         " is still used by containers of Podman or another user of CNI (", Join(who, ", "),
                         "); stop them, then create the network again");
  }
  return OkStatus();
}

// Tried again with the next container that goes, and at the agent's start.
io::Task<void> Attachments::LetGo(std::string network) {
  auto kept = kept_.find(network);
  if (kept == kept_.end() || InBridge(network)) co_return;
  const dataplane::NetworkSpec spec = kept->second;
  ensured_.erase(spec.id);  // whoever attaches meanwhile makes the bridge again
  Status gone = co_await io::OffloadTo(parts_.network_thread, parts_.proactor, [&] { return parts_.driver.RemoveNetwork(spec); });
  if (gone.ok() && !InBridge(network)) {
    kept_.erase(network);
    gone = co_await io::OffloadTo(parts_.store_thread, parts_.proactor, [&] { return parts_.store.RemoveNetwork(network); });
  }
  if (!gone.ok()) LOG(kWarning, "bridge of a removed network stays for now", {"network", network}, {"error", Message(gone)});
}

bool Attachments::Uses(const IpAddress& ip) const {
  return std::ranges::any_of(records_, [&](const auto& entry) {
    return std::ranges::find(entry.second.addresses, ip, &InterfaceAddress::address) != entry.second.addresses.end();
  });
}

}  // namespace fairlead::runtime
