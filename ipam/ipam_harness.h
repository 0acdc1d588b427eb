// For tests: an Ipam on a store that outlives it, driven to the end of each call. Restart() is what a crash of the agent
// leaves: the store's content and nothing else.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/io/await.h"
#include "base/io/offload.h"
#include "ipam/ipam.h"
#include "ipam/lease_store.h"

namespace fairlead::ipam {

inline IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }
inline LeaseKey Key(std::string_view name) { return {"shopnet", "host1", std::string(name)}; }
inline PrefixSpec Cidr(std::string_view text) { return PrefixSpec{.prefix = *Prefix::Parse(text)}; }
inline PoolSpec Shop(std::string_view cidr = "10.40.0.0/24") { return {.name = "shop", .prefixes = {Cidr(cidr)}}; }

// Holds calls until the test lets them go, and runs them on the test's thread.
class HeldOffload final : public io::Offload {
 public:
  explicit HeldOffload(io::Proactor& worker) : worker_(worker) {}
  void Submit(io::OffloadedCall& call) override {
    calls_.push_back(&call);
    if (!held) RunOne();
  }
  size_t queued() const override { return calls_.size(); }
  void RunOne() {
    io::OffloadedCall* call = calls_.front();
    calls_.erase(calls_.begin());
    call->Call();
    worker_.Post(*call);
  }
  bool held = false;

 private:
  io::Proactor& worker_;
  std::vector<io::OffloadedCall*> calls_;
};

template <class T>
io::Task<void> Into(io::Task<T> task, std::optional<T>* out) {
  out->emplace(co_await task);
}

class Host {
 public:
  explicit Host(LeaseStore& store) : store_(store) {
    std::string note;
    worker = *io::MakeProactor(io::IoBackend::kEpoll, system_clock_, &note);
    offload = std::make_unique<HeldOffload>(*worker);
    Restart();
  }

  void Restart() {
    ipam = std::make_unique<Ipam>(store_, *offload, *worker, clock);
    loaded = Run(ipam->Load());
  }
  void TurnUntil(auto condition) {
    while (!condition()) worker->Turn(kMillisecond);
  }
  template <class T>
  T Run(io::Task<T> task) {
    std::optional<T> out;
    io::TaskGroup group;
    group.Spawn(Into(std::move(task), &out));
    TurnUntil([&] { return group.live() == 0; });
    return *std::move(out);
  }

  StatusOr<Lease> Acquire(std::string_view name, std::optional<IpAddress> wanted = {}) {
    return Run(ipam->Acquire({.pool = "shop", .key = Key(name), .wanted = wanted}));
  }
  IpAddress AddressOf(std::string_view name) {
    StatusOr<Lease> lease = Acquire(name);
    return lease.ok() ? lease->ip : IpAddress();
  }
  Status Detach(const IpAddress& ip) { return Run(ipam->Detach("shop", ip)); }
  // The container comes and goes; gives the address it had.
  IpAddress RunOnce(std::string_view name) {
    IpAddress ip = AddressOf(name);
    return Detach(ip).ok() ? ip : IpAddress();
  }

  ManualClock clock;
  std::unique_ptr<io::Proactor> worker;
  std::unique_ptr<HeldOffload> offload;
  std::unique_ptr<Ipam> ipam;
  Status loaded;

 private:
  LeaseStore& store_;
  SystemClock system_clock_;
};

}  // namespace fairlead::ipam
