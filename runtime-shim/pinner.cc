#include "runtime-shim/pinner.h"

#include <algorithm>

#include "base/log.h"

namespace fairlead::runtime {
namespace {

bool AtRest(const ContainerDetails& container) { return container.state == "created" || container.state == "exited"; }

const NetworkAttachment* PlaceOn(const ContainerDetails& container, const std::string& network) {
  auto found = std::ranges::find(container.networks, network, &NetworkAttachment::network);
  return found == container.networks.end() ? nullptr : &*found;
}

bool IsPinned(const NetworkAttachment& at, const PinRecord& pin) {
  return (!pin.ipv4.is_set() || at.wanted == pin.ipv4) && (!pin.ipv6.is_set() || at.wanted_v6 == pin.ipv6);
}

}  // namespace

// --- who waits, and how many at once

std::shared_ptr<Pinner::Job> Pinner::Start(const std::string& container) {
  if (auto under_way = jobs_.find(container); under_way != jobs_.end()) return under_way->second;
  if (queue_.size() >= kMaxQueuedPins) {
    stats_.overflows++;
    return nullptr;
  }
  auto job = std::make_shared<Job>();
  jobs_[container] = job;
  queue_.push_back(container);
  StartQueued();
  return job;
}

void Pinner::StartQueued() {
  while (running_ < kParallelPins && !queue_.empty() && !tasks_.cancelled()) {
    std::string container = std::move(queue_.front());
    queue_.pop_front();
    running_++;
    tasks_.Spawn(Run(container, jobs_[container]));
  }
}

io::Task<void> Pinner::Run(std::string container, std::shared_ptr<Job> job) {
  job->result = co_await PinAll(container);
  job->done = true;
  if (!job->result.ok()) {
    stats_.failures++;
    LOG(kWarning, "container not pinned", {"container", container}, {"error", Message(job->result)});
  }
  for (io::Event* event : job->waiting) event->Set();
  jobs_.erase(container);
  running_--;
  StartQueued();
}

io::Task<Status> Pinner::Pin(std::string container, Nanos answer_by) {
  std::shared_ptr<Job> job = Start(container);
  if (job == nullptr) co_return ResourceExhausted(kMaxQueuedPins, " containers wait to be pinned; ", container, " starts unpinned");
  if (job->done) co_return job->result;
  io::Event done(proactor_);
  job->waiting.push_back(&done);
  io::IoResult woken = co_await done.Wait(answer_by);
  std::erase(job->waiting, &done);
  if (job->done) co_return job->result;
  co_return woken.timed_out() ? DeadlineExceeded("container ", container, " is still being pinned") : woken.ToStatus("pin");
}

void Pinner::PinSoon(std::string container) { Start(container); }

// --- one container

io::Task<Status> Pinner::PinAll(std::string id) {
  auto container = co_await engine_.InspectContainer(id, proactor_.Now() + kPinStep);
  if (!container.ok()) co_return container.status().code() == StatusCode::kNotFound ? OkStatus() : container.status();
  if (!AtRest(*container)) {
    stats_.running++;
    co_return OkStatus();
  }
  const uint64_t before = stats_.pinned;
  Status failed;
  for (const NetworkAttachment& at : container->networks) {
    Status pinned = co_await PinPlace(*container, at);
    if (!pinned.ok()) failed = pinned;
  }
  stats_.nothing += failed.ok() && stats_.pinned == before ? 1 : 0;
  co_return failed;
}

// A container that has never run does not know its networks' ids.
io::Task<std::string> Pinner::NetworkIdOf(NetworkAttachment at) {
  if (!at.network_id.empty()) co_return at.network_id;
  for (const auto& [id, network] : state_.networks()) {
    if (network.name == at.network) co_return id;
  }
  auto network = co_await engine_.InspectNetwork(at.network, proactor_.Now() + kPinStep);
  co_return network.ok() ? network->id : "";
}

void Pinner::SayOnce(const std::string& network, std::string_view why) {
  stats_.unpinnable++;
  if (said_.insert(network).second) LOG(kWarning, "containers are not pinned on this network", {"network", network}, {"because", why});
}

// The name's address in that family, made if need be; unset: it gets none by configuration.
io::Task<StatusOr<IpAddress>> Pinner::OwnAddress(ContainerDetails container, std::string network, PoolRecord pool,
                                                 std::vector<ipam::LeaseKey>* made_here) {
  CO_ASSIGN_OR_RETURN(ipam::AcquireRequest request,
                      names_.RequestFor(pool, network, {container.name, container.labels}, IpAddress()));
  auto lease = ipam_.Find(request.key);
  bool fits = lease && lease->pool == request.pool && (!request.wanted || lease->ip == *request.wanted);
  if (!fits) {
    const ipam::PoolSpec* spec = ipam_.FindPool(request.pool);
    bool lasting = !container.auto_remove && !request.ephemeral && spec != nullptr && spec->retain != 0;
    if (!lasting || (lease && lease->attached)) co_return IpAddress();
    auto made = co_await names_.Give(request, pool.network_id);
    if (!made.ok()) co_return made.status();
    made_here->push_back(made->key);
    CO_RETURN_IF_ERROR(co_await ipam_.Detach(made->pool, made->ip));
    lease = *made;
  }
  for (const PoolRecord& subnet : state_.PoolsOf(pool.network_id)) {
    if (subnet.subnet.Contains(lease->ip) && subnet.explicit_subnet) co_return lease->ip;
  }
  bool within = pool.explicit_subnet;
  SayOnce(network, within ? "its address is not in the network's subnets (label fairlead.pool): the engine takes none by configuration"
                          : "it was made without --subnet: the engine takes no address by configuration; make it anew with --subnet");
  co_return IpAddress();
}

io::Task<Status> Pinner::PinPlace(ContainerDetails container, NetworkAttachment at) {
  std::vector<ipam::LeaseKey> made;
  const std::string pin_id = PinId(container.id, at.network);
  Status pinned = co_await PinAddresses(std::move(container), std::move(at), pin_id, &made);
  if (state_.FindPin(pin_id)) co_return pinned;
  // It was not pinned, say because it started meanwhile, at an address that is to become its own.
  for (const ipam::LeaseKey& key : made) {
    auto lease = ipam_.Find(key);
    if (lease && !lease->attached) (void)co_await ipam_.Release(key);
  }
  co_return pinned;
}

io::Task<Status> Pinner::PinAddresses(ContainerDetails container, NetworkAttachment at, std::string pin_id,
                                      std::vector<ipam::LeaseKey>* made) {
  std::vector<PoolRecord> pools = state_.PoolsOf(co_await NetworkIdOf(at));
  PinRecord pin{.id = pin_id, .container = container.id, .network = at.network};
  PinRecord before = state_.FindPin(pin.id).value_or(PinRecord{});
  pin.settings = {.ipv4 = at.wanted, .ipv6 = at.wanted_v6, .aliases = at.aliases, .links = at.links,
                  .driver_opts = at.driver_opts, .mac = at.mac};
  for (bool v6 : {false, true}) {
    auto pool = std::ranges::find_if(pools, [v6](const PoolRecord& p) { return p.subnet.network().is_v6() == v6; });
    const IpAddress& ours = v6 ? before.ipv6 : before.ipv4;
    bool users = at.Wanted(v6).is_set() && at.Wanted(v6) != ours;
    if (pool == pools.end() || users) continue;
    CO_ASSIGN_OR_RETURN(IpAddress own, co_await OwnAddress(container, at.network, *pool, made));
    if (!own.is_set()) continue;
    (v6 ? pin.ipv6 : pin.ipv4) = own;
    (v6 ? pin.settings.ipv6 : pin.settings.ipv4) = own;
  }
  bool nothing = !pin.ipv4.is_set() && !pin.ipv6.is_set();
  if (nothing || (IsPinned(at, pin) && !before.under_way)) co_return OkStatus();
  co_return co_await Move(std::move(pin), std::move(before));
}

// What is begun here is finished: by this process or by the next one.
io::Task<Status> Pinner::Move(PinRecord pin, PinRecord before) {
  pin.under_way = true;
  CO_RETURN_IF_ERROR(co_await state_.Put(pin));
  // Started meanwhile? From here to the disconnect is one call's way.
  auto container = co_await engine_.InspectContainer(pin.container, proactor_.Now() + kPinStep);
  if (!container.ok() || !AtRest(*container)) {
    stats_.running += container.ok() ? 1 : 0;
    // Nothing was done: the record is as it was.
    Status restored = before.id.empty() ? co_await state_.RemovePin(pin.id) : co_await state_.Put(std::move(before));
    if (!restored.ok()) co_return restored;
    co_return container.ok() || container.status().code() == StatusCode::kNotFound ? OkStatus() : container.status();
  }
  Status left = co_await engine_.DisconnectNetwork(pin.network, pin.container, proactor_.Now() + kPinStep);
  // Not on the network: an earlier try got so far. Any other failure may have happened or not.
  bool sure = left.ok() || left.code() == StatusCode::kNotFound || left.code() == StatusCode::kFailedPrecondition;
  Status pinned = sure ? co_await Connect(pin) : left;
  if (!pinned.ok() && !finishing_) tasks_.Spawn(Finish());
  co_return pinned;
}

io::Task<Status> Pinner::Connect(PinRecord pin) {
  Status back = co_await engine_.ConnectNetwork(pin.network, pin.container, pin.settings, proactor_.Now() + kPinStep);
  if (!back.ok() && back.code() != StatusCode::kNotFound) co_return back;
  if (!back.ok()) co_return co_await state_.RemovePin(pin.id);  // container or network is gone
  stats_.pinned++;
  LOG(kInfo, "container pinned", {"container", pin.container}, {"network", pin.network}, {"ipv4", pin.ipv4.ToString()},
      {"ipv6", pin.ipv6.ToString()});
  pin.under_way = false;
  co_return co_await state_.Put(std::move(pin));
}

// --- what broke off

io::Task<Status> Pinner::FinishOne(PinRecord pin) {
  auto container = co_await engine_.InspectContainer(pin.container, proactor_.Now() + kPinStep);
  if (!container.ok() && container.status().code() == StatusCode::kNotFound) co_return co_await state_.RemovePin(pin.id);
  if (!container.ok()) co_return container.status();
  const NetworkAttachment* at = PlaceOn(*container, pin.network);
  stats_.finished++;
  if (at == nullptr) co_return co_await Connect(std::move(pin));  // also of one that was started meanwhile, without network
  if (IsPinned(*at, pin)) {
    pin.under_way = false;
    co_return co_await state_.Put(std::move(pin));
  }
  // Never taken from the network. One that runs by now is pinned when it stops.
  if (!AtRest(*container)) co_return co_await state_.RemovePin(pin.id);
  Status left = co_await engine_.DisconnectNetwork(pin.network, pin.container, proactor_.Now() + kPinStep);
  if (!left.ok()) co_return left;
  co_return co_await Connect(std::move(pin));
}

io::Task<void> Pinner::Finish() {
  if (std::exchange(finishing_, true)) co_return;
  for (Nanos pause = kPinRetry;; pause = std::min(2 * pause, kPinRetryLongest)) {
    std::vector<PinRecord> left;
    for (const auto& [id, pin] : state_.pins()) {
      if (pin.under_way && !jobs_.contains(pin.container)) left.push_back(pin);
    }
    bool again = false;
    for (const PinRecord& pin : left) {
      Status finished = co_await FinishOne(pin);
      again |= !finished.ok();
    }
    for (const auto& [id, pin] : state_.pins()) again |= pin.under_way;
    if (!again) break;
    io::IoResult slept = co_await io::Sleep(proactor_, pause);
    if (!slept.ok()) break;
  }
  finishing_ = false;
}

io::Task<void> Pinner::Refresh(Nanos now_wall) {
  Records<PinRecord> pins = state_.pins();
  for (const auto& [id, pin] : pins) {
    std::string name = names_.NameOf(pin.container);
    if (name.empty() || pin.under_way) continue;
    for (const IpAddress& ip : {pin.ipv4, pin.ipv6}) {
      if (!ip.is_set()) continue;
      auto lease = names_.LeaseOf(pin.network, name, ip.is_v6());
      if (!lease || lease->ip != ip) {
        PinSoon(pin.container);  // renamed to a name that has an address, or the address was let go
        continue;
      }
      const ipam::PoolSpec* pool = ipam_.FindPool(lease->pool);
      bool old = pool != nullptr && pool->retain != kNever && now_wall - lease->since_wall > pool->retain / 2;
      if (lease->attached || !old) continue;
      auto kept = co_await ipam_.Acquire({.pool = lease->pool, .key = lease->key});
      if (kept.ok()) (void)co_await ipam_.Detach(kept->pool, kept->ip);
    }
  }
}

io::Task<void> Pinner::ContainerGone(std::string container) {
  Records<PinRecord> pins = state_.pins();
  for (const auto& [id, pin] : pins) {
    if (pin.container != container) continue;
    Status removed = co_await state_.RemovePin(id);
    if (!removed.ok()) LOG(kWarning, "pin of a container that is gone stays for now", {"pin", id}, {"error", Message(removed)});
  }
}

}  // namespace fairlead::runtime
