#include "runtime-shim/lease_names.h"

#include <algorithm>

#include "base/log.h"
#include "runtime-shim/address_labels.h"
#include "runtime-shim/pools.h"

namespace fairlead::runtime {
namespace {

// A key that is being asked for, as long as this lives.
class Mark {
 public:
  Mark(std::multiset<ipam::LeaseKey>& keys, ipam::LeaseKey key) : keys_(keys), at_(keys.insert(std::move(key))) {}
  Mark(const Mark&) = delete;
  ~Mark() { keys_.erase(at_); }

 private:
  std::multiset<ipam::LeaseKey>& keys_;
  std::multiset<ipam::LeaseKey>::iterator at_;
};

// Names of containers begin with a letter or digit, so a placeholder is nobody's.
std::string Placeholder(Random& random) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string name = "~";
  for (uint64_t bits = random.Next(), i = 0; i < 16; i++, bits >>= 4) name += kHex[bits & 15];
  return name;
}

// Its subnets must be free to be put on this network's bridge.
Status CheckLabelledPool(const ipam::Ipam& ipam, const PluginState& state, const std::string& label, const PoolRecord& own) {
  if (ipam.FindPool(label) == nullptr)
    return NotFound("label ", kPoolLabel, ": there is no pool ", label, NameOrMakePool(ipam, label));
  for (const auto& [id, pool] : state.pools()) {
    if (pool.pool != label || pool.network_id == own.network_id) continue;
    auto network = state.FindNetwork(pool.network_id);
    return FailedPrecondition("label ", kPoolLabel, ": the addresses of pool ", label, " are those of network ",
                              network && !network->name.empty() ? network->name : pool.network_id,
                              "; attach the container to that network");
  }
  return OkStatus();
}

}  // namespace

TrueName TrueNameOf(const std::string& raw_name, const Labels& labels) {
  return {ipam::CanonicalName(raw_name, IsCompose(labels)), ProjectOf(labels), IsOneOff(labels)};
}

ipam::LeaseKey LeaseNames::KeyOf(const std::string& pool, std::string network, std::string name, bool v6) const {
  const ipam::PoolSpec* spec = ipam_.FindPool(pool);
  bool fleet = spec != nullptr && spec->fleet_names;
  return {std::move(network), fleet ? "fleet" : node_, std::move(name), v6};
}

io::Task<std::string> LeaseNames::NetworkName(std::string network_id, Nanos deadline) {
  auto network = state_.FindNetwork(network_id);
  if (network && !network->name.empty()) co_return network->name;
  auto told = co_await engine_.InspectNetwork(network_id, deadline);
  if (!told.ok() || told->name.empty()) co_return "";
  network = state_.FindNetwork(network_id);
  if (network) {
    network->name = told->name;
    Status kept = co_await state_.Put(*network);
    if (!kept.ok()) LOG(kWarning, "network name not kept", {"network", told->name}, {"error", Message(kept)});
  }
  co_return told->name;
}

std::optional<ipam::Lease> LeaseNames::LeaseOf(const std::string& network, const std::string& name, bool v6) const {
  auto lease = ipam_.Find({network, node_, name, v6});
  return lease ? lease : ipam_.Find({network, "fleet", name, v6});
}

std::string LeaseNames::PoolAt(std::string_view network_id, const IpAddress& ip) const {
  std::vector<PoolRecord> pools = state_.PoolsOf(network_id);
  for (const PoolRecord& pool : pools) {
    if (pool.subnet.Contains(ip)) return pool.pool;
  }
  if (pools.empty()) return "";  // Docker's own addresses
  for (const ipam::PoolSpec& pool : ipam_.Pools()) {
    if (pool.PrefixOf(ip) != nullptr) return pool.name;
  }
  return "";
}

// A network that has some of the pool's subnets only: the others' gateways are elsewhere. All of them: unset.
std::optional<Prefix> LeaseNames::Within(const PoolRecord& asked, bool v6) const {
  const ipam::PoolSpec* spec = ipam_.FindPool(asked.pool);
  if (spec == nullptr) return std::nullopt;
  std::vector<PoolRecord> here = state_.PoolsOf(asked.network_id);
  bool all = std::ranges::all_of(spec->prefixes, [&](const ipam::PrefixSpec& prefix) {
    return prefix.prefix.network().is_v6() != v6 || !Serves(prefix) || std::ranges::find(here, prefix.prefix, &PoolRecord::subnet) != here.end();
  });
  return all || here.empty() ? std::nullopt : std::optional(asked.subnet);
}

