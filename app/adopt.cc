#include "app/adopt.h"

#include <algorithm>

#include "app/api_reply.h"
#include "base/log.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

constexpr const char* kBridgeOption = "com.docker.network.bridge.name";
constexpr std::string_view kEnginesOwn[] = {"bridge", "host", "none"};  // names that no other network may have

bool Running(const std::string& state) { return state == "running" || state == "paused" || state == "restarting"; }

// One holder for each address that a container has there, or is configured to have.
void TakeHolders(const std::string& network, const std::vector<runtime::ContainerSummary>& containers, AdoptionPlan& plan) {
  for (const runtime::ContainerSummary& container : containers)
    for (const runtime::NetworkAttachment& at : container.networks) {
      if (at.network != network) continue;
      Holder holder{.name = ipam::CanonicalName(container.name, runtime::IsCompose(container.labels)), .mac = at.mac,
                    .running = Running(container.state), .project = runtime::ProjectOf(container.labels)};
      bool any = false;
      for (bool v6 : {false, true}) {
        IpAddress has = v6 ? at.ipv6.address : at.ipv4.address;
        holder.ip = has.is_set() ? has : at.Wanted(v6);
        if (!holder.ip.is_set()) continue;
        plan.holders.push_back(holder);
        any = true;
      }
      if (!any) plan.without.push_back(holder.name);
    }
  std::ranges::sort(plan.holders, {}, [](const Holder& holder) { return std::tie(holder.name, holder.ip); });
  std::ranges::sort(plan.without);
}

bool Covers(const ipam::PoolSpec& pool, const Prefix& subnet) {
  return std::ranges::any_of(pool.prefixes, [&](const ipam::PrefixSpec& prefix) {
    return prefix.prefix.Contains(subnet.network()) && prefix.prefix.length() <= subnet.length();
  });
}

ipam::PoolSpec PoolOfSubnets(const std::string& name, const runtime::NetworkDetails& network) {
  ipam::PoolSpec pool{.name = name};
  for (const runtime::SubnetConfig& subnet : network.configs) {
    ipam::PrefixSpec prefix{.prefix = subnet.subnet, .gateway = subnet.gateway, .exclude = subnet.auxiliary};
    if (subnet.range) prefix.ranges.push_back({subnet.range->network(), subnet.range->last()});
    pool.prefixes.push_back(std::move(prefix));
  }
  return pool;
}

// The pool that has the subnets, or the one to be made of them.
Status ChoosePool(const AdoptRequest& request, const runtime::NetworkDetails& network, const ipam::Ipam& ipam, AdoptionPlan& plan) {
  auto covers_all = [&](const ipam::PoolSpec& pool) {
    return std::ranges::all_of(network.subnets, [&](const Prefix& subnet) { return Covers(pool, subnet); });
  };
  for (const ipam::PoolSpec& pool : ipam.Pools())
    if (covers_all(pool) && (request.pool.empty() || request.pool == pool.name)) {
      plan.pool = pool.name;
      return OkStatus();
    }
  plan.pool = request.pool.empty() ? plan.to : request.pool;
  if (const ipam::PoolSpec* there = ipam.FindPool(plan.pool))
    return FailedPrecondition("pool ", plan.pool, " has ", there->PrefixList(), ", not the subnets of network ", network.name,
                              "; name another one: --pool POOL, or add them to it");
  plan.spec = PoolOfSubnets(plan.pool, network);
  plan.make_pool = true;
  for (const ipam::PoolSpec& other : ipam.Pools())
    for (const ipam::PrefixSpec& theirs : other.prefixes)
      for (const Prefix& subnet : network.subnets)
        if (theirs.prefix.Overlaps(subnet))
          return FailedPrecondition(subnet.ToString(), " of network ", network.name, " overlaps ", theirs.prefix.ToString(), " of pool ",
                                    other.name, "; an address can belong to one pool only");
  return plan.spec.Validate();
}

