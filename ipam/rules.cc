#include "ipam/rules.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/check.h"

namespace fairlead::ipam {

namespace {

constexpr size_t kNamed = 3;              // holders that an error names
constexpr Nanos kFirstUseFor = kMinute;   // a probe that has not answered by then was given up
constexpr size_t kRestingPerPool = 8192;  // remembered to be given last; more only while they are in quarantine

std::string WallText(Nanos wall) {
  time_t seconds = static_cast<time_t>(wall / kSecond);
  tm utc{};
  gmtime_r(&seconds, &utc);
  char text[40];
  return std::string(text, strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc));
}

// "a at 10.0.0.2, b at 10.0.0.3 and 17 more"
std::string Some(const std::vector<std::string>& names, size_t total) {
  std::string text = Join(names, ", ");
  return total > names.size() ? Cat(text, " and ", total - names.size(), " more") : text;
}

std::string Holders(const Pool& pool) {
  std::vector<std::string> names;
  pool.allocator.ForEachUse([&](const IpAddress& ip, const AddressUse& use) {
    if (use.leased()) names.push_back(Cat(use.key.ToString(), " at ", ip.ToString()));
    return names.size() < kNamed;
  });
  return Some(names, pool.allocator.leased());
}

bool HasFamily(const PoolSpec& spec, bool v6) {
  for (const PrefixSpec& p : spec.prefixes)
    if (p.prefix.network().is_v6() == v6) return true;
  return false;
}

Status NoSuchPool(const LeaseTable& table, std::string_view name) {
  std::vector<std::string> names;
  for (const auto& [known, pool] : table.pools()) names.push_back(known);
  return NotFound("there is no pool \"", name, "\"; ",
                  names.empty() ? "none is configured" : Cat("there are: ", Join(names, ", ")));
}

// "10.40.0.0/24 (at most 100)": the prefixes that may take no more although they have room.
std::string CappedPrefixes(const Pool& pool) {
  std::vector<std::string> capped;
  for (const PrefixSpec& p : pool.spec.prefixes)
    if (pool.allocator.AtCap(p.prefix.network()))
      capped.push_back(Cat(p.prefix.ToString(), " (at most ", p.max_endpoints, ")"));
  return Join(capped, ", ");
}

PrefixFilter FilterOf(const AcquireRequest& request) {
  return {.v6 = request.key.v6, .within = request.within, .node = request.node, .site = request.site};
}

// Detached leases of containers that exist and are configured with them: no room is made there.
bool Configured(const LeaseTable& table, const Pool& pool, const IpAddress& ip) {
  const Lease* lease = table.StagedAt(pool, ip);
  return lease != nullptr && table.configured && table.configured(*lease);
}

Status PoolFull(const LeaseTable& table, const Pool& pool, const PrefixFilter& filter, bool by_quota, const Moment& at) {
  const Allocator& a = pool.allocator;
  std::string text = by_quota ? Cat("pool ", pool.spec.name, " has reached its quota of ", pool.spec.quota, ": ")
                              : Cat("pool ", pool.spec.name, " is full: ");
  uint64_t reserved = a.count(AddressUse::kReserved), foreign = a.count(AddressUse::kForeign);
  uint64_t configured = 0;
  a.ForEachDetached([&](const IpAddress& ip, const AddressUse&) {
    configured += Configured(table, pool, ip);
    return true;
  });
  text += Cat(a.leased(), " leased (", a.detached(), " of them detached");
  if (configured != 0) text += Cat(", ", configured, " of those by stopped containers that are configured with them");
  text += reserved != 0 ? Cat(", ", reserved, " reserved)") : ")";
  if (!by_quota) text += Cat(", ", a.quarantined(at.now), " in quarantine");
  if (foreign != 0) text += Cat(", ", foreign, " taken by others on the network");
  if (Nanos next = a.NextUsable(filter); next != kNever && next > at.now)
    text += Cat(", the first to be usable at ", WallText(at.wall + (next - at.now)));
  if (std::string capped = CappedPrefixes(pool); !by_quota && !capped.empty())
    text += Cat("; max_endpoints is reached in ", capped);
  text += by_quota ? "; raise the quota (fairlead pool update " : "; add a prefix (fairlead pool update ";
  text += Cat(pool.spec.name, by_quota ? " --quota N)" : " --cidr PREFIX)", " or release leases (fairlead ip release NAME; held by ");
  return ResourceExhausted(text, Holders(pool), ")");
}

// For whom the prefix is, when it is not for the asker; "" when it is.
std::string ForOthers(const PrefixSpec& prefix, const AcquireRequest& request) {
  if (!prefix.node.empty() && prefix.node != request.node) return Cat("node ", prefix.node);
  if (!prefix.site.empty() && prefix.site != request.site) return Cat("site ", prefix.site);
  return "";
}

Status CheckWanted(LeaseTable& table, const Pool& pool, const AcquireRequest& request, bool adopted, const Moment& at) {
  const IpAddress& ip = *request.wanted;
  const PrefixSpec* prefix = pool.spec.PrefixOf(ip);
  if (prefix == nullptr)
    return InvalidArgument("address ", ip.ToString(), " is outside pool ", pool.spec.name, " (", pool.spec.PrefixList(),
                           "); choose one inside");
  if (std::string_view why = prefix->WhyReserved(ip); !why.empty())
    return InvalidArgument("address ", ip.ToString(), " is ", why, " in ", prefix->prefix.ToString(), " of pool ",
                           pool.spec.name, "; choose another");
  if (std::string others = ForOthers(*prefix, request); !others.empty())
    return InvalidArgument("address ", ip.ToString(), ": prefix ", prefix->prefix.ToString(), " of pool ",
                           pool.spec.name, " is for ", others, " only; choose another");
  if (request.within && !request.within->Contains(ip))
    return InvalidArgument("address ", ip.ToString(), " is not in ", request.within->ToString(), "; choose one there");
  const AddressUse& use = pool.allocator.Get(ip);
  if (!adopted && use.state == AddressUse::kForeign && use.usable > at.now) {
    auto seen = pool.foreign.find(ip);
    return AlreadyExists("address ", ip.ToString(), " of pool ", pool.spec.name, " is in use on the network",
                         seen != pool.foreign.end() ? Cat(" by ", seen->second.seen.by.ToString()) : "",
                         "; take it from that machine, or choose another; it is probed again after ",
                         WallText(at.wall + (use.usable - at.now)));
  }
  if (const Lease* holder = table.StagedAt(pool, ip))
    return AlreadyExists("address ", ip.ToString(), " of pool ", pool.spec.name, " belongs to ", holder->key.ToString(),
                         holder->attached ? " (attached" : holder->kept() ? " (reserved" : " (detached", " since ",
                         WallText(holder->since_wall),
                         "); choose another, or ", holder->attached ? "stop its container and " : "",
                         "release it: fairlead ip release ", holder->key.name);
  return OkStatus();
}

Status CheckRequest(const AcquireRequest& request, const Pool& pool) {
  if (request.key.network.empty() || request.key.name.empty())
    return InvalidArgument("a lease needs the names of network and container; got \"", request.key.ToString(), "\"");
  if (request.wanted && request.wanted->is_v6() != request.key.v6)
    return InvalidArgument("address ", request.wanted->ToString(), " is not of the family that ",
                           request.key.ToString(), " asks for; choose one of ", request.key.v6 ? "IPv6" : "IPv4");
  if (!HasFamily(pool.spec, request.key.v6))
    return InvalidArgument("pool ", pool.spec.name, " has no ", request.key.v6 ? "IPv6" : "IPv4", " prefix (",
                           pool.spec.PrefixList(), "); add one");
  return OkStatus();
}

// The address for a key without a lease in the pool, making room where needed.
// `in_pool`, `in_prefix`: whether it is one lease more there.
StatusOr<IpAddress> FindAddress(LeaseTable& table, const Pool& pool, const AcquireRequest& request, bool in_pool,
                                bool in_prefix, const Moment& at) {
  const Allocator& a = pool.allocator;
  PrefixFilter filter = FilterOf(request);
  bool over_quota = in_pool && pool.spec.quota != 0 && a.leased() >= pool.spec.quota;
  IpAddress ip = request.wanted ? *request.wanted : a.Choose(request.key, filter, at.now);
  // A wanted one has a prefix of its own, whose cap holds for it, too.
  bool capped = request.wanted && in_prefix && a.AtCap(ip);
  if (capped) filter.within = pool.spec.PrefixOf(ip)->prefix;
  if (ip.is_set() && !over_quota && !capped) return ip;

  auto spared = [&](const IpAddress& detached) { return Configured(table, pool, detached); };
  IpAddress victim = a.LongestDetached(filter, at.now, spared);
  bool either = over_quota && !capped;  // a lease of the other family makes room in the quota as well
  if (either && !victim.is_set()) victim = a.LongestDetached({.v6 = !filter.v6}, at.now, spared);
  if (!victim.is_set()) return PoolFull(table, pool, filter, over_quota, at);
  if (!ip.is_set() && victim.is_v6() != filter.v6) return PoolFull(table, pool, filter, false, at);
  const Lease* lease = table.StagedAt(pool, victim);
  CHECK(lease != nullptr && !lease->attached);
  table.End(LeaseKey(lease->key), at);
  return ip.is_set() ? ip : victim;
}

// The key has the address that it asks for.
Lease Reattach(LeaseTable& table, const Lease& held, const AcquireRequest& request, const Moment& at) {
  Lease lease = held;
  if (!request.project.empty()) lease.project = request.project;
  lease.provisional = held.provisional && request.provisional;
  lease.ephemeral = held.ephemeral && request.ephemeral;  // one `run --rm` must not cost a lasting name its address
  lease.observed = false;
  const bool first_use = !held.attached && !held.used;
  bool same = held.attached && lease.project == held.project && lease.provisional == held.provisional &&
              lease.ephemeral == held.ephemeral && !held.observed;
  if (same) return held;
  if (!held.attached) {
    lease.attached = true;
    lease.since_wall = at.wall;
    lease.mac = MacOf(lease.key);
  }
  lease.revision = 0;  // told by the commit
  table.Put(lease, at);
  lease = *table.Staged(lease.key);
  lease.first_use = first_use;
  return lease;
}

Status CheckAtRest(const Lease& held) {
  if (!held.attached) return OkStatus();
  return FailedPrecondition(held.key.ToString(), " is attached at ", held.ip.ToString(), " of pool ", held.pool,
                            "; stop its container before it can move");
}

void Detached(LeaseTable& table, Lease lease, const Moment& at) {
  lease.attached = false;
  lease.since_wall = at.wall;
  lease.revision = 0;
  table.Put(std::move(lease), at);
}

// A lease at a new place, still to be put there. `held`: the one that the key has elsewhere, or null.
// `adopted`: who answers at the address is the container that it is for.
StatusOr<Lease> Place(LeaseTable& table, const Pool& pool, const AcquireRequest& request, const Lease* held,
                      bool adopted, const Moment& at) {
  if (held != nullptr) RETURN_IF_ERROR(CheckAtRest(*held));
  if (request.wanted) RETURN_IF_ERROR(CheckWanted(table, pool, request, adopted, at));
  const bool here = held != nullptr && held->pool == request.pool;
  Lease lease{.key = request.key,
              .pool = request.pool,
              .mac = MacOf(request.key),
              .project = request.project.empty() ? pool.spec.project : request.project,
              .provisional = request.provisional,
              .ephemeral = request.ephemeral && (held == nullptr || held->ephemeral),
              .reserved = held != nullptr && held->reserved,
              .since_wall = at.wall,
              .acquired_wall = at.wall};
  // Where the old place is in the same prefix, it makes the room itself.
  bool in_prefix = !here || !request.wanted || pool.spec.PrefixOf(held->ip) != pool.spec.PrefixOf(*request.wanted);
  ASSIGN_OR_RETURN(lease.ip, FindAddress(table, pool, request, !here, in_prefix, at));
  return lease;
}

}  // namespace

