// Monitor: looks at endpoints again and again and tells when what is known of one changes. Belongs to one worker. The
// agent has one for the endpoints of its host, a balancer one for those that no agent looks at.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/io/await.h"
#include "base/random.h"
#include "discovery/health/verdict.h"

namespace fairlead::health {

class Monitor {
 public:
  static constexpr size_t kMaxProbes = 256;       // at once; more wait their turn and are counted

  struct Subject {
    std::string uid;                              // another one begins anew: it is another container or another start
    SocketAddress address;
    discovery::HealthCheck check;
    friend bool operator==(const Subject&, const Subject&) = default;
  };
  struct Stats {
    uint64_t probes = 0, failures = 0, changes = 0, delayed = 0;
  };
  // Called from the loop, never from within Watch; it may call Watch and Forget.
  using Changed = std::function<void(const std::string& id, const discovery::CheckedHealth& health)>;

  Monitor(io::Proactor& proactor, Random& random, Changed changed);
  ~Monitor();                                     // after Stop()

  // Looks at it from now on; the same subject again changes nothing. `known`: what was found before (Verdict); such ones
  // are first looked at within an interval, others at once.
  void Watch(const std::string& id, Subject subject, const discovery::CheckedHealth& known = {});
  void Forget(std::string_view id);
  // Nothing: it is not watched.
  const discovery::CheckedHealth* Find(std::string_view id) const;
  // Waits for the looks in flight.
  io::Task<void> Stop();

  size_t watched() const { return watched_.size(); }
  const Stats& stats() const { return stats_; }

 private:
  class Watched;
  void Due(Watched& watched);
  void LookSoon(Watched& watched);
  io::Task<void> StartQueued();
  void StartProbes();
  io::Task<void> ProbeOne(std::string id, uint64_t generation, Subject subject);
  void Schedule(Watched& watched, Nanos pause);

  io::Proactor& proactor_;
  Random& random_;
  Changed changed_;
  io::TaskGroup probes_;
  std::map<std::string, std::unique_ptr<Watched>, std::less<>> watched_;
  std::deque<std::pair<std::string, uint64_t>> queue_;  // due, in order
  bool starting_ = false;                         // StartQueued() is under way
  uint64_t generations_ = 0;
  Stats stats_;
};

}  // namespace fairlead::health
