// When a service fails open. Endpoints that failed their checks within seconds of each other make the check suspect rather
// than all of them: then they go on serving, when none other is ready, or fewer than a share that the service names. It is
// the same whose check it was, ours or the engine's HEALTHCHECK. Never one that refuses connections, drains, was stopped,
// or was never healthy. Name server and balancer decide by the same rule from the same rows. Source: contract, design ("Fail open").
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "discovery/row.h"

namespace fairlead::discovery {

// How an endpoint stands in its service.
enum class Standing : uint8_t {
  kOut,      // takes no traffic for reasons of its own: not published, stopped, draining, starting, refusing
  kReady,
  kFailed,   // by its check alone, after it had been healthy
};
// `health`: of the checks, by whoever looked.
Standing StandingOf(const CheckedHealth& health);

// An endpoint as it counts among those of its service.
struct Counted {
  Standing standing = Standing::kOut;
  Nanos since = 0;         // of kFailed, by wall time
  Nanos interval = 0;      // of its checks
  uint32_t below = 0;      // its service fails open below so many percent of ready endpoints, too
};
Counted CountedOf(const EndpointRow& row, const ServiceEntry& entry);

// The endpoints of one service, counted by how they stand. A change costs O(log n).
class FailOpen {
 public:
  static constexpr size_t kFewest = 2;  // one that fails alone says nothing of its check
  // The latest failure may come so long after the first; or two intervals of the checks, where those are longer.
  static constexpr Nanos kTogether = 10 * kSecond;

  void Add(const Counted& endpoint) { Count(endpoint, true); }
  void Remove(const Counted& endpoint) { Count(endpoint, false); }
  bool open() const;
  bool empty() const { return ready_ == 0 && failed_.empty(); }

 private:
  void Count(const Counted& endpoint, bool add);

  size_t ready_ = 0;
  std::multiset<Nanos> failed_;     // since when
  std::multiset<Nanos> intervals_;  // of those
  std::multiset<uint32_t> below_;   // of all that say something
};

// In front of a listener: rows pass with `fails_open` set where their service fails open, and pass again when that changes.
class FailOpenRows final : public ChangeListener {
 public:
  explicit FailOpenRows(ChangeListener& to) : to_(to) {}
  void OnChanges(const std::vector<Change>& changes) override;

 private:
  struct Service {
    FailOpen endpoints;
    std::set<std::string> failed;   // keys of rows that stand as failed
    bool open = false;              // as it was told
    bool touched = false;           // by the changes that are being read
  };
  using Touched = std::vector<std::pair<const ServiceId, Service>*>;

  void CountRow(const Row& row, bool add, Touched& touched);
  Change Marked(const Change& change) const;

  ChangeListener& to_;
  struct Hash {
    size_t operator()(const ServiceId& id) const { return std::hash<std::string>{}(id.first) * 31 + std::hash<std::string>{}(id.second); }
  };

  std::unordered_map<ServiceId, Service, Hash> services_;
  std::unordered_map<std::string_view, std::shared_ptr<const Row>> rows_;  // of endpoints; the keys are the rows' own
};

}  // namespace fairlead::discovery