StatusOr<Lease> StageAcquire(LeaseTable& table, const AcquireRequest& request, const Moment& at) {
  const Pool* pool = table.FindPool(request.pool);
  if (pool == nullptr) return NoSuchPool(table, request.pool);
  RETURN_IF_ERROR(CheckRequest(request, *pool));

  const Lease* held = table.Staged(request.key);
  bool here = held != nullptr && held->pool == request.pool;
  if (here && !request.wanted && request.within && !request.within->Contains(held->ip))
    return FailedPrecondition(held->key.ToString(), " has ", held->ip.ToString(), " of pool ", held->pool,
                              ", which is not in ", request.within->ToString(),
                              "; release it first, or ask for the prefix that it is in");
  if (here && (!request.wanted || *request.wanted == held->ip)) return Reattach(table, *held, request, at);
  ASSIGN_OR_RETURN(Lease lease, Place(table, *pool, request, held, /*adopted=*/false, at));
  lease.attached = true;
  table.Put(std::move(lease), at);
  lease = *table.Staged(request.key);
  lease.first_use = true;
  return lease;
}

StatusOr<Lease> StageReserve(LeaseTable& table, const ReserveRequest& request, const Moment& at) {
  const Pool* pool = table.FindPool(request.pool);
  if (pool == nullptr) return NoSuchPool(table, request.pool);
  AcquireRequest place{.pool = request.pool, .key = request.key, .wanted = request.wanted,
                       .project = request.project, .node = request.node, .site = request.site};
  RETURN_IF_ERROR(CheckRequest(place, *pool));

  const Lease* held = table.Staged(request.key);
  bool there = held != nullptr && held->pool == request.pool && (!request.wanted || *request.wanted == held->ip);
  if (!there) {
    ASSIGN_OR_RETURN(Lease lease, Place(table, *pool, place, held, request.observed, at));
    lease.reserved |= !request.observed;
    lease.observed = request.observed;
    table.Put(std::move(lease), at);
    return *table.Staged(request.key);
  }
  if (held->provisional)
    return FailedPrecondition(held->key.ToString(), " at ", held->ip.ToString(),
                              " has no name yet that it could be reserved for; reserve it for its container's name");
  Lease lease = *held;
  (request.observed ? lease.observed : lease.reserved) = true;
  lease.observed &= !held->attached;  // a container of ours is there already
  lease.ephemeral &= !lease.reserved;
  if (!request.project.empty()) lease.project = request.project;
  if (lease.reserved == held->reserved && lease.observed == held->observed && lease.project == held->project) return *held;
  lease.revision = 0;
  table.Put(lease, at);
  return *table.Staged(lease.key);
}

