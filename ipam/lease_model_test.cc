// A pool's life in random steps against the rules in their simplest form. After each step every address of the pool is
// exactly one of free, live, retained, reserved, quarantined, foreign and excluded, counted from scratch; no address has
// two holders; a name keeps its address; a refusal is right. FAIRLEAD_LEASE_STEPS raises the steps (tools/soak leases),
// FAIRLEAD_LEASE_SEED starts the dice elsewhere.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "base/io/await.h"
#include "base/random.h"
#include "ipam/ipam.h"
#include "ipam/ipam_harness.h"
#include "ipam/memory_lease_store.h"

namespace fairlead::ipam {
namespace {

constexpr Nanos kQuarantine = 60 * kSecond, kRetain = 20 * kMinute;
constexpr uint64_t kHistoryRows = 4'000;

// Two L2 domains, one of them capped, with ranges and holes; a prefix of another host; IPv6.
PoolSpec ModelPool() {
  PoolSpec spec = Shop("10.40.0.0/28");
  spec.quota = 22;
  spec.retain = kRetain;
  spec.quarantine = kQuarantine;
  spec.prefixes.push_back(Cidr("10.41.0.0/28"));
  spec.prefixes[1].ranges = {{Ip("10.41.0.4"), Ip("10.41.0.11")}};
  spec.prefixes[1].exclude = {Ip("10.41.0.6")};
  spec.prefixes[1].site = "sh";
  spec.prefixes[1].vlan = 12;
  spec.prefixes[1].max_endpoints = 5;
  spec.prefixes.push_back(Cidr("10.42.0.0/29"));
  spec.prefixes[2].node = "host2";
  spec.prefixes.push_back(Cidr("fd00:40::/125"));
  return spec;
}

LeaseKey KeyOf(const std::string& name) {
  LeaseKey key = Key(name);
  key.v6 = name.starts_with("s");
  return key;
}

class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed), host_(store_) {
    EXPECT_TRUE(host_.Run(host_.ipam->PutPool(spec_)).ok());
    TellConfigured();
    for (const PrefixSpec& p : spec_.prefixes)
      for (IpAddress ip = p.prefix.network(); p.prefix.Contains(ip); ip = ip.Plus(1)) {
        all_.push_back(ip);
        if (NeverChosen(ip)) excluded_.insert(ip);
      }
  }

  void Step() {
    step_ = {};
    switch (random_.Below(20)) {
      case 0: case 1: case 2: case 3: case 4: AcquireOne(SomeName(), {}); break;
      case 5: AcquireOne(SomeName(), SomeAddress()); break;
      case 6: case 7: case 8: DetachOne(); break;
      case 9: ReleaseOne(); break;
      case 10: if (random_.OneIn(2)) ReserveOne(); break;
      case 11: Foreign(); break;
      case 12: NameOne(); break;
      case 13: Parallel(); break;
      case 14: Reclaim(); break;
      case 15: Expire(); break;
      case 16: case 17: Advance(static_cast<Nanos>(random_.Below(30)) * kSecond); break;
      case 18: if (random_.OneIn(20)) Advance(static_cast<Nanos>(random_.Below(30)) * kMinute); break;
      case 19: random_.OneIn(4) ? Disturb() : Configure(); break;
    }
    Sync();
    Count();
  }

 private:
  struct Held {
    IpAddress ip;
    bool attached = false, kept = false, used = false, ephemeral = false, provisional = false;
    Nanos usable = 0, since = 0, since_wall = 0;  // the first two monotonic
  };
  struct Doing {                     // what this step may change
    std::set<std::string> touched;
    std::set<IpAddress> wanted;      // may be given in quarantine
    bool needs_room = false;         // somebody's retained address may be taken
    bool expires = false;
    Nanos idle = kNever;             // of Reclaim
    bool restarted = false;
  };

