// Subscriber: the agent's side of one stream as a state machine; messages in, messages out, no I/O. What it still has to
// send is not queued but read from the catalog when the transport is ready for more: a slow reader costs the agent one
// number and finds the newest state, however much has changed meanwhile. Rows of kinds that the consumer does not follow are
// passed over: they count as sent, and as confirmed with what was sent before them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "discovery/catalog.h"
#include "discovery/messages.h"

namespace fairlead::discovery {

class Subscriber {
 public:
  // An update, whole or a part of a larger one, ends at whichever is reached first: it stays below kMaxFrameBytes.
  static constexpr size_t kRowsPerUpdate = 1024;
  static constexpr size_t kBytesPerUpdate = 1 << 20;
  static constexpr size_t kMaxRowBytes = 1 << 20;  // a larger row is left out and counted

  explicit Subscriber(const Catalog& catalog) : catalog_(catalog) {}

  Status OnSubscribe(const Subscribe& message);
  Status OnAck(const Ack& message);

  // The next update, or nothing while the consumer has (or is being sent) everything.
  std::optional<PackedUpdate> Next();
  // An update without changes; only when Next() gives nothing.
  PackedUpdate Heartbeat();

  bool subscribed() const { return subscribed_; }
  const std::string& consumer() const { return consumer_; }
  uint64_t sent_revision() const { return sent_revision_; }
  uint64_t acked_revision() const { return acked_revision_; }
  uint64_t full_states() const { return full_states_; }
  uint64_t oversize_rows() const { return oversize_rows_; }

 private:
  void BeginFull();
  PackedUpdate NextPart();
  std::optional<PackedUpdate> NextDelta();
  size_t AddNow(std::string key, PackedUpdate& delta);
  void Tell(PackedUpdate& update);
  void PassOver(uint64_t up_to);

  const Catalog& catalog_;
  bool subscribed_ = false;
  bool sent_synced_ = false;
  std::string consumer_;
  Kinds kinds_;
  uint64_t sent_revision_ = 0, acked_revision_ = 0;
  uint64_t told_revision_ = 0;       // the last that an update named: what follows it was passed over
  uint64_t full_states_ = 0, oversize_rows_ = 0;
  // A full state being sent: the rows as they were when it began.
  bool sending_full_ = false;
  uint64_t full_revision_ = 0;
  bool full_synced_ = false;
  std::vector<std::shared_ptr<const PackedRow>> full_rows_;
  size_t next_row_ = 0;
};

}  // namespace fairlead::discovery