Status StageStandIn(LeaseTable& table, std::string_view pool_name, const IpAddress& ip, const std::string& name,
                    const Moment& at) {
  Pool* pool = table.FindPool(pool_name);
  const Lease* held = pool != nullptr ? table.StagedAt(*pool, ip) : nullptr;
  if (held == nullptr || !held->provisional)
    return NotFound("address ", ip.ToString(), " of pool ", pool_name, " has no provisional lease that could stand in for ",
                    name);
  if (held->stand_in_for == name) return OkStatus();
  Lease lease = *held;
  lease.stand_in_for = name;
  lease.revision = 0;
  table.Put(std::move(lease), at);
  return OkStatus();
}

StatusOr<bool> StageForeign(LeaseTable& table, std::string_view pool_name, const IpAddress& ip, MacAddress by,
                            const Moment& at) {
  Pool* pool = table.FindPool(pool_name);
  if (pool == nullptr) return NoSuchPool(table, pool_name);
  if (pool->spec.PrefixOf(ip) == nullptr)
    return InvalidArgument("address ", ip.ToString(), " is outside pool ", pool_name, " (", pool->spec.PrefixList(),
                           "); only addresses of a pool are looked after");
  const Lease* held = table.StagedAt(*pool, ip);
  if (held != nullptr && held->attached && held->mac == by) return true;  // its own container answered
  // Whoever asked for the lease is still waiting for the probe: nobody has used the address.
  const bool unused = held != nullptr && held->attached && !held->used && at.wall - held->since_wall <= kFirstUseFor;
  if (unused && !held->kept()) table.End(LeaseKey(held->key), at);
  else if (unused) Detached(table, *held, at);
  if (pool->foreign.size() >= Ipam::kMaxForeign && !pool->foreign.contains(ip)) return false;
  table.SetForeign(*pool, ip, by, at, Ipam::kForeignRest);
  return true;
}

