#include "ipam/rules.h"

#include <ctime>
#include <utility>

#include "base/check.h"

namespace fairlead::ipam {

namespace {

constexpr size_t kNamed = 3;  // holders that an error names

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
    if (use.state != AddressUse::kResting) names.push_back(Cat(use.key.ToString(), " at ", ip.ToString()));
    return names.size() < kNamed;
  });
  return Some(names, pool.allocator.attached() + pool.allocator.detached());
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

Status PoolFull(const Pool& pool, bool v6, bool by_quota, Nanos now_wall) {
  const Allocator& a = pool.allocator;
  std::string text = by_quota ? Cat("pool ", pool.spec.name, " has reached its quota of ", pool.spec.quota, ": ")
                              : Cat("pool ", pool.spec.name, " is full: ");
  text += Cat(a.attached() + a.detached(), " leased (", a.detached(), " of them detached)");
  if (!by_quota) text += Cat(", ", a.quarantined(now_wall), " in quarantine");
  if (Nanos next = a.NextUsableWall(v6); next != kNever && next > now_wall)
    text += Cat(", the first to be usable at ", WallText(next));
  text += by_quota ? "; raise the quota or release leases (" : "; add a prefix or release leases (";
  return ResourceExhausted(text, "held by ", Holders(pool), ")");
}

Status CheckWanted(LeaseTable& table, const Pool& pool, const IpAddress& ip) {
  const PrefixSpec* prefix = pool.spec.PrefixOf(ip);
  if (prefix == nullptr)
    return InvalidArgument("address ", ip.ToString(), " is outside pool ", pool.spec.name, " (", pool.spec.PrefixList(),
                           "); choose one inside");
  if (std::string_view why = prefix->WhyReserved(ip); !why.empty())
    return InvalidArgument("address ", ip.ToString(), " is ", why, " in ", prefix->prefix.ToString(), " of pool ",
                           pool.spec.name, "; choose another");
  if (const Lease* holder = table.StagedAt(pool, ip))
    return AlreadyExists("address ", ip.ToString(), " of pool ", pool.spec.name, " belongs to ", holder->key.ToString(),
                         holder->attached ? " (attached" : " (detached", " since ", WallText(holder->since_wall),
                         "); choose another, or release it: fairlead ip release ", holder->key.name);
  return OkStatus();
}

Status CheckRequest(const AcquireRequest& request, const Pool& pool) {
  if (request.key.network.empty() || request.key.name.empty())
    return InvalidArgument("a lease needs the names of network and container; got \"", request.key.ToString(), "\"");
  if (request.wanted && request.wanted->is_v6() != request.key.v6)
    return InvalidArgument("address ", request.wanted->ToString(), " is not of the family that ",
                           request.key.ToString(), " asks for");
  if (!HasFamily(pool.spec, request.key.v6))
    return InvalidArgument("pool ", pool.spec.name, " has no ", request.key.v6 ? "IPv6" : "IPv4", " prefix (",
                           pool.spec.PrefixList(), "); add one");
  return OkStatus();
}

// The address for a key without a lease in the pool, making room where needed.
StatusOr<IpAddress> FindAddress(LeaseTable& table, const Pool& pool, const AcquireRequest& request, bool counts,
                                Nanos now_wall) {
  const Allocator& a = pool.allocator;
  bool v6 = request.key.v6;
  bool over_quota = counts && pool.spec.quota != 0 && a.attached() + a.detached() >= pool.spec.quota;
  IpAddress ip = request.wanted ? *request.wanted : a.Choose(request.key, now_wall);
  if (ip.is_set() && !over_quota) return ip;

  IpAddress victim = a.LongestDetached(v6, now_wall);
  if (over_quota && !victim.is_set()) victim = a.LongestDetached(!v6, now_wall);
  if (!victim.is_set()) return PoolFull(pool, v6, over_quota, now_wall);
  if (!ip.is_set() && victim.is_v6() != v6) return PoolFull(pool, v6, false, now_wall);
  const Lease* lease = table.StagedAt(pool, victim);
  CHECK(lease != nullptr && !lease->attached);
  table.End(LeaseKey(lease->key), now_wall);
  return ip.is_set() ? ip : victim;
}

// The key has the address that it asks for.
Lease Reattach(LeaseTable& table, const Lease& held, const AcquireRequest& request, Nanos now_wall) {
  Lease lease = held;
  if (!request.project.empty()) lease.project = request.project;
  lease.provisional = held.provisional && request.provisional;
  lease.ephemeral = held.ephemeral && request.ephemeral;  // one `run --rm` must not cost a lasting name its address
  bool same = held.attached && lease.project == held.project && lease.provisional == held.provisional &&
              lease.ephemeral == held.ephemeral;
  if (same) return held;
  if (!held.attached) {
    lease.attached = true;
    lease.since_wall = now_wall;
    lease.mac = MacOf(lease.key);
  }
  lease.revision = 0;  // told by the commit
  table.Put(lease, now_wall);
  return *table.Staged(lease.key);
}

}  // namespace

