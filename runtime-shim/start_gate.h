// StartGate: whose RequestAddress is it, where the engine asks after the runtime's `create` (dockerd 26 to 28)? The runtime
// wrapper announces a start from within its `create` and waits; one start at a time passes to its requests, so the next
// request on a network of that container is its own. It passes on as soon as the last of them has come, at the latest
// after kGateHold: a start that asks later is "late", and while one is, requests that could be of either are nobody's
// for certain.
//
// A state machine without I/O: the caller brings the time and asks Tick() who may pass. One worker.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/net/ip_address.h"
#include "base/strings.h"
#include "base/time.h"
#include "runtime-shim/engine.h"

namespace fairlead::runtime {

inline constexpr Nanos kGateHold = 50 * kMillisecond;  // for the requests of the start that has passed
inline constexpr Nanos kGateLate = 10 * kSecond;       // so long a start that did not ask in time may still ask
inline constexpr size_t kGateQueue = 256;              // starts that wait; more pass at once, late from the beginning

// A container as the engine calls it.
struct Asker {
  std::string name = {};
  Labels labels = {};
};

// One RequestAddress that a start will bring.
struct ExpectedRequest {
  std::string network = {};  // name
  bool v6 = false;
  IpAddress wanted = {};     // --ip; unset: any
  friend bool operator==(const ExpectedRequest&, const ExpectedRequest&) = default;
};

struct AnnouncedStart {
  std::string id = {};       // the container's
  Asker asker = {};
  std::vector<ExpectedRequest> requests = {};
};

class StartGate {
 public:
  // A start waits for its turn; one without requests need not be announced.
  void Announce(AnnouncedStart start, Nanos now);
  // A request has come: whose it is, if that is certain.
  std::optional<Asker> Claim(const ExpectedRequest& request, Nanos now);
  // The container runs, has died or is gone: nothing more is expected of it.
  void Ended(const std::string& id);
  // Waited for too long: it passes without its turn.
  void PassAnyway(const std::string& id, Nanos now);
  // Ids of the starts that may go on. To be called after each of the above, and at NextTick().
  std::vector<std::string> Tick(Nanos now);
  Nanos NextTick() const;    // kNever: nothing changes by time alone

  struct Stats {
    uint64_t announced = 0, certain = 0, ambiguous = 0, late = 0, overflows = 0;
  };
  const Stats& stats() const { return stats_; }
  size_t waiting() const { return queue_.size(); }

 private:
  struct Passed {
    AnnouncedStart start;
    Nanos until = 0;         // of the hold, or of being late
  };
  void BeLate(AnnouncedStart start, Nanos now);

  std::deque<AnnouncedStart> queue_;
  std::optional<Passed> current_;
  std::vector<Passed> late_;
  std::vector<std::string> released_;  // to be told by the next Tick()
  Stats stats_;
};

}  // namespace fairlead::runtime
