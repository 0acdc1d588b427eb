// Pinner: gives a container that is not running its name's own address by configuration, as `docker run --ip` would: makes
// the lease, takes the container from the network and puts it back with the address (and its aliases, links, options and
// MAC as they were). From then on the engine asks for exactly that address, and nobody has to guess whose request it is.
//
// A record in the PluginStore before the disconnect makes it whole: a crash at any point is finished by Finish() at the
// next start. A running container is never touched; nor is an address that the user configured. Not for --rm and one-off
// containers without an address of before: their leases end with them. On the worker.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/io/event.h"
#include "runtime-shim/lease_names.h"

namespace fairlead::runtime {

inline constexpr size_t kParallelPins = 8;
inline constexpr size_t kMaxQueuedPins = 256;              // more are refused: such a container starts unpinned
inline constexpr Nanos kPinStep = 5 * kSecond;             // for one call to the engine
inline constexpr Nanos kPinRetry = 500 * kMillisecond;     // first pause before a pin that broke off is tried again
inline constexpr Nanos kPinRetryLongest = 30 * kSecond;

class Pinner {
 public:
  // `tasks`: pins go on there whoever stops waiting for them.
  Pinner(io::Proactor& proactor, Engine& engine, ipam::Ipam& ipam, PluginState& state, LeaseNames& names, io::TaskGroup& tasks)
      : proactor_(proactor), engine_(engine), ipam_(ipam), state_(state), names_(names), tasks_(tasks) {}
  Pinner(const Pinner&) = delete;

  // Pins the container where it needs it; OK when it needs nothing. DeadlineExceeded at `answer_by`: the pin goes on.
  io::Task<Status> Pin(std::string container, Nanos answer_by);
  // The same, with nobody who waits.
  void PinSoon(std::string container);
  // Finishes what an earlier process left under way; tries until the engine answers. Ends when nothing is left.
  io::Task<void> Finish();
  // Renews the leases of pinned containers that exist, so that retention counts from the container's end (until then
  // Ipam::SetConfigured spares them). Pins anew where the name's own address is another one by now. To be called now and then.
  io::Task<void> Refresh(Nanos now_wall);
  io::Task<void> ContainerGone(std::string container);

  struct Stats {
    uint64_t pinned = 0;     // places of containers on networks
    uint64_t nothing = 0;    // pins that had nothing to do
    uint64_t running = 0;    // not touched: the container runs
    uint64_t finished = 0;   // of an earlier process, or after a failure
    uint64_t failures = 0;
    uint64_t overflows = 0;
    uint64_t unpinnable = 0; // networks without --subnet, addresses outside of the network's subnets
  };
  const Stats& stats() const { return stats_; }

 private:
  struct Job {
    bool done = false;
    Status result;
    std::vector<io::Event*> waiting;
  };
  std::shared_ptr<Job> Start(const std::string& container);
  void StartQueued();
  io::Task<void> Run(std::string container, std::shared_ptr<Job> job);
  io::Task<Status> PinAll(std::string container);
  io::Task<Status> PinPlace(ContainerDetails container, NetworkAttachment at);
  io::Task<std::string> NetworkIdOf(NetworkAttachment at);
  io::Task<StatusOr<IpAddress>> OwnAddress(ContainerDetails container, std::string network, PoolRecord pool,
                                           std::vector<ipam::LeaseKey>* made);
  io::Task<Status> PinAddresses(ContainerDetails container, NetworkAttachment at, std::string pin_id,
                                std::vector<ipam::LeaseKey>* made);
  io::Task<Status> Move(PinRecord pin, PinRecord before);
  io::Task<Status> Connect(PinRecord pin);
  io::Task<Status> FinishOne(PinRecord pin);
  void SayOnce(const std::string& network, std::string_view why);

  io::Proactor& proactor_;
  Engine& engine_;
  ipam::Ipam& ipam_;
  PluginState& state_;
  LeaseNames& names_;
  io::TaskGroup& tasks_;
  std::map<std::string, std::shared_ptr<Job>> jobs_;  // by container
  std::deque<std::string> queue_;
  size_t running_ = 0;
  bool finishing_ = false;
  std::set<std::string> said_;                        // networks that cannot be pinned on
  Stats stats_;
};

}  // namespace fairlead::runtime