  Nanos now() const { return host_.clock.Now(); }
  std::string SomeName() { return random_.OneIn(4) ? Cat("s", random_.Below(8)) : Cat("c", random_.Below(24)); }
  IpAddress SomeAddress() { return all_[random_.Below(all_.size())]; }
  const PrefixSpec& PrefixOf(const IpAddress& ip) const { return *spec_.PrefixOf(ip); }
  bool Excluded(const IpAddress& ip) const { return excluded_.contains(ip); }
  bool NeverChosen(const IpAddress& ip) const {
    const PrefixSpec& p = PrefixOf(ip);
    bool in_range = p.ranges.empty();
    for (const auto& [first, last] : p.ranges) in_range |= first <= ip && ip <= last;
    return !in_range || !p.WhyReserved(ip).empty();
  }
  bool ForUs(const PrefixSpec& p, const std::string& site) const { return p.node.empty() && (p.site.empty() || p.site == site); }
  uint64_t LeasesIn(const PrefixSpec& p) const {
    uint64_t leases = 0;
    for (const auto& [name, held] : held_) leases += p.prefix.Contains(held.ip);
    return leases;
  }
  bool AtCap(const PrefixSpec& p) const { return p.max_endpoints != 0 && LeasesIn(p) >= p.max_endpoints; }
  // Could have been given, or could have been taken from a name that is gone.
  bool Choosable(const IpAddress& ip, const std::string& site) const {
    auto rests = resting_.find(ip);
    for (const auto& [name, held] : held_)
      if (held.ip == ip) return false;
    return !Excluded(ip) && ForUs(PrefixOf(ip), site) && !AtCap(PrefixOf(ip)) && !foreign_.contains(ip) &&
           (rests == resting_.end() || rests->second <= now());
  }
  bool Evictable(const std::string& name, const Held& held) const {
    return !held.attached && !held.kept && held.usable <= now() && !configured_.contains(name);
  }

  void AcquireOne(const std::string& name, std::optional<IpAddress> wanted) {
    AcquireRequest request = Asking(name);
    if (wanted && wanted->is_v6() == request.key.v6) request.wanted = wanted;
    auto known = held_.find(name);
    StatusOr<Lease> lease = host_.Run(host_.ipam->Acquire(request));
    if (known != held_.end() && !request.wanted) {
      ASSERT_TRUE(lease.ok()) << lease.status();
      ASSERT_EQ(lease->ip, known->second.ip) << "a name lost its address";
      ASSERT_EQ(lease->first_use, !known->second.attached && !known->second.used);
    } else if (!lease.ok()) {
      CheckRefusal(request, lease.status());
    } else if (lease->first_use && random_.OneIn(8)) {
      Sync();
      Count();
      Squat(lease->ip, name);
    }
  }
  AcquireRequest Asking(const std::string& name) {
    step_.touched.insert(name);
    step_.needs_room = true;
    AcquireRequest request{.pool = "shop", .key = KeyOf(name), .ephemeral = random_.OneIn(10), .node = "host1",
                           .site = random_.OneIn(8) ? "" : "sh"};
    return request;
  }
  void CheckRefusal(const AcquireRequest& request, const Status& status) {
    if (request.wanted) return CheckRefusalOfWanted(request, status);
    ASSERT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
    for (const auto& [name, held] : held_)
      if (held.ip.is_v6() == request.key.v6 && ForUs(PrefixOf(held.ip), request.site) && !Excluded(held.ip))
        ASSERT_FALSE(Evictable(name, held)) << name << " could have made room: " << status;
    if (held_.size() >= spec_.quota) return;
    for (const IpAddress& ip : all_)
      if (ip.is_v6() == request.key.v6)
        ASSERT_FALSE(Choosable(ip, request.site)) << ip.ToString() << " could have been given: " << status;
  }
  void CheckRefusalOfWanted(const AcquireRequest& request, const Status& status) {
    const IpAddress& ip = *request.wanted;
    auto own = held_.find(request.key.name);
    bool others = foreign_.contains(ip);
    for (const auto& [name, held] : held_) others |= held.ip == ip && name != request.key.name;
    if (status.code() == StatusCode::kFailedPrecondition) ASSERT_TRUE(own->second.attached) << status;
    if (status.code() == StatusCode::kAlreadyExists) ASSERT_TRUE(others) << status;
    if (status.code() == StatusCode::kInvalidArgument)
      ASSERT_TRUE(!PrefixOf(ip).WhyReserved(ip).empty() || !ForUs(PrefixOf(ip), request.site)) << status;
    if (status.code() == StatusCode::kResourceExhausted)
      ASSERT_TRUE(held_.size() >= spec_.quota || AtCap(PrefixOf(ip))) << status;
  }

