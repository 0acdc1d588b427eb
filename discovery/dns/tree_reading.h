// Reads all nodes of a tree as they were when the reading began, in pieces, while the tree changes: what is about to change
// is read just before. Nodes come oldest first, but for those. Costs nothing to begin, and a change nothing without a reading.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <functional>

#include "discovery/dns/name_tree.h"

namespace fairlead::dns {

class TreeReading {
 public:
  TreeReading(const NameTree& tree, std::function<void(const Node&)> visit);
  TreeReading(const TreeReading&) = delete;
  ~TreeReading();

  // Visits up to so many nodes. False: all are visited.
  bool Next(size_t nodes);
  // The tree was cleared before all were visited.
  bool broken() const { return broken_; }

 private:
  friend class NameTree;
  void BeforeChange(const Node& node);
  void BeforeRemoval(const Node& node);
  void BeforeClear();

  const NameTree& tree_;
  const std::function<void(const Node&)> visit_;
  const Node* next_;
  const uint64_t end_;                          // number of the first node that is too young
  absl::flat_hash_set<uint64_t> visited_early_;  // numbers
  bool broken_ = false;
};

}  // namespace fairlead::dns
