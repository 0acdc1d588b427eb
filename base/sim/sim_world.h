// SimWorld: many hosts in one thread under one seed. It owns virtual time, the events to come and all chance; time moves
// only while it runs. The same seed and the same program give the same run, which `trace()` tells.
//
//   SimWorld world(seed, Faults::All());
//   SimProactor agent(world, host_a), balancer(world, host_b);
//   … spawn tasks on them …
//   EXPECT_TRUE(world.RunUntil([&] { return done; }, 10 * kSecond));
#pragma once

#include <functional>
#include <memory>
#include <queue>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/sim/faults.h"

namespace fairlead::sim {

class SimNetwork;
class SimProactor;

class SimWorld {
 public:
  explicit SimWorld(uint64_t seed, const Faults& faults = {});
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;
  ~SimWorld();                                     // after its proactors

  const Clock& clock() const { return clock_; }
  Nanos Now() const { return clock_.Now(); }
  Random& random() { return random_; }
  SimNetwork& network() { return *network_; }
  Faults faults;
  FaultCounts counts;

  // Runs all proactors for that long.
  void Run(Nanos duration);
  // Until it holds, tested after every step; false at the limit.
  bool RunUntil(const std::function<bool()>& condition, Nanos limit);
  // Runs `event` outside any turn. Events of one time come in an order from the seed.
  void After(Nanos delay, std::function<void()> event);

  // Whether a fault of that many thousandths occurs; counts it.
  bool Occurs(uint32_t per_mille, uint64_t& count);
  Nanos UpTo(Nanos longest) { return static_cast<Nanos>(random_.Below(static_cast<uint64_t>(longest) + 1)); }

  // A hash over everything that happened so far.
  uint64_t trace() const { return trace_; }
  void Trace(uint64_t what);
  uint64_t steps() const { return steps_; }

 private:
  friend class SimProactor;
  struct Event {
    Nanos when;
    uint64_t tie;                                  // from the seed
    uint64_t number;
    std::function<void()> run;
    bool operator>(const Event& other) const {
      if (when != other.when) return when > other.when;
      return tie != other.tie ? tie > other.tie : number > other.number;
    }
  };

  void Add(SimProactor& proactor);
  void Remove(SimProactor& proactor);
  void TurnOne(SimProactor& proactor, Nanos max_wait);
  // The next event or turn that is due by `limit`; false, and time is `limit`, when there is none.
  bool Step(Nanos limit, const SimProactor* but_not);
  SimProactor* Earliest(const SimProactor* but_not, Nanos* when);
  void MoveTo(Nanos when);

  ManualClock clock_;
  SeededRandom random_;
  uint64_t trace_ = 0xcbf29ce484222325;
  uint64_t steps_ = 0;
  uint64_t events_made_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<SimProactor*> proactors_;            // in order of their making
  bool running_ = false;                           // no turn within a turn
  std::unique_ptr<SimNetwork> network_;
};

}  // namespace fairlead::sim