  void DetachOne() {
    auto it = SomeHeld([](const Held& h) { return h.attached; });
    if (it == held_.end()) return;
    step_.touched.insert(it->first);
    ASSERT_TRUE(host_.Detach(it->second.ip).ok());
  }
  void ReleaseOne() {
    auto it = SomeHeld([](const Held&) { return true; });
    if (it == held_.end()) return;
    bool may = !it->second.attached;
    step_.touched.insert(it->first);
    ASSERT_EQ(host_.Run(host_.ipam->Release(KeyOf(it->first))).ok(), may);
    ASSERT_EQ(host_.ipam->Find(KeyOf(it->first)).has_value(), !may);
  }
  void ReserveOne() {
    std::string name = SomeName();
    AcquireRequest place = Asking(name);
    if (random_.OneIn(4) && !place.key.v6) place.wanted = SomeAddress();
    if (place.wanted && place.wanted->is_v6()) place.wanted.reset();
    StatusOr<Lease> lease = host_.Run(host_.ipam->Reserve({.pool = "shop", .key = place.key, .wanted = place.wanted,
                                                           .node = place.node, .site = place.site}));
    if (!lease.ok()) return CheckRefusal(place, lease.status());
    ASSERT_TRUE(lease->reserved);
  }
  // Somebody answers: at an address that was just given, or at any.
  void Foreign() {
    IpAddress ip = SomeAddress();
    if (!PrefixOf(ip).WhyReserved(ip).empty()) return;
    std::string holder;
    for (const auto& [name, held] : held_)
      if (held.ip == ip) holder = name;
    if (!holder.empty() && held_[holder].attached && !held_[holder].used) return;  // Squat() is that
    ASSERT_TRUE(host_.Run(host_.ipam->MarkForeign("shop", ip, MacOf(Key("squatter")))).ok());
    if (holder.empty()) SetForeign(ip);
  }
  void Squat(const IpAddress& ip, const std::string& name) {
    bool kept = held_[name].kept;
    ASSERT_TRUE(host_.Run(host_.ipam->MarkForeign("shop", ip, MacOf(Key("squatter")))).ok());
    std::optional<Lease> lease = host_.ipam->Find(KeyOf(name));
    ASSERT_EQ(lease.has_value(), kept);
    if (lease) ASSERT_FALSE(lease->attached);
    Sync();
    if (!kept) SetForeign(ip);
  }
  void SetForeign(const IpAddress& ip) {
    Nanos usable = resting_.contains(ip) ? resting_[ip] : 0;
    foreign_[ip] = std::max(now() + Ipam::kForeignRest, usable);
    resting_.erase(ip);
  }
  // An engine that tells the name late.
  void NameOne() {
    std::string placeholder = Cat("~", random_.Below(4)), name = Cat("c", random_.Below(24));
    AcquireRequest request = Asking(placeholder);
    request.provisional = true;
    StatusOr<Lease> lease = host_.Run(host_.ipam->Acquire(request));
    if (!lease.ok()) return CheckRefusal(request, lease.status());
    Sync();
    step_.touched.insert(name);
    auto other = held_.find(name);
    if (other != held_.end() && !other->second.attached && random_.OneIn(2)) {
      ASSERT_TRUE(host_.Run(host_.ipam->StandIn("shop", lease->ip, name)).ok());
      ASSERT_TRUE(host_.ipam->Find(KeyOf(name)).has_value());
      return;
    }
    if (random_.OneIn(4)) return;  // its name never comes
    bool may = other == held_.end() || (!other->second.attached && !other->second.kept);
    ASSERT_EQ(host_.Run(host_.ipam->Rename("shop", lease->ip, KeyOf(name), "")).ok(), may);
  }
  void Reclaim() {
    step_.idle = static_cast<Nanos>(random_.Below(20)) * kMinute + kSecond;
    if (!random_.OneIn(10)) step_.idle = kRetain - kMinute;
    StatusOr<std::vector<Lease>> ended = host_.Run(host_.ipam->Reclaim("shop", step_.idle));
    ASSERT_TRUE(ended.ok());
    for (const auto& [name, held] : held_)
      if (!held.attached && !held.kept && now() - held.since >= step_.idle)
        ASSERT_FALSE(host_.ipam->Find(KeyOf(name)).has_value()) << name;
  }
  void Expire() {
    step_.expires = true;
    ASSERT_TRUE(host_.Run(host_.ipam->Expire()).ok());
    for (const auto& [name, held] : held_)
      if (!held.attached && !held.kept && !configured_.contains(name) && now() - held.since >= kRetain)
        ASSERT_FALSE(host_.ipam->Find(KeyOf(name)).has_value()) << name;
    std::erase_if(foreign_, [&](const auto& f) { return f.second <= now(); });
  }
  void Advance(Nanos by) { host_.clock.Advance(by); }

