#include "runtime-shim/lease_names.h"

#include "base/log.h"

namespace fairlead::runtime {
namespace {

// Names of containers begin with a letter or digit, so a placeholder is nobody's.
std::string Placeholder(Random& random) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string name = "~";
  for (uint64_t bits = random.Next(), i = 0; i < 16; i++, bits >>= 4) name += kHex[bits & 15];
  return name;
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

bool LeaseNames::InUse(const PoolRecord& pool, const ipam::Lease& lease, const std::string& asker) const {
  if (!lease.attached) return false;
  if (state_.UserOf(pool, lease.ip) != nullptr) return true;
  auto handed = handed_.find({lease.pool, lease.ip});
  return handed != handed_.end() && (asker.empty() || handed->second != asker);
}

io::Task<std::optional<Asker>> LeaseNames::FindAsker(std::string network, IpAddress wanted, std::string told,
                                                     Nanos deadline) {
  if (told.empty()) co_return co_await finder_.Find(std::move(network), wanted, deadline);
  Asker asker{.name = told};
  if (ipam::CanonicalName(told, true) == told) co_return asker;
  // It looks like a temporary name of compose: only the labels tell whether it is one.
  auto list = co_await engine_.ListContainers(deadline);
  if (!list.ok()) co_return std::nullopt;
  for (ContainerSummary& container : *list) {
    if (container.name == told) asker.labels = std::move(container.labels);
  }
  co_return asker;
}

io::Task<StatusOr<ipam::Lease>> LeaseNames::Acquire(PoolRecord pool, IpAddress wanted, std::string told, Nanos deadline) {
  std::string network = co_await NetworkName(pool.network_id, deadline);
  std::optional<Asker> asker;
  if (!network.empty()) asker = co_await FindAsker(network, wanted, std::move(told), deadline);
  if (!asker) co_return co_await AcquireProvisional(std::move(pool), wanted, std::move(network));

  TrueName who = TrueNameOf(asker->name, asker->labels);
  ipam::AcquireRequest request{.pool = pool.pool,
                               .key = KeyOf(pool.pool, network, who.name, pool.subnet.network().is_v6()),
                               .project = who.project,
                               .ephemeral = who.ephemeral};
  if (wanted.is_set()) request.wanted = wanted;
  // A second live container of one canonical name (compose's new one beside its old one) must not share the address.
  auto held = ipam_.Find(request.key);
  if (held && InUse(pool, *held, asker->name)) co_return co_await AcquireProvisional(std::move(pool), wanted, std::move(network));

  auto lease = co_await ipam_.Acquire(std::move(request));
  if (lease.ok()) handed_[{lease->pool, lease->ip}] = asker->name;
  co_return lease;
}

io::Task<StatusOr<ipam::Lease>> LeaseNames::AcquireProvisional(PoolRecord pool, IpAddress wanted, std::string network) {
  ipam::AcquireRequest request;
  request.pool = pool.pool;
  request.provisional = true;
  bool v6 = pool.subnet.network().is_v6();
  request.key = KeyOf(pool.pool, network.empty() ? pool.network_id : network, Placeholder(random_), v6);
  if (wanted.is_set()) {
    request.wanted = wanted;
    // An address of a container's own configuration: its detached lease is most likely that container's.
    auto owner = ipam_.FindByAddress(pool.pool, wanted);
    if (owner && !InUse(pool, *owner, "")) {
      request.key = owner->key;
      request.provisional = false;
    }
  }
  auto lease = co_await ipam_.Acquire(std::move(request));
  if (lease.ok()) {
    provisional_ += lease->provisional ? 1 : 0;
    handed_[{lease->pool, lease->ip}] = "";
  }
  co_return lease;
}

io::Task<Status> LeaseNames::Settle(std::string pool, IpAddress ip, std::string network, TrueName who) {
  auto lease = ipam_.FindByAddress(pool, ip);
  if (!lease) co_return OkStatus();  // not an address of ours
  ipam::LeaseKey key = KeyOf(pool, std::move(network), who.name, ip.is_v6());
  bool known = lease->key == key && !lease->provisional && (who.project.empty() || who.project == lease->project);
  if (known) co_return OkStatus();
  std::string before = lease->key.ToString();
  auto settled = co_await ipam_.Rename(pool, ip, key, who.project);
  if (!settled.ok()) co_return settled.status();
  if (settled->key.ToString() != before) {
    renamed_++;
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
