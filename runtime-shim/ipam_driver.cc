#include "runtime-shim/ipam_driver.h"

#include <algorithm>

#include "base/log.h"

namespace fairlead::runtime {
namespace {

constexpr const char* kGatewayType = "com.docker.network.gateway";
constexpr const char* kEndpointName = "com.docker.network.endpoint.name";  // Docker 29 and later

// Networks made without --subnet get a /24 of this range. Site-local space that neither Docker's own defaults
// (172.17.0.0/12, 192.168.0.0/16) nor most LANs use.
constexpr uint32_t kDefaultRange = 10u << 24 | 210u << 16;  // 10.210.0.0/16

template <class T>
bool Has(const std::vector<T>& list, const T& value) {
  return std::ranges::find(list, value) != list.end();
}

StatusOr<IpAddress> ParseOptional(const std::string& text) {
  if (text.empty()) return IpAddress();
  return IpAddress::Parse(text);
}

Json AddressReply(const PoolRecord& pool, const IpAddress& ip) {
  return {{"Address", Cat(ip.ToString(), "/", pool.subnet.length())}, {"Data", Json::object()}};
}

ipam::PrefixSpec* FindPrefix(ipam::PoolSpec& spec, const Prefix& prefix) {
  auto found = std::ranges::find(spec.prefixes, prefix, &ipam::PrefixSpec::prefix);
  return found == spec.prefixes.end() ? nullptr : &*found;
}

}  // namespace

// Which pool and subnet: the one named by --ipam-opt pool=NAME, else a pool of this subnet's own.
StatusOr<IpamDriver::Wanted> IpamDriver::Choose(const Json& request) const {
  Wanted wanted;
  std::string subnet = Text(request, "Pool"), range = Text(request, "SubPool");
  bool v6 = Flag(request, "V6");
  if (!subnet.empty()) {
    ASSIGN_OR_RETURN(wanted.subnet, Prefix::Parse(subnet));
  }
  if (!range.empty()) {
    ASSIGN_OR_RETURN(wanted.range, Prefix::Parse(range));
    if (subnet.empty()) return InvalidArgument("--ip-range ", range, " needs --subnet");
    if (!wanted.subnet.Contains(wanted.range->network()) || wanted.range->length() < wanted.subnet.length()) {
      return InvalidArgument("--ip-range ", range, " is not within --subnet ", subnet);
    }
  }
  const Json& options = Member(request, "Options");
  if (options.is_object()) {
    for (const auto& [key, unused] : options.items()) {
      if (key != "pool" && !key.starts_with("com.docker.")) return InvalidArgument("--ipam-opt ", key, " is not known; there is: pool");
    }
  }
  wanted.pool = Text(options, "pool");
  wanted.implicit = wanted.pool.empty();
  if (wanted.implicit) {
    if (subnet.empty()) {
      if (v6) return InvalidArgument("an IPv6 network needs --subnet");
      ASSIGN_OR_RETURN(wanted.subnet, FreeSubnet());
    }
    wanted.pool = wanted.subnet.ToString();
    return wanted;
  }

  const ipam::PoolSpec* spec = ipam_.FindPool(wanted.pool);
  if (spec == nullptr) {
    std::vector<std::string> names;
    for (const ipam::PoolSpec& pool : ipam_.Pools()) names.push_back(pool.name);
    return NotFound("pool ", wanted.pool, " is not known (there is: ", names.empty() ? "none" : Join(names, ", "),
                    "); add it to the configuration");
  }
  if (!range.empty()) return InvalidArgument("--ip-range: the ranges of pool ", wanted.pool, " are set where the pool is");
  for (const ipam::PrefixSpec& prefix : spec->prefixes) {
    if (subnet.empty() ? prefix.prefix.network().is_v6() == v6 : prefix.prefix == wanted.subnet) {
      wanted.subnet = prefix.prefix;
      return wanted;
    }
  }
  return InvalidArgument("pool ", wanted.pool, " has no subnet ", subnet.empty() ? (v6 ? "of IPv6" : "of IPv4") : subnet,
                         "; it has ", spec->PrefixList());
}

StatusOr<Prefix> IpamDriver::FreeSubnet() const {
  std::vector<ipam::PoolSpec> pools = ipam_.Pools();
  for (uint32_t third = 0; third < 256; third++) {
    Prefix subnet(IpAddress::V4(kDefaultRange | third << 8), 24);
    bool taken = std::ranges::any_of(pools, [&](const ipam::PoolSpec& pool) {
      return std::ranges::any_of(pool.prefixes, [&](const auto& prefix) { return prefix.prefix.Overlaps(subnet); });
    });
    if (!taken) return subnet;
  }
  return ResourceExhausted("10.210.0.0/16 has no free /24 for a network without --subnet; give --subnet");
}

// An older pool record of this subnet: left over (dockerd died between its calls, or lost its data), or in use.
io::Task<Status> IpamDriver::Evict(Prefix subnet, Nanos deadline) {
  std::vector<PoolRecord> old;
  for (const auto& [id, pool] : state_.pools()) {
    if (pool.subnet.Overlaps(subnet)) old.push_back(pool);
  }
  for (const PoolRecord& pool : old) {
    if (!pool.network_id.empty()) {
      auto network = co_await engine_.InspectNetwork(pool.network_id, deadline);
      if (network.ok() || network.status().code() != StatusCode::kNotFound) {
        co_return AlreadyExists("subnet ", subnet.ToString(), " overlaps ", pool.subnet.ToString(), " of network ",
                                network.ok() ? network->name : pool.network_id, "; remove that network or choose another subnet");
      }
    }
    CO_RETURN_IF_ERROR(co_await state_.RemovePool(pool.id));
  }
  co_return OkStatus();
}

io::Task<Status> IpamDriver::EnsureImplicitPool(Wanted wanted) {
  ipam::PoolSpec spec{.name = wanted.pool, .prefixes = {{.prefix = wanted.subnet}}};
  if (const ipam::PoolSpec* known = ipam_.FindPool(wanted.pool); known != nullptr) spec = *known;  // with leases, from before
  ipam::PrefixSpec* prefix = FindPrefix(spec, wanted.subnet);
  if (prefix == nullptr) co_return AlreadyExists("pool ", spec.name, " is of other subnets: ", spec.PrefixList());
  prefix->ranges.clear();
  if (wanted.range) prefix->ranges.push_back({wanted.range->network(), wanted.range->last()});
  co_return co_await ipam_.PutPool(std::move(spec));
}

io::Task<StatusOr<Json>> IpamDriver::RequestPool(const Json& request, Nanos deadline) {
  CO_ASSIGN_OR_RETURN(Wanted wanted, Choose(request));
  CO_RETURN_IF_ERROR(co_await Evict(wanted.subnet, deadline));
  if (wanted.implicit) CO_RETURN_IF_ERROR(co_await EnsureImplicitPool(wanted));
  PoolRecord record{.id = Cat("fairlead-", random_.Next()), .pool = wanted.pool, .subnet = wanted.subnet,
                    .implicit = wanted.implicit};
  CO_RETURN_IF_ERROR(co_await state_.Put(record));
  co_return Json{{"PoolID", record.id}, {"Pool", record.subnet.ToString()}, {"Data", Json::object()}};
}

// Leases stay: the pool is remembered with them, and a network of the same name and subnet finds them again.
io::Task<StatusOr<Json>> IpamDriver::ReleasePool(const Json& request, Nanos) {
  auto record = state_.FindPool(Text(request, "PoolID"));
  if (!record) co_return Json::object();
  CO_RETURN_IF_ERROR(co_await state_.RemovePool(record->id));
  if (record->implicit) {
    Status removed = co_await ipam_.RemovePool(record->pool);
    if (!removed.ok()) LOG(kInfo, "pool kept for its leases", {"pool", record->pool});
  }
  co_return Json::object();
}

io::Task<StatusOr<Json>> IpamDriver::RequestAddress(const Json& request, Nanos deadline) {
  std::string id = Text(request, "PoolID");
  auto pool = state_.FindPool(id);
  if (!pool) co_return NotFound("pool ", id, " is not known; remove the network and create it again");
  CO_ASSIGN_OR_RETURN(IpAddress wanted, ParseOptional(Text(request, "Address")));
  if (wanted.is_set() && !pool->subnet.Contains(wanted)) {
    co_return InvalidArgument(wanted.ToString(), " is not in ", pool->subnet.ToString());
  }
  const Json& options = Member(request, "Options");
  if (Text(options, "RequestAddressType") == kGatewayType) co_return co_await Gateway(*std::move(pool), wanted);
  if (!co_await Bind(*pool, deadline)) co_return co_await Auxiliary(*std::move(pool), wanted);

  auto lease = co_await names_.Acquire(*pool, wanted, Text(options, kEndpointName), deadline);
  if (!lease.ok()) co_return lease.status();
  if (!pool->subnet.Contains(lease->ip)) {
    // The name's address is in another subnet of the pool: dockerd asks for the next one then.
    CO_RETURN_IF_ERROR(co_await Detach(lease->pool, lease->ip));
    co_return FailedPrecondition(lease->key.ToString(), " has ", lease->ip.ToString(), ", which is not in ",
                                 pool->subnet.ToString());
  }
  co_return AddressReply(*pool, lease->ip);
}

// Whose addresses are these? CreateNetwork ties a pool to our network. With our addresses on another driver's network
// that call goes elsewhere: then the engine's list tells, and only while the network is being made nobody does.
io::Task<bool> IpamDriver::Bind(PoolRecord& pool, Nanos deadline) {
  if (!pool.network_id.empty()) co_return true;
  auto networks = co_await engine_.ListNetworks(deadline);
  if (!networks.ok()) co_return false;
  for (const NetworkDetails& network : *networks) {
    if (!Has(network.subnets, pool.subnet)) continue;
    pool.network_id = network.id;
    Status kept = co_await state_.Put(pool);
    co_return kept.ok();
  }
  co_return false;
}

io::Task<StatusOr<Json>> IpamDriver::Gateway(PoolRecord pool, IpAddress wanted) {
  const ipam::PoolSpec* known = ipam_.FindPool(pool.pool);
  if (known == nullptr) co_return NotFound("pool ", pool.pool, " is gone; remove the network and create it again");
  ipam::PoolSpec spec = *known;
  ipam::PrefixSpec* prefix = FindPrefix(spec, pool.subnet);
  if (prefix == nullptr) co_return NotFound("pool ", pool.pool, " has lost its subnet ", pool.subnet.ToString());
  if (!wanted.is_set()) wanted = prefix->Gateway();
  if (!wanted.is_set()) co_return InvalidArgument(pool.subnet.ToString(), " has no address for a gateway; give --gateway");
  if (wanted != prefix->Gateway()) {
    if (!pool.implicit) {
      co_return InvalidArgument("the gateway of pool ", pool.pool, " is ", prefix->Gateway().ToString(), ", not ",
                                wanted.ToString(), "; leave --gateway out or change the pool");
    }
    prefix->gateway = wanted;
    CO_RETURN_IF_ERROR(co_await ipam_.PutPool(std::move(spec)));
  }
  pool.gateway = wanted;
  CO_RETURN_IF_ERROR(co_await state_.Put(pool));
  co_return AddressReply(pool, wanted);
}

io::Task<StatusOr<Json>> IpamDriver::Auxiliary(PoolRecord pool, IpAddress wanted) {
  if (!wanted.is_set()) {
    co_return FailedPrecondition("no network of the engine uses ", pool.subnet.ToString(), " yet; try again");
  }
  const ipam::PoolSpec* known = ipam_.FindPool(pool.pool);
  if (known == nullptr) co_return NotFound("pool ", pool.pool, " is gone; remove the network and create it again");
  ipam::PoolSpec spec = *known;
  ipam::PrefixSpec* prefix = FindPrefix(spec, pool.subnet);
  if (prefix != nullptr && !Has(prefix->exclude, wanted)) {
    prefix->exclude.push_back(wanted);
    CO_RETURN_IF_ERROR(co_await ipam_.PutPool(std::move(spec)));
  }
  if (!Has(pool.auxiliary, wanted)) pool.auxiliary.push_back(wanted);
  CO_RETURN_IF_ERROR(co_await state_.Put(pool));
  co_return AddressReply(pool, wanted);
}

io::Task<Status> IpamDriver::Detach(std::string pool, IpAddress ip) {
  names_.Claimed(pool, ip);
  bool ends = ephemeral_.erase({pool, ip}) != 0;
  auto lease = ipam_.FindByAddress(pool, ip);
  CO_RETURN_IF_ERROR(co_await ipam_.Detach(pool, ip));
  if (ends && lease) co_return co_await ipam_.Release(lease->key);
  co_return OkStatus();
}

io::Task<StatusOr<Json>> IpamDriver::ReleaseAddress(const Json& request, Nanos) {
  auto pool = state_.FindPool(Text(request, "PoolID"));
  auto ip = IpAddress::Parse(Text(request, "Address"));
  if (!pool || !ip.ok()) co_return Json::object();  // nothing that we hold
  // Rolled back after a refusal: the address belongs to the endpoint that has it.
  if (state_.UserOf(*pool, *ip) != nullptr) co_return Json::object();
  CO_RETURN_IF_ERROR(co_await Detach(pool->pool, *ip));
  co_return Json::object();
}

}  // namespace fairlead::runtime
