// Which container asks for an address? Docker before 29 does not say (facts: it carries a pool and nothing else), and
// an inspection waits until we have answered. What can be had: the list of containers, where those on the network
// without an endpoint are the candidates. Of several, the one that is being started is the one whose lock is held, so
// that its inspection does not answer. Who stays ambiguous is told later: at Join the network's members name it.
#pragma once

#include <optional>
#include <string>

#include "base/io/proactor.h"
#include "runtime-shim/engine.h"

namespace fairlead::runtime {

inline constexpr Nanos kProbeTimeout = 40 * kMillisecond;  // an unlocked container answers in 1 to 5 ms
inline constexpr size_t kMaxProbes = 16;                   // more candidates than that: nobody is asked
// dockerd accepts connections while it boots, but answers only when the containers that it starts are up, and they wait
// for us. So the list is waited for within half of our time to answer, and then not asked for again for a while.
inline constexpr Nanos kListPatience = 1 * kSecond;
inline constexpr Nanos kSilence = 5 * kSecond;             // ends early when the engine is heard of

struct Asker {
  std::string name = {};            // as the engine calls it
  Labels labels = {};
};

class NameFinder {
 public:
  NameFinder(io::Proactor& proactor, Engine& engine) : proactor_(proactor), engine_(engine) {}

  // The container that asks for an address on `network`, or nothing when that is not certain. `wanted`: the address it
  // asks for; unset: any.
  io::Task<std::optional<Asker>> Find(std::string network, IpAddress wanted, Nanos deadline);
  // The engine answered somebody else.
  void EngineHeard() { silent_until_ = 0; }

  struct Stats {
    uint64_t certain = 0, none = 0, ambiguous = 0, probes = 0, errors = 0, silent = 0;
  };
  const Stats& stats() const { return stats_; }

 private:
  io::Task<void> Probe(std::string id, Nanos deadline, bool& starting);

  io::Proactor& proactor_;
  Engine& engine_;
  Nanos silent_until_ = 0;
  Stats stats_;
};

}  // namespace fairlead::runtime