  // A container is made that is configured with its name's address, or such a one is removed.
  void Configure() {
    if (std::string name = Cat("c", random_.Below(8)); configured_.erase(name) == 0) configured_.insert(name);
  }
  void TellConfigured() {
    host_.ipam->SetConfigured([this](const Lease& lease) { return configured_.contains(lease.key.name); });
  }

  // What nobody ordered: the wall clock jumps, the agent or its machine dies, also in the middle of a write.
  void Disturb() {
    if (random_.OneIn(3)) {
      Nanos offset = (static_cast<Nanos>(random_.Below(60 * 24)) - 30 * 24) * kHour;
      host_.clock.JumpWall(offset - jumped_);
      jumped_ = offset;
    } else if (random_.OneIn(2)) {
      Crash();
    } else {
      store_.FailCommit(1, random_.OneIn(2) ? MemoryLeaseStore::Fault::kCrash : MemoryLeaseStore::Fault::kCrashWritten);
      StartMany(1 + random_.Below(6));
      Crash();
    }
  }
  void Crash() {
    store_.FailCommit(0, MemoryLeaseStore::Fault::kFull);
    store_.Restart();
    host_.Restart();
    ASSERT_TRUE(host_.loaded.ok()) << host_.loaded;
    TellConfigured();
    step_.restarted = true;
  }
  void Parallel() { StartMany(2 + random_.Below(8)); }
  void StartMany(uint64_t count) {
    std::vector<std::unique_ptr<std::optional<StatusOr<Lease>>>> answers;
    std::vector<std::unique_ptr<std::optional<Status>>> done;
    io::TaskGroup group;
    host_.offload->held = true;
    for (uint64_t i = 0; i < count; i++) {
      auto it = SomeHeld([](const Held&) { return true; });
      if (random_.OneIn(3) && it != held_.end()) {
        step_.touched.insert(it->first);
        done.push_back(std::make_unique<std::optional<Status>>());
        group.Spawn(it->second.attached ? Into(host_.ipam->Detach("shop", it->second.ip), done.back().get())
                                        : Into(host_.ipam->Release(KeyOf(it->first)), done.back().get()));
        continue;
      }
      answers.push_back(std::make_unique<std::optional<StatusOr<Lease>>>());
      group.Spawn(Into(host_.ipam->Acquire(Asking(SomeName())), answers.back().get()));
    }
    host_.offload->held = false;
    while (host_.offload->queued() > 0) host_.offload->RunOne();
    host_.TurnUntil([&] { return group.live() == 0; });
  }

