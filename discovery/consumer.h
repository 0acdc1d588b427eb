// Consumer: the balancer's or name server's copy of the catalog, kept by a stream from an agent. It connects (any agent
// of the list will do; the next one on failure), subscribes from what it knows, applies, tells its listeners, and
// confirms what they have applied. When the stream breaks, the last good rows stay: only the owner of a row removes it.
// The rows are also kept on disk and are there, as stale, after a restart without any agent.
//
// It belongs to one worker. A RowMap taken from it may go to any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/io/event.h"
#include "base/io/offload.h"
#include "base/io/stream.h"
#include "base/metrics.h"
#include "base/random.h"
#include "discovery/ack_queue.h"
#include "discovery/replica.h"
#include "discovery/row.h"
#include "discovery/state_file.h"

namespace fairlead::io {
class Files;
}

namespace fairlead::discovery {

enum class Freshness : uint8_t {
  kUnsynced,  // no agent has said yet that its rows are complete, and none were on disk
  kSynced,    // connected, and the agent's rows are complete
  kStale,     // rows of an earlier connection or of the disk; the agent is away or still lists its engines
};

struct ConsumerStatus {
  Freshness freshness = Freshness::kUnsynced;
  Nanos stale_since = 0;        // Proactor::Now(); 0 unless kStale
  bool connected = false;
  std::string agent;            // address of the connected agent, or of the last tried
  std::string error;            // why the last connection ended or failed; "" while connected
  uint64_t connects = 0;
};

struct ConsumerOptions {
  std::string name;                      // of this consumer, for the agent: "lb", "dns"
  std::vector<SocketAddress> agents;     // tried in this order
  std::string state_path;                // last good state; "": none is kept
  Kinds kinds = {};                      // of rows it follows; none: all
};

class Consumer final : private AckQueue::Listener {
 public:
  static constexpr Nanos kConnectTimeout = 2 * kSecond;
  static constexpr Nanos kMinBackoff = 100 * kMillisecond;
  static constexpr Nanos kMaxBackoff = 2 * kSecond;     // doubled from the minimum, with jitter
  static constexpr Nanos kSilence = 10 * kSecond;       // an agent that says nothing so long is away (heartbeats: 2 s)
  static constexpr Nanos kSaveInterval = kSecond;
  static constexpr Nanos kAckPause = kMillisecond;      // at least, between two: many changes are confirmed by one
  static constexpr size_t kMaxUnsaved = 4096;           // rows that changed since the last save; beyond, all are written

  // `files` and `offload` are used when a state_path is set.
  Consumer(io::Proactor& proactor, io::Files& files, io::Offload& offload, Random& random, ConsumerOptions options);
  Consumer(const Consumer&) = delete;
  ~Consumer();  // after Run() has ended

  // Before Run(). They hear first the rows of the disk, then every change, in order; an empty list means that only
  // status() changed. What a listener has applied when OnChanges returns is confirmed to the agent, unless it took a
  // HoldAck().
  void AddListener(ChangeListener& listener);

  // Within OnChanges: the changes being told count as applied when every hold is gone (other workers have swapped
  // their snapshots, idle connections of removed rows are closed). Dropped on the consumer's worker.
  AckHold HoldAck();

  // Loads the state of the disk, then serves until cancelled; saves once more at the end. Spawn it in the worker's group.
  io::Task<void> Run();

  const RowMap& rows() const { return replica_.rows(); }
  ConsumerStatus status() const;
  // Since when nothing was heard of the owner of a node's rows that knows them all: Proactor::Now() of its last update or
  // heartbeat; of rows of the disk, of when they were read.
  Nanos silent_since(std::string_view node) const;
  std::vector<std::string> owners() const { return replica_.owners(); }  // nodes whose rows are known
  io::Proactor& proactor() const { return proactor_; }
  bool synced() const { return status().freshness == Freshness::kSynced; }
  // Adds fairlead_discovery_endpoints, …_connects_total, …_bad_messages_total. Before Run().
  void RegisterMetrics(Metrics& metrics);

 private:
  void OnAckReady() override { ack_ready_.Set(); }
  io::Task<bool> Follow();  // true when cancelled; it ends by nothing else
  io::Task<Status> Converse(SocketAddress address);
  io::Task<Status> ReadUpdates(io::Stream& stream);
  io::Task<Status> WriteRequests(io::Stream& stream);
  io::Task<bool> SaveLoop();
  io::Task<void> Load();
  io::Task<void> Save();
  Status Apply(std::string_view message);
  void Tell(const Position& position, bool confirm, const std::vector<Change>& changes, bool status_changed);
  void NoteUnsaved(const std::vector<Change>& changes);
  void Disconnected(const Status& why);

  io::Proactor& proactor_;
  io::Offload& offload_;
  Random& random_;
  const ConsumerOptions options_;
  std::vector<ChangeListener*> listeners_;
  StateFile state_;
  StateFile::Keys unsaved_;                   // keys; whole_: more than these
  bool whole_ = false;
  Replica replica_;
  AckQueue acks_;
  io::Event ack_ready_, changed_;
  bool connected_ = false, synced_ = false;   // of the present stream
  bool heard_ = false;                        // an update came on it
  bool dirty_ = false, save_failed_ = false;
  Nanos stale_since_ = 0;                     // 0: synced, or nothing is known yet
  Nanos loaded_at_ = 0;                       // when Run() began
  std::map<std::string, Nanos, std::less<>> heard_at_;  // by owner, while it is synced
  std::string agent_, error_;
  uint64_t connects_ = 0;
  Gauge* endpoints_metric_ = nullptr;
  Counter* connects_metric_ = nullptr;
  Counter* bad_messages_metric_ = nullptr;
};

}  // namespace fairlead::discovery