void LeaseNames::Seen(const ContainerDetails& container) {
  Forget(container.id);
  Known known{container.name, NamingLabels(container.labels)};
  for (const NetworkAttachment& at : container.networks) {
    for (const IpAddress& ip : {at.wanted, at.wanted_v6}) {
      if (ip.is_set()) known.wanted.emplace_back(at.network, ip);
    }
  }
  wanted_.insert(known.wanted.begin(), known.wanted.end());
  known_[container.id] = std::move(known);
  // Running or dead: its start asks for nothing more.
  if (container.state != "created") gate_.Ended(container.id);
}

void LeaseNames::Gone(const std::string& id) {
  std::erase_if(uncertain_, [name = NameOf(id)](const auto& start) { return start.second == name; });
  Forget(id);
  gate_.Ended(id);
}

void LeaseNames::Forget(const std::string& id) {
  auto known = known_.find(id);
  if (known == known_.end()) return;
  for (const auto& wanted : known->second.wanted) wanted_.erase(wanted_.find(wanted));
  known_.erase(known);
}

bool LeaseNames::Configured(const std::string& network, const IpAddress& ip) const {
  return wanted_.contains({network, ip}) || state_.PinAt(network, ip) != nullptr;
}

std::string LeaseNames::NameOf(const std::string& container_id) const {
  auto known = known_.find(container_id);
  return known == known_.end() ? "" : TrueNameOf(known->second.name, known->second.labels).name;
}

bool LeaseNames::InUse(const PoolRecord& pool, const ipam::Lease& lease, const std::string& asker) const {
  if (!lease.attached) return false;
  if (state_.UserOf(pool.network_id, lease.ip) != nullptr) return true;
  auto handed = handed_.find({lease.pool, lease.ip});
  return handed != handed_.end() && (asker.empty() || handed->second != asker);
}

bool LeaseNames::PinnedElsewhere(const std::string& network, const IpAddress& ip, const std::string& name) const {
  const PinRecord* pin = state_.PinAt(network, ip);
  if (pin == nullptr) return false;
  std::string pinned = NameOf(pin->container);
  return !pinned.empty() && pinned != name;
}

// Its labels are known from the events; one that was made this very moment is looked up in the engine's list, which
// takes no lock.
io::Task<StatusOr<Asker>> LeaseNames::AskerTold(std::string told, Nanos deadline) {
  stats_.told++;
  const Known* known = nullptr;
  for (const auto& [id, container] : known_) {
    if (container.name == told) known = known == nullptr ? &container : nullptr;
  }
  if (known != nullptr) co_return Asker{known->name, known->labels};
  auto list = co_await engine_.ListContainers(std::min(deadline, proactor_.Now() + kListPatience));
  // What looks like a temporary name of compose is one only if the labels say so.
  if (!list.ok() && ipam::CanonicalName(told, true) != told) co_return list.status();
  Asker asker{.name = told};
  if (!list.ok()) co_return asker;
  for (ContainerSummary& container : *list) {
    if (container.name == told) asker.labels = std::move(container.labels);
  }
  co_return asker;
}

io::Task<StatusOr<Asker>> LeaseNames::FindAsker(std::string network, const Question& question) {
  if (!question.told.empty()) co_return co_await AskerTold(question.told, question.deadline);
  ExpectedRequest request{network, question.pool.subnet.network().is_v6(), question.wanted};
  if (auto asker = gate_.Claim(request, proactor_.Now())) co_return *asker;
  co_return co_await finder_.Find(std::move(request), question.deadline);
}