Status StageDetach(LeaseTable& table, std::string_view pool_name, const IpAddress& ip, const Moment& at) {
  Pool* pool = table.FindPool(pool_name);
  const Lease* held = pool != nullptr ? table.StagedAt(*pool, ip) : nullptr;
  if (held == nullptr || !held->attached) return OkStatus();
  bool ends = held->provisional || (!held->reserved && (held->ephemeral || pool->spec.retain == 0));
  if (ends) {
    table.End(LeaseKey(held->key), at);
    return OkStatus();
  }
  Lease lease = *held;
  lease.used = true;
  Detached(table, std::move(lease), at);
  return OkStatus();
}

StatusOr<Lease> StageRename(LeaseTable& table, std::string_view pool_name, const IpAddress& ip, LeaseKey key,
                            const std::string& project, const Moment& at) {
  Pool* pool = table.FindPool(pool_name);
  if (pool == nullptr) return NoSuchPool(table, pool_name);
  const Lease* held = table.StagedAt(*pool, ip);
  if (held == nullptr)
    return NotFound("address ", ip.ToString(), " of pool ", pool_name, " has no lease that ", key.ToString(),
                    " could take over");
  key.v6 = ip.is_v6();
  Lease lease = *held;
  lease.provisional = false;
  lease.stand_in_for.clear();
  if (!project.empty()) lease.project = project;
  bool same_name = key == held->key;
  if (same_name && !held->provisional && lease.project == held->project) return *held;
  lease.revision = 0;
  if (same_name) {
    table.Put(lease, at);
    return *table.Staged(key);
  }
  if (const Lease* other = table.Staged(key)) {
    if (other->attached)
      return AlreadyExists(key.ToString(), " is attached at ", other->ip.ToString(), " of pool ", other->pool,
                           "; ", ip.ToString(), " stays with ", held->key.ToString());
    if (other->kept())
      return AlreadyExists(key.ToString(), " has ", other->ip.ToString(), " of pool ", other->pool,
                           " reserved for its next start; until then ", ip.ToString(), " can only stand in for it");
    table.End(key, at);
  }
  LeaseKey from = lease.key;
  if (!held->provisional) lease.acquired_wall = at.wall;  // of a provisional one it was the name's all along
  lease.key = key;
  table.Rekey(from, lease, at);
  return *table.Staged(key);
}