std::string ConflictOf(const Holder& holder, const AdoptionPlan& plan, const ipam::LeaseKey& key, const OperatorParts& parts) {
  const ipam::PoolSpec* there = plan.make_pool ? nullptr : parts.ipam.FindPool(plan.pool);
  const ipam::PoolSpec& pool = there == nullptr ? plan.spec : *there;
  const std::string who = Cat(holder.ip.ToString(), " of ", holder.name);
  const ipam::PrefixSpec* prefix = pool.PrefixOf(holder.ip);
  if (prefix == nullptr) return Cat(who, " is not in pool ", pool.name);
  if (std::string_view why = prefix->WhyReserved(holder.ip); !why.empty()) return Cat(who, " is ", why, " of pool ", pool.name);
  if (auto lease = parts.ipam.FindByAddress(plan.pool, holder.ip); lease && lease->key != key)
    return Cat(who, " is leased to ", lease->key.ToString());
  if (auto lease = parts.ipam.Find(key); lease && lease->ip != holder.ip && !lease->observed)
    return Cat(holder.name, " has ", lease->ip.ToString(), " on ", key.network, " already, not ", holder.ip.ToString());
  return "";
}

json PlanJson(const AdoptionPlan& plan, const ipam::Ipam& ipam, const std::string& node) {
  json rows = json::array();
  for (const Holder& holder : plan.holders) {
    auto lease = ipam.Find({plan.to, node, holder.name, holder.ip.is_v6()});
    rows.push_back({{"name", holder.name}, {"address", holder.ip.ToString()}, {"mac", holder.mac.is_set() ? json(holder.mac.ToString()) : json(nullptr)},
                    {"running", holder.running}, {"state", lease && !lease->observed ? "managed" : "observed"}});
  }
  for (const std::string& name : plan.without)
    rows.push_back({{"name", name}, {"address", nullptr}, {"mac", nullptr}, {"running", false}, {"state", "no address now"}});
  return {{"network", plan.network}, {"to", plan.to}, {"pool", plan.pool}, {"made_pool", plan.make_pool}, {"containers", std::move(rows)}};
}

std::string TextIn(const json& body, const char* key) {
  auto found = body.find(key);
  return found != body.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

StatusOr<AdoptionPlan> PlanAdoption(const AdoptRequest& request, const runtime::NetworkDetails& network,
                                    const std::vector<runtime::ContainerSummary>& containers, const OperatorParts& parts) {
  AdoptionPlan plan{.network = network.name, .to = request.to.empty() ? network.name : request.to, .pool = ""};
  if (network.driver == parts.driver)
    return FailedPrecondition("network ", network.name, " is Fairlead's already: its containers keep their addresses");
  if (network.subnets.empty())
    return FailedPrecondition("network ", network.name, " (driver ", network.driver, ") has no subnets to take over");
  if (std::ranges::find(kEnginesOwn, plan.to) != std::end(kEnginesOwn))
    return WithFix(FailedPrecondition("no other network can be called ", plan.to, ": say what the new one will be called"),
                   Cat("fairlead adopt ", network.name, " --to NEWNETWORK"));
  RETURN_IF_ERROR(ChoosePool(request, network, parts.ipam, plan));
  TakeHolders(network.name, containers, plan);
  std::vector<std::string> conflicts;
  for (size_t i = 0; i < plan.holders.size(); i++) {
    const Holder& holder = plan.holders[i];
    if (i > 0 && plan.holders[i - 1].name == holder.name && plan.holders[i - 1].ip.is_v6() == holder.ip.is_v6())
      conflicts.push_back(Cat("two containers are called ", holder.name));
    std::string conflict = ConflictOf(holder, plan, {plan.to, parts.node, holder.name, holder.ip.is_v6()}, parts);
    if (!conflict.empty()) conflicts.push_back(std::move(conflict));
  }
  if (!conflicts.empty())
    return FailedPrecondition("network ", network.name, " is not adopted, and nothing was changed: ", Join(conflicts, "; "));
  return plan;
}

void Adopter::AddTo(AgentApi& api) {
  api.AddChange("POST", "/v1/adopt", "adopt", [this](ApiCall call) { return AdoptFor(std::move(call)); });
}

io::Task<StatusOr<json>> Adopter::AdoptFor(ApiCall call) {
  AdoptRequest request{TextIn(call.body, "network"), TextIn(call.body, "to"), TextIn(call.body, "pool")};
  std::string bridge = TextIn(call.body, "bridge");
  if (request.network.empty() == bridge.empty()) co_return InvalidArgument("adopt which network? its name, or its bridge");
  if (!bridge.empty()) {
    CO_ASSIGN_OR_RETURN(request.network, co_await NetworkOfBridge(bridge));
  }
  CO_ASSIGN_OR_RETURN(AdoptionPlan plan, co_await Adopt(std::move(request)));
  co_return PlanJson(plan, parts_.ipam, parts_.node);
}

io::Task<Status> Adopter::Load() {
  StatusOr<std::string> text = co_await io::OffloadTo(thread_, parts_.proactor, [this] { return files_.Read(path_); });
  if (text.status().code() == StatusCode::kNotFound) co_return OkStatus();
  if (!text.ok()) co_return text.status();
  json kept = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!kept.is_object()) co_return DataLoss(path_, " is not as it was written; remove it and adopt the networks again");
  for (const auto& [network, adopted] : kept.items()) networks_[network] = {TextIn(adopted, "to"), TextIn(adopted, "pool")};
  co_return OkStatus();
}