  std::map<std::string, Held>::iterator SomeHeld(auto wanted) {
    std::vector<std::map<std::string, Held>::iterator> some;
    for (auto it = held_.begin(); it != held_.end(); ++it)
      if (wanted(it->second)) some.push_back(it);
    return some.empty() ? held_.end() : some[random_.Below(some.size())];
  }

  // Takes over what is so now, after a look whether it may be so after what was before and what was done.
  void Sync() {
    if (testing::Test::HasFatalFailure()) return;
    std::map<std::string, Lease> after;
    std::map<IpAddress, std::string> holders;
    for (Lease& lease : host_.ipam->Leases()) {
      auto [it, unique] = holders.emplace(lease.ip, lease.key.name);
      ASSERT_TRUE(unique) << lease.ip.ToString() << " belongs to " << it->second << " and " << lease.key.name;
      after.emplace(lease.key.name, std::move(lease));
    }
    const std::map<std::string, Held> before = held_;
    for (const auto& [name, held] : before) {
      auto is = after.find(name);
      if (is != after.end() && is->second.ip == held.ip) continue;
      ASSERT_TRUE(step_.touched.contains(name) || MayEnd(name, held)) << name << " lost " << held.ip.ToString();
      Rest(held);
      held_.erase(name);
    }
    for (const auto& [name, lease] : after) TakeOver(name, lease, before);
    ASSERT_LE(held_.size(), spec_.quota);
    ASSERT_LE(LeasesIn(spec_.prefixes[1]), spec_.prefixes[1].max_endpoints);
    if (step_.restarted) Reread();
  }
  bool MayEnd(const std::string& name, const Held& held) const {
    if (held.attached || held.kept) return false;
    Nanos age = now() - held.since;
    return (step_.needs_room && Evictable(name, held)) || (step_.expires && age >= kRetain && !configured_.contains(name)) ||
           age >= step_.idle;
  }
  void Rest(const Held& held) {
    Nanos usable = held.attached ? now() + kQuarantine : held.usable;
    resting_[held.ip] = usable;
    ended_wall_[held.ip] = host_.clock.WallNow() + (usable - now());
  }
  void TakeOver(const std::string& name, const Lease& lease, const std::map<std::string, Held>& before) {
    auto was = before.find(name);
    bool known = was != before.end() && was->second.ip == lease.ip;
    if (!step_.touched.contains(name)) {
      ASSERT_TRUE(known) << name << " appeared at " << lease.ip.ToString();
      ASSERT_EQ(lease.attached, was->second.attached);
      ASSERT_EQ(lease.kept(), was->second.kept);
      return;
    }
    if (!known) CheckGiven(name, lease, before);
    bool detached_now = !lease.attached && (!known || was->second.attached || was->second.since_wall != lease.since_wall);
    Held held{lease.ip, lease.attached, lease.kept(), lease.used, lease.ephemeral, lease.provisional};
    held.since_wall = lease.since_wall;
    held.usable = detached_now ? now() + kQuarantine : known ? was->second.usable : 0;
    held.since = detached_now ? now() : known ? was->second.since : 0;
    held_[name] = held;
    resting_.erase(lease.ip);
    foreign_.erase(lease.ip);
  }
  void CheckGiven(const std::string& name, const Lease& lease, const std::map<std::string, Held>& before) {
    ASSERT_TRUE(PrefixOf(lease.ip).WhyReserved(lease.ip).empty()) << lease.ip.ToString();
    ASSERT_TRUE(PrefixOf(lease.ip).node.empty()) << "of another host";
    ASSERT_FALSE(foreign_.contains(lease.ip) && foreign_[lease.ip] > now()) << "a squatter's";
    for (const auto& [other, held] : before)
      if (held.ip == lease.ip) ASSERT_TRUE(step_.touched.contains(other) || Evictable(other, held)) << name << " took it from " << other;
  }
  // A restart knows what is on the disk, and the wall clock.
  void Reread() {
    step_.restarted = false;
    foreign_.clear();
    resting_.clear();
    const Nanos wall = host_.clock.WallNow();
    auto rest = [&](Nanos until) { return now() + std::clamp<Nanos>(until - wall, 0, kQuarantine); };
    for (auto& [name, held] : held_) {
      if (held.attached) continue;
      held.usable = rest(held.since_wall + kQuarantine);
      held.since = now() - std::max<Nanos>(0, wall - held.since_wall);
    }
    std::set<IpAddress> remembered;  // the history has an end
    const StatusOr<StoredState> stored = store_.Load();
    for (const HistoryEntry& ended : stored->released) remembered.insert(ended.ip);
    std::erase_if(ended_wall_, [&](const auto& ended) { return !remembered.contains(ended.first); });
    for (const auto& [ip, until] : ended_wall_) resting_[ip] = rest(until);
    for (const auto& [name, held] : held_) resting_.erase(held.ip);
  }