StatusOr<ipam::AcquireRequest> LeaseNames::RequestFor(const PoolRecord& pool, const std::string& network, const Asker& asker,
                                                      const IpAddress& wanted) const {
  TrueName who = TrueNameOf(asker.name, asker.labels);
  const bool v6 = pool.subnet.network().is_v6();
  ipam::AcquireRequest request{.pool = pool.pool, .key = {}, .project = who.project, .ephemeral = who.ephemeral};
  if (wanted.is_set()) {
    request.pool = PoolAt(pool.network_id, wanted);
    request.wanted = wanted;
  } else {
    ASSIGN_OR_RETURN(AddressLabels labels, ParseAddressLabels(asker.labels));
    if (!labels.pool.empty() && labels.pool != pool.pool) {
      RETURN_IF_ERROR(CheckLabelledPool(ipam_, state_, labels.pool, pool));
      if (HasFamily(*ipam_.FindPool(labels.pool), v6)) request.pool = labels.pool;
    }
    if (const ipam::PoolSpec* spec = ipam_.FindPool(request.pool)) {
      ASSIGN_OR_RETURN(IpAddress picked, PickAddress(labels, ContainerNumber(asker.labels), *spec, v6));
      if (picked.is_set()) request.wanted = picked;
    }
  }
  request.key = KeyOf(request.pool, network, who.name, v6);
  if (!request.wanted && request.pool == pool.pool) request.within = Within(pool, v6);
  return request;
}

std::string LeaseNames::HolderOf(const ipam::LeaseKey& key) const {
  bool has = asked_.contains(key);
  if (auto lease = ipam_.Find(key); lease && !has) {
    has = (lease->attached && handed_.contains({lease->pool, lease->ip})) ||
          std::ranges::any_of(state_.endpoints(), [&](const auto& entry) {
            const EndpointRecord& endpoint = entry.second;
            return std::ranges::find(endpoint.addresses, lease->ip, &InterfaceAddress::address) != endpoint.addresses.end() &&
                   PoolAt(endpoint.network_id, lease->ip) == lease->pool;
          });
  }
  return has ? Cat("container ", key.name, " of Docker") : "";
}

std::string LeaseNames::HolderElsewhere(const std::string& pool, const IpAddress& ip) const {
  auto lease = ipam_.FindByAddress(pool, ip);
  return lease ? neighbours_.holder(lease->key) : "";
}

io::Task<StatusOr<ipam::Lease>> LeaseNames::Give(ipam::AcquireRequest request, std::string network_id) {
  // Marked before the others are asked and until the answer: of two engines that start one name at once, one goes on.
  const Mark mark(asked_, request.key);
  if (std::string holder = neighbours_.holder(request.key); !holder.empty()) co_return RunsElsewhere(ipam_, request.key, holder);
  request.node = node_;
  request.site = site_;
  std::optional<dataplane::NetworkSpec> where;
  if (auto network = state_.FindNetwork(network_id)) where = SpecOf(*network);
  co_return co_await giver_.Give(std::move(request), std::move(where));
}

io::Task<StatusOr<ipam::Lease>> LeaseNames::Acquire(Question question) {
  const PoolRecord& pool = question.pool;
  std::string network = co_await NetworkName(pool.network_id, question.deadline);
  if (const PinRecord* pin = state_.PinAt(network, question.wanted); pin != nullptr && question.told.empty()) {
    auto pinned = co_await AcquirePinned(question, *pin, network);
    if (pinned.ok() || pinned.status().code() != StatusCode::kNotFound) co_return pinned;
  }
  StatusOr<Asker> asker = network.empty() ? Unavailable("the engine does not name the network") : co_await FindAsker(network, question);
  if (!asker.ok()) {
    LOG(kInfo, "whose address is not certain", {"network", network}, {"reason", Message(asker.status())});
    co_return co_await AcquireProvisional(question, std::move(network));
  }

  CO_ASSIGN_OR_RETURN(ipam::AcquireRequest request, RequestFor(pool, network, *asker, question.wanted));
  // A second live container of one canonical name (compose's new one beside its old one) must not share the address.
  auto held = ipam_.Find(request.key);
  if (held && InUse(pool, *held, asker->name)) co_return co_await AcquireProvisional(question, std::move(network));

  auto lease = co_await Give(std::move(request), pool.network_id);
  if (lease.ok()) handed_[{lease->pool, lease->ip}] = asker->name;
  co_return lease;
}