StatusOr<Lease> StageAcquire(LeaseTable& table, const AcquireRequest& request, Nanos now_wall) {
  const Pool* pool = table.FindPool(request.pool);
  if (pool == nullptr) return NoSuchPool(table, request.pool);
  RETURN_IF_ERROR(CheckRequest(request, *pool));

  const Lease* held = table.Staged(request.key);
  bool here = held != nullptr && held->pool == request.pool;
  if (here && (!request.wanted || *request.wanted == held->ip)) return Reattach(table, *held, request, now_wall);
  if (held != nullptr && held->attached)
    return FailedPrecondition(held->key.ToString(), " is attached at ", held->ip.ToString(), " of pool ", held->pool,
                              "; stop its container before it can move");
  if (request.wanted) RETURN_IF_ERROR(CheckWanted(table, *pool, *request.wanted));
  bool lasting = held != nullptr && !held->ephemeral;
  ASSIGN_OR_RETURN(IpAddress ip, FindAddress(table, *pool, request, !here, now_wall));

  table.Put(Lease{.key = request.key,
                  .pool = request.pool,
                  .ip = ip,
                  .mac = MacOf(request.key),
                  .project = request.project.empty() ? pool->spec.project : request.project,
                  .attached = true,
                  .provisional = request.provisional,
                  .ephemeral = request.ephemeral && !lasting,
                  .since_wall = now_wall,
                  .acquired_wall = now_wall},
            now_wall);
  return *table.Staged(request.key);
}

Status StageDetach(LeaseTable& table, std::string_view pool_name, const IpAddress& ip, Nanos now_wall) {
  Pool* pool = table.FindPool(pool_name);
  const Lease* held = pool != nullptr ? table.StagedAt(*pool, ip) : nullptr;
  if (held == nullptr || !held->attached) return OkStatus();
  if (held->ephemeral || held->provisional || pool->spec.retain == 0) {
    table.End(LeaseKey(held->key), now_wall);
    return OkStatus();
  }
  Lease lease = *held;
  lease.attached = false;
  lease.since_wall = now_wall;
  lease.revision = 0;
  table.Put(std::move(lease), now_wall);
  return OkStatus();
}

StatusOr<Lease> StageRename(LeaseTable& table, std::string_view pool_name, const IpAddress& ip, LeaseKey key,
                            const std::string& project, Nanos now_wall) {
  Pool* pool = table.FindPool(pool_name);
  if (pool == nullptr) return NoSuchPool(table, pool_name);
  const Lease* held = table.StagedAt(*pool, ip);
  if (held == nullptr)
    return NotFound("address ", ip.ToString(), " of pool ", pool_name, " has no lease that ", key.ToString(),
                    " could take over");
  key.v6 = ip.is_v6();
  Lease lease = *held;
  lease.provisional = false;
  if (!project.empty()) lease.project = project;
  bool same_name = key == held->key;
  if (same_name && !held->provisional && lease.project == held->project) return *held;
  lease.revision = 0;
  if (same_name) {
    table.Put(lease, now_wall);
    return *table.Staged(key);
  }
  if (const Lease* other = table.Staged(key)) {
    if (other->attached)
      return AlreadyExists(key.ToString(), " is attached at ", other->ip.ToString(), " of pool ", other->pool,
                           "; ", ip.ToString(), " stays with ", held->key.ToString());
    table.End(key, now_wall);
  }
  LeaseKey from = lease.key;
  if (!held->provisional) lease.acquired_wall = now_wall;  // of a provisional one it was the name's all along
  lease.key = key;
  table.Rekey(from, lease, now_wall);
  return *table.Staged(key);
}

Status StageRelease(LeaseTable& table, const LeaseKey& key, Nanos now_wall) {
  const Lease* held = table.Staged(key);
  if (held == nullptr) return OkStatus();
  if (held->attached)
    return FailedPrecondition(key.ToString(), " is attached at ", held->ip.ToString(), " of pool ", held->pool,
                              "; stop its container first");
  table.End(key, now_wall);
  return OkStatus();
}

size_t StageExpire(LeaseTable& table, size_t limit, Nanos now_wall) {
  std::vector<LeaseKey> over;
  for (const auto& [name, pool] : table.pools()) {
    if (pool.spec.retain == kNever) continue;
    pool.allocator.ForEachDetached([&](const IpAddress& ip, const AddressUse&) {
      const Lease* lease = table.StagedAt(pool, ip);
      CHECK(lease != nullptr);
      if (over.size() >= limit || now_wall - lease->since_wall < pool.spec.retain) return false;
      over.push_back(lease->key);
      return true;
    });
  }
  for (const LeaseKey& key : over) table.End(key, now_wall);

  // What rests is remembered to be given last; of a large pool only as many as the history keeps.
  for (const auto& [name, unused] : table.pools()) {
    Pool& pool = *table.FindPool(name);
    while (pool.allocator.resting() > kHistoryPerPool) {
      IpAddress ip = pool.allocator.LongestResting();
      if (pool.allocator.Get(ip).usable_wall > now_wall) break;
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
    if (use.state == AddressUse::kResting) return true;
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
  if (pool->allocator.attached() + pool->allocator.detached() != 0)
    return FailedPrecondition("pool ", name, " still has leases (", Holders(*pool), "); release them first");
  return PoolWrite{name, pool->revision};
}

}  // namespace fairlead::ipam
