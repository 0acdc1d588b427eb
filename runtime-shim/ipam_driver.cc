#include "runtime-shim/ipam_driver.h"

#include <algorithm>

#include "base/log.h"
#include "runtime-shim/pools.h"

namespace fairlead::runtime {
namespace {

constexpr const char* kGatewayType = "com.docker.network.gateway";
constexpr Nanos kPoolPatience = 500 * kMillisecond;  // for what the engine says of a network
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

Json AddressReply(const IpAddress& ip, int prefix_length) {
  return {{"Address", Cat(ip.ToString(), "/", prefix_length)}, {"Data", Json::object()}};
}
Json AddressReply(const PoolRecord& pool, const IpAddress& ip) { return AddressReply(ip, pool.subnet.length()); }

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
  wanted.explicit_subnet = !subnet.empty();
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
  if (spec == nullptr) return NotFound("pool ", wanted.pool, " is not known", NameOrMakePool(ipam_, wanted.pool));
  if (!range.empty()) return InvalidArgument("--ip-range: the ranges of pool ", wanted.pool, " are set where the pool is");
  for (const ipam::PrefixSpec& prefix : spec->prefixes) {
    if (subnet.empty() ? prefix.prefix.network().is_v6() == v6 && names_.Serves(prefix) : prefix.prefix == wanted.subnet) {
      wanted.subnet = prefix.prefix;
      if (!names_.Serves(prefix))
        return InvalidArgument("subnet ", subnet, " of pool ", wanted.pool, " is for ", prefix.node.empty() ? "site " : "node ",
                               prefix.node.empty() ? prefix.site : prefix.node, " alone; see: fairlead pool inspect ", wanted.pool);
      return wanted;
    }
  }
  return InvalidArgument("pool ", wanted.pool, " has no subnet ", subnet.empty() ? (v6 ? "of IPv6" : "of IPv4") : subnet,
                         "; it has ", spec->PrefixList(), "; name one of these, or add it: fairlead pool update ", wanted.pool,
                         " --cidr ", subnet.empty() ? "PREFIX" : subnet);
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

// An older pool record of this subnet: left over (dockerd died between its calls, or lost its data), in use, or the same
// one asked for again. dockerd replays its pools before it answers anybody, so that is when it stays silent.
io::Task<StatusOr<std::optional<PoolRecord>>> IpamDriver::Evict(Wanted wanted, Nanos deadline) {
  std::vector<PoolRecord> old;
  for (const auto& [id, pool] : state_.pools()) {
    if (pool.subnet.Overlaps(wanted.subnet)) old.push_back(pool);
  }
  for (const PoolRecord& pool : old) {
    if (!pool.network_id.empty()) {
      auto network = co_await engine_.InspectNetwork(pool.network_id, std::min(deadline, proactor_.Now() + kPoolPatience));
      bool gone = !network.ok() && network.status().code() == StatusCode::kNotFound;
      if (!network.ok() && !gone && pool.subnet == wanted.subnet && pool.pool == wanted.pool) co_return pool;
      if (!gone) {
        co_return AlreadyExists("subnet ", wanted.subnet.ToString(), " overlaps ", pool.subnet.ToString(), " of network ",
                                network.ok() ? network->name : pool.network_id, "; choose another subnet, or remove that network: docker network rm ",
                                network.ok() ? network->name : pool.network_id);
      }
    }
    CO_RETURN_IF_ERROR(co_await state_.RemovePool(pool.id));
  }
  co_return std::optional<PoolRecord>();
}

io::Task<Status> IpamDriver::EnsureImplicitPool(Wanted wanted) {
  for (const ipam::PoolSpec& pool : ipam_.Pools())
    for (const ipam::PrefixSpec& prefix : pool.prefixes)
      if (pool.name != wanted.pool && prefix.prefix.Overlaps(wanted.subnet))
        co_return AlreadyExists("subnet ", wanted.subnet.ToString(), " overlaps ", prefix.prefix.ToString(), " of pool ", pool.name,
                                "; choose another subnet, or take addresses of that pool: --subnet ", prefix.prefix.ToString(),
                                " --ipam-opt pool=", pool.name);
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
  CO_ASSIGN_OR_RETURN(std::optional<PoolRecord> replayed, co_await Evict(wanted, deadline));
  if (wanted.implicit) CO_RETURN_IF_ERROR(co_await EnsureImplicitPool(wanted));
  PoolRecord record = replayed.value_or(PoolRecord{.id = Cat("fairlead-", random_.Next()), .pool = wanted.pool, .subnet = wanted.subnet,
                                                   .implicit = wanted.implicit, .explicit_subnet = wanted.explicit_subnet});
  CO_RETURN_IF_ERROR(co_await state_.Put(record));
  co_return Json{{"PoolID", record.id}, {"Pool", record.subnet.ToString()}, {"Data", Json::object()}};
}

// Leases stay: the pool is remembered with them, and a network of the same name and subnet finds them again.
io::Task<Status> IpamDriver::Forget(PoolRecord record) {
  CO_RETURN_IF_ERROR(co_await state_.RemovePool(record.id));
  if (!record.implicit) co_return OkStatus();
  Status removed = co_await ipam_.RemovePool(record.pool);
  if (!removed.ok()) LOG(kInfo, "pool kept for its leases", {"pool", record.pool});
  co_return OkStatus();
}

// Of a living network it may be the rollback of a replay: its containers go on asking with this PoolID, so the record
// goes with the network.
io::Task<StatusOr<Json>> IpamDriver::ReleasePool(const Json& request, Nanos) {
  auto record = state_.FindPool(Text(request, "PoolID"));
  if (!record || state_.FindNetwork(record->network_id)) co_return Json::object();
  CO_RETURN_IF_ERROR(co_await Forget(*std::move(record)));
  co_return Json::object();
}

io::Task<Status> IpamDriver::NetworkGone(std::string network_id) {
  for (const PoolRecord& pool : state_.PoolsOf(network_id)) CO_RETURN_IF_ERROR(co_await Forget(pool));
  co_return OkStatus();
}

io::Task<StatusOr<Json>> IpamDriver::RequestAddress(const Json& request, Nanos deadline) {
  std::string id = Text(request, "PoolID");
  auto pool = state_.FindPool(id);
  if (!pool) co_return NotFound("pool ", id, " is not known; remove the network and create it again");
  CO_ASSIGN_OR_RETURN(IpAddress wanted, ParseOptional(Text(request, "Address")));
  if (wanted.is_set() && !pool->subnet.Contains(wanted)) {
    const bool gateway = Text(Member(request, "Options"), "RequestAddressType") == kGatewayType;
    co_return InvalidArgument(gateway ? "--gateway " : "address ", wanted.ToString(), " is not in subnet ", pool->subnet.ToString(),
                              " of pool ", pool->pool, "; choose one inside");
  }
  const Json& options = Member(request, "Options");
  if (Text(options, "RequestAddressType") == kGatewayType) co_return co_await Gateway(*std::move(pool), wanted);
  if (wanted.is_set() && Has(pool->auxiliary, wanted)) {
    // A replay, if the engine answers nobody yet; else a container's --ip, which is refused below.
    auto networks = co_await engine_.ListNetworks(std::min(deadline, proactor_.Now() + kPoolPatience));
    if (!networks.ok()) co_return AddressReply(*pool, wanted);
  }
  Binding binding = co_await Bind(*pool, deadline);
  if (binding != Binding::kNetwork) co_return co_await Unbound(*std::move(pool), wanted, binding);

  auto lease = co_await names_.Acquire({*pool, wanted, Text(options, kEndpointName), deadline});
  if (!lease.ok()) co_return lease.status();
  // It may lie in another subnet than the one asked for: of a network of several, or by label. dockerd takes it (and gives
  // it back with this PoolID); an error instead would end the start, not make it ask for the next subnet.
  co_return AddressReply(lease->ip, lease->prefix_length);
}

// Whose addresses are these? CreateNetwork ties a pool to our network. With our addresses on another driver's network
// that call goes elsewhere: then the engine's list tells, and only while the network is being made nobody does.
io::Task<IpamDriver::Binding> IpamDriver::Bind(PoolRecord& pool, Nanos deadline) {
  if (!pool.network_id.empty()) co_return Binding::kNetwork;
  auto networks = co_await engine_.ListNetworks(std::min(deadline, proactor_.Now() + kPoolPatience));
  if (!networks.ok()) co_return Binding::kNotKnown;
  for (const NetworkDetails& network : *networks) {
    if (!Has(network.subnets, pool.subnet)) continue;
    pool.network_id = network.id;
    Status kept = co_await state_.Put(pool);
    co_return kept.ok() ? Binding::kNetwork : Binding::kNotKnown;
  }
  co_return Binding::kBeingMade;
}

// An address of a network that nobody knows yet: --aux-address while it is being made, a replay of a live endpoint while the
// engine is silent and our own record is lost.
io::Task<StatusOr<Json>> IpamDriver::Unbound(PoolRecord pool, IpAddress wanted, Binding binding) {
  if (wanted.is_set() && ipam_.FindByAddress(pool.pool, wanted)) co_return AddressReply(pool, wanted);
  if (binding == Binding::kBeingMade) co_return co_await Auxiliary(std::move(pool), wanted);
  if (!wanted.is_set()) co_return Unavailable("the engine does not tell whose subnet ", pool.subnet.ToString(), " is; try again");
  pool.network_id = pool.id;  // of the placeholder's key; not kept
  auto lease = co_await names_.Acquire({pool, wanted, "", proactor_.Now()});
  if (!lease.ok()) co_return lease.status();
  co_return AddressReply(pool, wanted);
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
                                wanted.ToString(), "; leave --gateway out, or change the pool: fairlead pool update ", pool.pool,
                                " --gateway ", wanted.ToString());
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
  if (!names_.HolderElsewhere(pool, ip).empty()) co_return OkStatus();  // the name runs in another engine now
  bool ends = ephemeral_.erase({pool, ip}) != 0;
  auto lease = ipam_.FindByAddress(pool, ip);
  if (lease && !lease->stand_in_for.empty()) names_.SetUncertain(lease->key.network, lease->stand_in_for);
  CO_RETURN_IF_ERROR(co_await ipam_.Detach(pool, ip));
  if (ends && lease) co_return co_await ipam_.Release(lease->key);
  co_return OkStatus();
}

io::Task<StatusOr<Json>> IpamDriver::ReleaseAddress(const Json& request, Nanos) {
  auto pool = state_.FindPool(Text(request, "PoolID"));
  auto ip = IpAddress::Parse(Text(request, "Address"));
  if (!pool || !ip.ok()) co_return Json::object();  // nothing that we hold
  // Rolled back after a refusal: the address belongs to the endpoint that has it.
  if (state_.UserOf(pool->network_id, *ip) != nullptr) co_return Json::object();
  std::string owner = pool->network_id.empty() ? pool->pool : names_.PoolAt(pool->network_id, *ip);
  CO_RETURN_IF_ERROR(co_await Detach(owner, *ip));
  co_return Json::object();
}

}  // namespace fairlead::runtime