// What a container of ours is configured with is its name's: nothing is to be asked. NotFound: not known any more whose.
io::Task<StatusOr<ipam::Lease>> LeaseNames::AcquirePinned(const Question& question, const PinRecord& pin, std::string network) {
  std::string name = NameOf(pin.container), pool = question.pool.pool;
  auto lease = ipam_.FindByAddress(pool, question.wanted);
  if (lease && (lease->provisional || state_.UserOf(question.pool.network_id, lease->ip) != nullptr)) co_return NotFound("in use");
  if (!lease && name.empty()) co_return NotFound("no lease and no name");
  ipam::AcquireRequest request{.pool = pool, .key = lease ? lease->key : KeyOf(pool, std::move(network), name, question.wanted.is_v6()),
                               .wanted = question.wanted};
  auto acquired = co_await Give(std::move(request), question.pool.network_id);
  if (!acquired.ok()) co_return acquired.status();
  stats_.pinned++;
  handed_[{acquired->pool, acquired->ip}] = "";
  co_return acquired;
}

io::Task<StatusOr<ipam::Lease>> LeaseNames::AcquireProvisional(const Question& question, std::string network) {
  const PoolRecord& pool = question.pool;
  ipam::AcquireRequest request{.pool = pool.pool, .key = {}, .provisional = true};
  bool v6 = pool.subnet.network().is_v6();
  request.key = KeyOf(pool.pool, network.empty() ? pool.network_id : network, Placeholder(random_), v6);
  if (!question.wanted.is_set()) request.within = Within(pool, v6);
  if (question.wanted.is_set()) {
    request.wanted = question.wanted;
    // An address of a container's own configuration: the lease there is most likely that container's. While the engine
    // boots and tells nothing, that of a live endpoint is asked for again (a replay): a thief meets CreateEndpoint.
    auto owner = ipam_.FindByAddress(pool.pool, question.wanted);
    bool live = state_.UserOf(pool.network_id, question.wanted) != nullptr;
    if (owner && (!live || finder_.EngineSilent())) {
      request.key = owner->key;
      request.provisional = owner->provisional;
    }
  }
  auto lease = co_await Give(std::move(request), pool.network_id);
  if (lease.ok()) {
    stats_.provisional += lease->provisional ? 1 : 0;
    handed_[{lease->pool, lease->ip}] = "";
  }
  co_return lease;
}

io::Task<Status> LeaseNames::Settle(std::string pool, IpAddress ip, std::string network, TrueName who) {
  auto lease = ipam_.FindByAddress(pool, ip);
  if (!lease) co_return OkStatus();  // not an address of ours
  if (PinnedElsewhere(network, ip, who.name)) {
    co_return AlreadyExists("container ", who.name, " runs at ", ip.ToString(), ", which belongs to ", lease->key.ToString(),
                            "; give it another --ip");
  }
  if (lease->provisional) SetUncertain(network, who.name);
  ipam::LeaseKey key = KeyOf(pool, std::move(network), who.name, ip.is_v6());
  auto own = lease->provisional ? ipam_.Find(key) : std::nullopt;
  if (own && !own->attached) {
    // The name keeps its own address: it gets it again at its next start, for then it is pinned.
    if (lease->stand_in_for == who.name) co_return OkStatus();
    CO_RETURN_IF_ERROR(co_await ipam_.StandIn(pool, ip, who.name));
    stats_.stand_ins++;
    LOG(kInfo, "lease stands in", {"address", ip.ToString()}, {"for", key.ToString()}, {"own", own->ip.ToString()});
    co_return OkStatus();
  }
  bool known = lease->key == key && !lease->provisional && (who.project.empty() || who.project == lease->project);
  if (known) co_return OkStatus();
  std::string before = lease->key.ToString();
  auto settled = co_await ipam_.Rename(pool, ip, key, who.project);
  if (!settled.ok()) co_return settled.status();
  if (settled->key.ToString() != before) {
    stats_.renamed++;
    LOG(kInfo, "lease settled", {"address", ip.ToString()}, {"from", before}, {"to", settled->key.ToString()});
  }
  co_return OkStatus();
}

io::Task<Status> LeaseNames::Move(std::string network, std::string old_name, TrueName who) {
  for (bool v6 : {false, true}) {
    ipam::LeaseKey old_key{network, node_, old_name, v6};
    auto lease = ipam_.Find(old_key);
    if (!lease || lease->attached) continue;
    if (ipam_.Find({network, node_, who.name, v6})) continue;  // the new name has an address already: it keeps that
    CO_RETURN_IF_ERROR(co_await Settle(lease->pool, lease->ip, network, who));
  }
  co_return OkStatus();
}

}  // namespace fairlead::runtime