  void Count() {
    if (testing::Test::HasFatalFailure()) return;
    std::map<IpAddress, const Held*> holders;
    for (const auto& [name, held] : held_) holders[held.ip] = &held;
    Ipam::PoolUsage is;
    for (const IpAddress& ip : all_) {
      auto holder = holders.find(ip);
      auto rests = resting_.find(ip);
      if (holder != holders.end())
        (holder->second->attached ? is.attached : holder->second->kept ? is.reserved : is.detached)++;
      else if (foreign_.contains(ip))
        is.foreign++;
      else if (rests != resting_.end() && rests->second > now())
        is.quarantined++;
      else
        (Excluded(ip) ? is.excluded : is.free)++;
    }
    Ipam::PoolUsage told = host_.ipam->Usage("shop");
    ASSERT_EQ(told.attached, is.attached);
    ASSERT_EQ(told.detached, is.detached);
    ASSERT_EQ(told.reserved, is.reserved);
    ASSERT_EQ(told.foreign, is.foreign);
    ASSERT_EQ(told.quarantined, is.quarantined);
    ASSERT_EQ(told.excluded, is.excluded);
    ASSERT_EQ(told.free, is.free);
  }

  const PoolSpec spec_ = ModelPool();
  SeededRandom random_;
  MemoryLeaseStore store_{kHistoryRows};
  Host host_;
  std::vector<IpAddress> all_;
  std::set<IpAddress> excluded_;
  std::map<std::string, Held> held_;
  std::set<std::string> configured_;       // names whose container exists
  std::map<IpAddress, Nanos> resting_;     // until, monotonic
  std::map<IpAddress, Nanos> ended_wall_;  // the end of the last rest of each address, as it was written down
  std::map<IpAddress, Nanos> foreign_;     // until, monotonic
  Nanos jumped_ = 0;
  Doing step_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(LeaseModel, EveryAddressIsExactlyOneThingAndEveryNameKeepsItsOwn) {
  const uint64_t seed = FromEnvironment("FAIRLEAD_LEASE_SEED", 1);
  const uint64_t steps = FromEnvironment("FAIRLEAD_LEASE_STEPS", 100'000);
  Model model(seed);
  for (uint64_t step = 0; step < steps && !testing::Test::HasFatalFailure(); step++) {
    SCOPED_TRACE(Cat("seed ", seed, ", step ", step));
    model.Step();
  }
}

}  // namespace
}  // namespace fairlead::ipam