io::Task<Status> Adopter::Keep() {
  json kept = json::object();
  for (const auto& [network, adopted] : networks_) kept[network] = {{"to", adopted.to}, {"pool", adopted.pool}};
  std::string text = kept.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
  co_return co_await io::OffloadTo(thread_, parts_.proactor, [&] { return files_.WriteAtomically(path_, text); });
}

io::Task<StatusOr<std::string>> Adopter::NetworkOfBridge(std::string bridge) {
  CO_ASSIGN_OR_RETURN(std::vector<runtime::NetworkDetails> networks, co_await parts_.engine.ListNetworks(parts_.Soon()));
  for (const runtime::NetworkDetails& network : networks) {
    auto named = network.options.find(kBridgeOption);
    if (named != network.options.end() ? named->second == bridge : network.driver == "bridge" && bridge == Cat("br-", network.id.substr(0, 12)))
      co_return network.name;
  }
  co_return WithFix(NotFound("no network of the engine is on bridge ", bridge), "fairlead network ls");
}

ipam::LeaseKey Adopter::KeyOf(const std::string& to, const Holder& holder) const {
  return {to, parts_.node, holder.name, holder.ip.is_v6()};
}

io::Task<StatusOr<AdoptionPlan>> Adopter::Adopt(AdoptRequest request) {
  auto network = co_await parts_.engine.InspectNetwork(request.network, parts_.Soon());
  if (network.status().code() == StatusCode::kNotFound)
    co_return WithFix(NotFound("the engine has no network ", request.network), "fairlead network ls");
  if (!network.ok()) co_return network.status();
  CO_ASSIGN_OR_RETURN(std::vector<runtime::ContainerSummary> containers, co_await parts_.engine.ListContainers(parts_.Soon()));
  CO_ASSIGN_OR_RETURN(AdoptionPlan plan, PlanAdoption(request, *network, containers, parts_));
  CO_RETURN_IF_ERROR(co_await Make(plan));
  co_return plan;
}

