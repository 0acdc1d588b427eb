// EngineWatcher keeps endpoint rows equal to what the engine has: subscribe, list, follow; list again after any gap. It is
// level-triggered: an event only says which container to look at, the inspection says what is there. A lost event costs
// delay (at most kRelistInterval), never correctness.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/metrics.h"
#include "discovery/labels.h"
#include "discovery/row.h"
#include "runtime-shim/endpoint_row.h"
#include "runtime-shim/engine.h"
#include "base/io/event.h"

namespace fairlead::runtime {

inline constexpr size_t kMaxQueuedEvents = 4096;     // more: dropped, and everything is listed again
inline constexpr size_t kParallelInspections = 8;
inline constexpr Nanos kRelistInterval = 60 * kSecond;
inline constexpr Nanos kInspectTimeout = 2 * kSecond;  // a container that is being started answers when that is done
inline constexpr Nanos kSyncPatience = 10 * kSecond;   // for inspections that hang: since the last of the list that ended
inline constexpr Nanos kLookAgain = 500 * kMillisecond;  // after an event that comes before what it tells
inline constexpr Nanos kStateLook = 100 * kMillisecond;  // of the engine's state file, where it has one and a container runs
inline constexpr Nanos kListTimeout = 30 * kSecond;
inline constexpr Nanos kStopGrace = 2 * kSecond;     // beyond the stop timeout, until a kill without a die is forgotten

class EndpointSink {
 public:
  virtual void Upsert(discovery::EndpointRow row) = 0;  // may be the same again
  // The row that was last told, maybe with what was found out besides; null: none, or removed.
  virtual std::shared_ptr<const discovery::EndpointRow> Find(const std::string& engine_id) = 0;
  virtual void Remove(std::string engine_id) = 0;
  virtual void Synced() = 0;                         // after the first whole list, and after each one following a gap
  // What the rows are made of; the plugin verifies names with it. Comes before the row.
  virtual void Inspected(const ContainerDetails& container) = 0;
  virtual void NetworkSeen(const NetworkDetails& network) = 0;

 protected:
  ~EndpointSink() = default;
};

class EngineWatcher {
 public:
  struct Stats {
    uint64_t events = 0, overflows = 0, lists = 0, inspections = 0, streams = 0, errors = 0;
  };

  EngineWatcher(io::Proactor& proactor, Engine& engine, RowContext context, EndpointSink& sink);
  // Until cancelled. Failures of the engine are logged once and tried again with growing pauses (at most 5 s), or when
  // the engine calls.
  io::Task<void> Run();
  // The engine is there: it called us. A pause before the next try ends.
  void EngineCalled() { if (pausing_) called_.Set(); }
  // From the engine's event to the row that it made, for each row told to the sink because of an event.
  void ObserveLag(DurationHistogram& lag) { lag_ = &lag; }
  const Stats& stats() const { return stats_; }
  bool connected() const { return connected_; }

 private:
  struct Known {                    // of a container that was told
    uint64_t print = 0;             // the fingerprint of the list's entry; 0: look into the next one
    bool runs = false, has_health = false;
  };
  struct Stop {                     // a container was told to
    Nanos told_wall = 0;            // by the engine's clock; 0: not known
    Nanos until = 0;                // a point of Proactor::Now(): then it goes on
  };

  io::Task<Status> Follow();        // one subscription: list, then events until it breaks
  io::Task<void> Drain(EventStream& stream);
  io::Task<void> FollowStateFile();  // looks for stops when it was written
  io::Task<bool> LookForStops();     // false: the engine did not answer
  bool AnyRuns();
  io::Task<Status> List(bool thorough);
  io::Task<Status> FollowEvents(io::TaskGroup& inspections);
  void StartInspections(io::TaskGroup& inspections);
  io::Task<void> Inspect(std::string id);
  void Apply(const EngineEvent& event);
  void Touch(const std::string& id);
  void ApplyDeath(const EngineEvent& event);
  void Tell(discovery::EndpointRow row, Nanos event_wall);
  void ApplyKill(const EngineEvent& event);
  void Accept(const ContainerDetails& container);
  void SeekNetworks(const ContainerDetails& container);
  void Forget(const std::string& id);
  void EndDrains();
  void LookAgain();
  Nanos NextWake() const;

  io::Proactor& proactor_;
  Engine& engine_;
  RowContext context_;
  discovery::NameTables names_;
  EndpointSink& sink_;
  io::Event signal_, called_;
  bool pausing_ = false;
  std::deque<EngineEvent> queue_;   // filled by the reader, which does nothing else: a slow reader slows dockerd
  bool overflow_ = false;
  Status stream_end_;
  bool stream_ended_ = false;
  bool connected_ = false;
  bool gap_ = true;                 // the next list must look at everything
  bool sync_due_ = false;           // such a list was made and is not looked at whole
  Nanos last_event_wall_ = 0;
  Nanos next_list_ = 0;
  std::map<std::string, Known, std::less<>> containers_;
  std::map<std::string, Stop, std::less<>> stops_; // also of containers that were not looked at since they started
  std::set<std::string, std::less<>> dirty_;       // containers to look at
  std::set<std::string, std::less<>> in_flight_;   // being looked at; dirty again: that answer is not taken
  std::set<std::string, std::less<>> failed_;      // to be looked at again after a pause
  std::map<std::string, Nanos, std::less<>> look_again_;  // when, for those whose event came early
  std::map<std::string, uint64_t, std::less<>> fingerprints_;  // of the list, until their inspection
  std::map<std::string, std::string> drivers_;                    // network id, and name, → driver
  std::set<std::string> sought_;    // ids of networks that a list was made for
  std::map<std::string, Nanos, std::less<>> told_;  // when the engine told of them, of those to look at since
  DurationHistogram* lag_ = nullptr;
  Nanos sync_by_ = 0;               // then containers whose inspection hangs are not waited for
  Stats stats_;
};

}  // namespace fairlead::runtime
