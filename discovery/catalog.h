// Catalog: the rows of this host, written by the agent alone and stamped (epoch, sequence). Each change makes a new
// revision; readers take immutable snapshots or follow changes. It belongs to one worker; a snapshot taken from it may
// go to any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/agreement.h"
#include "discovery/packed_row.h"
#include "discovery/row.h"

namespace fairlead::discovery {

class Catalog {
 public:
  // A follower that is further behind than this many changes gets the full state.
  static constexpr size_t kMaxLoggedChanges = 16'384;

  // `epoch` is higher than at any earlier start of this node's agent (NextEpoch, discovery/epoch.h).
  Catalog(std::string node, uint64_t epoch, size_t max_logged_changes = kMaxLoggedChanges);
  Catalog(const Catalog&) = delete;

  // True when it changed something; a row equal to the present one makes no revision.
  bool Upsert(EndpointRow row);
  bool Upsert(LeaseRow row);
  bool Upsert(NodeRow row);
  bool Remove(std::string_view key);

  // The agent has listed its sources once: what is not here is not there. Until then followers drop nothing.
  void MarkSynced();
  bool synced() const { return synced_; }

  const std::string& node() const { return node_; }
  uint64_t epoch() const { return epoch_; }
  uint64_t revision() const { return revision_; }
  const PackedRows& rows() const { return rows_; }               // copy it to keep it: one pointer
  std::shared_ptr<const Row> Find(std::string_view key) const;   // null: not there
  // Calls f(std::shared_ptr<const Row>) for every row, in no particular order.
  template <class F>
  void ForEach(F&& f) const {
    rows_.ForEach([&](const std::shared_ptr<const PackedRow>& row) { f(Unpack(*row)); });
  }
  // An endpoint as it was upserted, whatever the others of its service say (agreement.h). Null: not there.
  std::shared_ptr<const EndpointRow> FindEndpoint(std::string_view key) const;

  // Keys that changed after a revision, each once, at most `max_keys` of them.
  struct Changed {
    std::vector<std::string> keys;
    uint64_t up_to = 0;              // they cover every change up to this revision
  };
  // Nothing when the log does not reach back that far.
  std::optional<Changed> ChangedSince(uint64_t revision, size_t max_keys) const;

  // Listeners hear every change from now on, and MarkSynced as an empty list. They outlive the catalog or Unwatch;
  // they must not change the catalog, nor watch or unwatch, from within.
  void Watch(ChangeListener& listener);
  void Unwatch(ChangeListener& listener);

 private:
  bool Put(std::string key, std::variant<EndpointRow, LeaseRow, NodeRow> body);
  bool Erase(std::string_view key);
  bool Admit(EndpointRow row);
  bool Inherit();
  void Log(const std::string& key);
  void Tell(std::vector<Change> changes);

  const std::string node_;
  const uint64_t epoch_;
  const size_t max_logged_;
  uint64_t revision_ = 0;
  bool synced_ = false;
  PackedRows rows_;
  Agreement agreement_;
  std::deque<std::string> log_;  // keys of the latest changes; the last one is revision_'s
  std::vector<ChangeListener*> listeners_;
};

}  // namespace fairlead::discovery