io::Task<Status> Adopter::Make(AdoptionPlan plan) {
  if (plan.make_pool) CO_RETURN_IF_ERROR(co_await parts_.ipam.PutPool(plan.spec));
  const std::string made_pool = plan.make_pool ? plan.pool : "";
  std::vector<ipam::LeaseKey> made;
  for (const Holder& holder : plan.holders) {
    ipam::LeaseKey key = KeyOf(plan.to, holder);
    auto before = parts_.ipam.Find(key);
    if (before && !before->observed) continue;  // managed already
    if (before && before->ip != holder.ip) CO_RETURN_IF_ERROR(co_await parts_.ipam.Release(key));
    auto lease = co_await parts_.ipam.Reserve({.pool = plan.pool, .key = key, .wanted = holder.ip, .project = holder.project, .observed = true,
                                                 .node = parts_.node, .site = parts_.site});
    if (!lease.ok()) {
      co_await Undo(std::move(made), made_pool);
      co_return WithContext(lease.status(), Cat("network ", plan.network, " is not adopted: "));
    }
    if (!before) made.push_back(std::move(key));
  }
  auto was = networks_;
  networks_[plan.network] = {plan.to, plan.pool};
  if (Status kept = co_await Keep(); !kept.ok()) {
    networks_ = std::move(was);
    co_await Undo(std::move(made), made_pool);
    co_return WithContext(kept, Cat("network ", plan.network, " is not adopted: "));
  }
  LOG(kInfo, "network adopted", {"network", plan.network}, {"to", plan.to}, {"pool", plan.pool}, {"containers", plan.holders.size()});
  co_return OkStatus();
}

io::Task<void> Adopter::Undo(std::vector<ipam::LeaseKey> made, std::string pool) {
  for (const ipam::LeaseKey& key : made)
    if (Status released = co_await parts_.ipam.Release(key); !released.ok())
      LOG(kWarning, "observed lease left by an adoption that failed", {"lease", key.ToString()}, {"because", Message(released)});
  if (!pool.empty()) (void)co_await parts_.ipam.RemovePool(pool);
}

bool Adopter::OutOfStep(const std::string& network, const std::string& name, const IpAddress& ip) const {
  auto adopted = networks_.find(network);
  if (adopted == networks_.end()) return false;
  auto lease = parts_.ipam.Find({adopted->second.to, parts_.node, name, ip.is_v6()});
  return !lease || (lease->observed && lease->ip != ip);
}

io::Task<void> Adopter::Follow() {
  if (following_ || networks_.empty()) co_return;
  following_ = true;
  auto containers = co_await parts_.engine.ListContainers(parts_.Soon());
  if (containers.ok()) {
    const auto adopted_now = networks_;
    for (const auto& [network, adopted] : adopted_now) {
      AdoptionPlan seen;
      TakeHolders(network, *containers, seen);
      std::erase_if(seen.holders, [](const Holder& holder) { return !holder.running; });
      std::map<std::string, IpAddress> now;
      for (const Holder& holder : seen.holders) now[Cat(holder.name, holder.ip.is_v6() ? "/6" : "")] = holder.ip;
      for (const Holder& holder : seen.holders)
        if (Status followed = co_await FollowOne(holder, adopted.to, adopted.pool, now); !followed.ok())
          LOG(kWarning, "observed lease not in step", {"container", holder.name}, {"address", holder.ip.ToString()},
              {"because", Message(followed)});
    }
  }
  following_ = false;
}

// The old network decides who has an address of it: an observed lease there that is another container's by now gives way.
io::Task<Status> Adopter::FollowOne(Holder holder, std::string to, std::string pool, const std::map<std::string, IpAddress>& now) {
  ipam::LeaseKey key = KeyOf(to, holder);
  auto own = parts_.ipam.Find(key);
  if (own && (!own->observed || own->ip == holder.ip)) co_return OkStatus();
  if (auto there = parts_.ipam.FindByAddress(pool, holder.ip); there && there->key != key) {
    auto really = now.find(Cat(there->key.name, there->key.v6 ? "/6" : ""));
    if (!there->observed || (really != now.end() && really->second == holder.ip))
      co_return AlreadyExists(holder.ip.ToString(), " is leased to ", there->key.ToString());
    CO_RETURN_IF_ERROR(co_await parts_.ipam.Release(there->key));
  }
  if (own) CO_RETURN_IF_ERROR(co_await parts_.ipam.Release(key));
  auto lease = co_await parts_.ipam.Reserve({.pool = pool, .key = key, .wanted = holder.ip, .project = holder.project, .observed = true,
                                                 .node = parts_.node, .site = parts_.site});
  if (lease.ok())
    LOG(kInfo, "observed lease follows", {"lease", key.ToString()}, {"address", holder.ip.ToString()});
  co_return lease.status();
}

}  // namespace fairlead::app
