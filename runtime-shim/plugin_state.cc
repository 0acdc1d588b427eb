#include "runtime-shim/plugin_state.h"

namespace fairlead::runtime {
namespace {

template <class Record>
std::optional<Record> Lookup(const Records<Record>& records, std::string_view id) {
  auto found = records.find(id);
  return found == records.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

io::Task<Status> PluginState::Load() {
  auto contents = co_await io::OffloadTo(thread_, proactor_, [this] { return store_.Load(); });
  if (!contents.ok()) co_return contents.status();
  for (PoolRecord& pool : contents->pools) pools_.emplace(pool.id, std::move(pool));
  for (NetworkRecord& network : contents->networks) networks_.emplace(network.id, std::move(network));
  for (EndpointRecord& endpoint : contents->endpoints) endpoints_.emplace(endpoint.id, std::move(endpoint));
  for (PinRecord& pin : contents->pins) pins_.emplace(pin.id, std::move(pin));
  co_return OkStatus();
}

template <class Record>
io::Task<Status> PluginState::PutIn(Records<Record>& records, Record record) {
  std::optional<Record> before = Lookup(records, record.id);
  if (before == record) co_return OkStatus();
  records[record.id] = record;
  Status written = co_await io::OffloadTo(thread_, proactor_, [&] { return store_.Put(record); });
  if (!written.ok()) {
    if (before) {
      records[record.id] = *std::move(before);
    } else {
      records.erase(record.id);
    }
  }
  co_return written;
}

template <class Record>
io::Task<Status> PluginState::RemoveFrom(Records<Record>& records, std::string id,
                                         Status (PluginStore::*remove)(const std::string&)) {
  std::optional<Record> before = Lookup(records, id);
  if (!before) co_return OkStatus();
  records.erase(id);
  Status written = co_await io::OffloadTo(thread_, proactor_, [&] { return (store_.*remove)(id); });
  if (!written.ok()) records.emplace(id, *std::move(before));
  co_return written;
}

io::Task<Status> PluginState::Put(PoolRecord pool) { return PutIn(pools_, std::move(pool)); }
io::Task<Status> PluginState::Put(NetworkRecord network) { return PutIn(networks_, std::move(network)); }
io::Task<Status> PluginState::Put(EndpointRecord endpoint) { return PutIn(endpoints_, std::move(endpoint)); }
io::Task<Status> PluginState::Put(PinRecord pin) { return PutIn(pins_, std::move(pin)); }
io::Task<Status> PluginState::RemovePool(std::string id) {
  return RemoveFrom(pools_, std::move(id), &PluginStore::RemovePool);
}
io::Task<Status> PluginState::RemoveNetwork(std::string id) {
  return RemoveFrom(networks_, std::move(id), &PluginStore::RemoveNetwork);
}
io::Task<Status> PluginState::RemoveEndpoint(std::string id) {
  return RemoveFrom(endpoints_, std::move(id), &PluginStore::RemoveEndpoint);
}
io::Task<Status> PluginState::RemovePin(std::string id) {
  return RemoveFrom(pins_, std::move(id), &PluginStore::RemovePin);
}

std::optional<PoolRecord> PluginState::FindPool(std::string_view id) const { return Lookup(pools_, id); }
std::optional<NetworkRecord> PluginState::FindNetwork(std::string_view id) const { return Lookup(networks_, id); }
std::optional<EndpointRecord> PluginState::FindEndpoint(std::string_view id) const { return Lookup(endpoints_, id); }

std::optional<PinRecord> PluginState::FindPin(std::string_view id) const { return Lookup(pins_, id); }

const PinRecord* PluginState::PinAt(std::string_view network, const IpAddress& ip) const {
  for (const auto& [id, pin] : pins_) {
    if (ip.is_set() && (pin.ipv4 == ip || pin.ipv6 == ip) && pin.network == network) return &pin;
  }
  return nullptr;
}

std::vector<PoolRecord> PluginState::PoolsOf(std::string_view network_id) const {
  std::vector<PoolRecord> pools;
  for (const auto& [id, pool] : pools_) {
    if (!network_id.empty() && pool.network_id == network_id) pools.push_back(pool);
  }
  return pools;
}

std::optional<PoolRecord> PluginState::PoolOf(std::string_view network_id, const IpAddress& ip) const {
  for (const auto& [id, pool] : pools_) {
    if (pool.network_id == network_id && pool.subnet.Contains(ip)) return pool;
  }
  return std::nullopt;
}

const EndpointRecord* PluginState::UserOf(std::string_view network_id, const IpAddress& ip) const {
  for (const auto& [id, endpoint] : endpoints_) {
    if (endpoint.network_id != network_id) continue;
    for (const InterfaceAddress& address : endpoint.addresses) {
      if (address.address == ip) return &endpoint;
    }
  }
  return nullptr;
}

dataplane::NetworkSpec SpecOf(const NetworkRecord& network) {
  dataplane::NetworkSpec spec;
  spec.id = network.id;
  spec.name = network.name;
  spec.mode = network.mode;
  spec.bridge = network.bridge;
  spec.gateways = network.gateways;
  spec.mtu = network.mtu;
  spec.internal = network.internal;
  return spec;
}

dataplane::EndpointSpec SpecOf(const EndpointRecord& endpoint) {
  return {.id = endpoint.id, .network_id = endpoint.network_id, .addresses = endpoint.addresses, .mac = endpoint.mac};
}

}  // namespace fairlead::runtime
