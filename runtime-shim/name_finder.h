// Which container asks for an address? Docker before 29 does not say (facts: it carries a pool and nothing else), and
// an inspection waits until we have answered. What can be had: the list of containers, where those on the network
// without an endpoint are the candidates. Of several, the one that is being started is the one whose lock is held, so
// that its inspection does not answer. Who stays ambiguous is told later: at Join the network's members name it.
#pragma once

#include <string>
#include <vector>

#include "base/io/proactor.h"
#include "runtime-shim/engine.h"
#include "runtime-shim/start_gate.h"

namespace fairlead::runtime {

inline constexpr Nanos kProbeTimeout = 40 * kMillisecond;  // an unlocked container answers in 1 to 5 ms
inline constexpr Nanos kProbePatience = 400 * kMillisecond;  // on a busy host, while more than one has not answered
inline constexpr size_t kMaxProbes = 16;                   // more candidates than that: nobody is asked
// dockerd accepts connections while it boots, but answers only when the containers that it starts are up, and they wait
// for us. So the list is waited for within half of our time to answer, and then not asked for again for a while.
inline constexpr Nanos kListPatience = 1 * kSecond;
inline constexpr Nanos kSilence = 5 * kSecond;             // ends early when the engine is heard of

class NameFinder {
 public:
  NameFinder(io::Proactor& proactor, Engine& engine) : proactor_(proactor), engine_(engine) {}

  // The container that this request comes from. Not certain: Unavailable (the engine is silent), NotFound (no container
  // waits for such an address), FailedPrecondition (several may).
  io::Task<StatusOr<Asker>> Find(ExpectedRequest request, Nanos deadline);
  // The engine answered somebody else.
  void EngineHeard() { silent_until_ = 0; }
  // It did not answer lately: it boots, hangs, or is away.
  bool EngineSilent() const { return proactor_.Now() < silent_until_; }

  struct Stats {
    uint64_t certain = 0, none = 0, ambiguous = 0, probes = 0, errors = 0, silent = 0;
  };
  const Stats& stats() const { return stats_; }

 private:
  struct Probes;
  io::Task<void> Probe(std::string id, Probes& probes, bool& starting);
  // Of several candidates those whose inspection stays without an answer.
  io::Task<void> KeepStarting(std::vector<ContainerSummary>& candidates, Nanos deadline);

  io::Proactor& proactor_;
  Engine& engine_;
  Nanos silent_until_ = 0;
  Stats stats_;
};

}  // namespace fairlead::runtime