Status StageRelease(LeaseTable& table, const LeaseKey& key, const Moment& at) {
  const Lease* held = table.Staged(key);
  if (held == nullptr) return OkStatus();
  if (held->attached)
    return FailedPrecondition(key.ToString(), " is attached at ", held->ip.ToString(), " of pool ", held->pool,
                              "; stop its container first");
  table.End(key, at);
  return OkStatus();
}

StatusOr<std::vector<Lease>> StageReclaim(LeaseTable& table, const std::string& pool_name, Nanos idle, size_t limit,
                                          const Moment& at) {
  if (!pool_name.empty() && table.FindPool(pool_name) == nullptr) return NoSuchPool(table, pool_name);
  std::vector<Lease> over;
  for (const auto& [name, pool] : table.pools()) {
    if (!pool_name.empty() && name != pool_name) continue;
    pool.allocator.ForEachDetached([&](const IpAddress& ip, const AddressUse& use) {
      const Lease* lease = table.StagedAt(pool, ip);
      CHECK(lease != nullptr);
      if (over.size() >= limit || at.now - use.since < idle) return false;
      over.push_back(*lease);
      return true;
    });
  }
  for (const Lease& lease : over) table.End(lease.key, at);
  return over;
}

size_t StageExpire(LeaseTable& table, size_t limit, const Moment& at) {
  std::vector<LeaseKey> over;
  for (const auto& [name, pool] : table.pools()) {
    if (pool.spec.retain == kNever) continue;
    pool.allocator.ForEachDetached([&](const IpAddress& ip, const AddressUse& use) {
      if (over.size() >= limit || at.now - use.since < pool.spec.retain) return false;
      if (!Configured(table, pool, ip)) over.push_back(use.key);
      return true;
    });
  }
  for (const LeaseKey& key : over) table.End(key, at);

  for (const auto& [name, unused] : table.pools()) {
    Pool& pool = *table.FindPool(name);
    std::erase_if(pool.foreign, [&](const auto& seen) {
      if (at.now < seen.second.until) return false;
      if (pool.allocator.Get(seen.first).state == AddressUse::kForeign) table.Forget(pool, seen.first);
      return true;
    });
    while (pool.allocator.resting() > kRestingPerPool) {
      IpAddress ip = pool.allocator.LongestResting();
      if (pool.allocator.Get(ip).usable > at.now) break;
      table.Forget(pool, ip);
    }
  }
  return over.size();
}

StatusOr<std::optional<PoolWrite>> CheckPutPool(LeaseTable& table, const PoolSpec& spec) {
  RETURN_IF_ERROR(spec.Validate());
  for (const auto& [name, other] : table.pools()) {
    if (name == spec.name) continue;
    for (const PrefixSpec& mine : spec.prefixes)
      for (const PrefixSpec& theirs : other.spec.prefixes)
        if (mine.prefix.Overlaps(theirs.prefix))
          return InvalidArgument("pool ", spec.name, ": ", mine.prefix.ToString(), " overlaps ",
                                 theirs.prefix.ToString(), " of pool ", name, "; an address can be in one pool only");
  }
  const Pool* pool = table.FindPool(spec.name);
  if (pool == nullptr) return PoolWrite{spec.name, 0, spec};
  if (pool->spec == spec) return std::nullopt;

  std::vector<std::string> stranded;
  size_t count = 0;
  pool->allocator.ForEachUse([&](const IpAddress& ip, const AddressUse& use) {
    if (!use.leased()) return true;
    const PrefixSpec* prefix = spec.PrefixOf(ip);
    if (prefix != nullptr && prefix->WhyReserved(ip).empty()) return true;
    if (++count <= kNamed) stranded.push_back(Cat(use.key.ToString(), " at ", ip.ToString()));
    return true;
  });
  if (count != 0)
    return FailedPrecondition("pool ", spec.name, ": the change would strand ", Some(stranded, count),
                              "; release these leases first");
  return PoolWrite{spec.name, pool->revision, spec};
}

StatusOr<std::optional<PoolWrite>> CheckRemovePool(LeaseTable& table, const std::string& name) {
  const Pool* pool = table.FindPool(name);
  if (pool == nullptr) return std::nullopt;
  if (pool->allocator.leased() != 0)
    return FailedPrecondition("pool ", name, " still has leases (", Holders(*pool), "); release them first");
  return PoolWrite{name, pool->revision};
}

}  // namespace fairlead::ipam
