#include "discovery/dns/tree_reading.h"

#include <utility>

namespace fairlead::dns {

TreeReading::TreeReading(const NameTree& tree, std::function<void(const Node&)> visit)
    : tree_(tree), visit_(std::move(visit)), next_(tree.oldest_), end_(tree.next_number_) {
  tree_.readings_.push_back(this);
}

TreeReading::~TreeReading() { std::erase(tree_.readings_, this); }

bool TreeReading::Next(size_t nodes) {
  for (; nodes > 0 && next_ != nullptr && next_->number < end_; nodes--) {
    const Node& node = *std::exchange(next_, next_->younger);
    if (visited_early_.erase(node.number) == 0) visit_(node);
  }
  return next_ != nullptr && next_->number < end_;
}

void TreeReading::BeforeChange(const Node& node) {
  bool waits = next_ != nullptr && node.number >= next_->number && node.number < end_;
  if (waits && visited_early_.insert(node.number).second) visit_(node);
}

// What it said was visited before it changed for the last time.
void TreeReading::BeforeRemoval(const Node& node) {
  if (next_ == &node) next_ = node.younger;
  visited_early_.erase(node.number);
}

void TreeReading::BeforeClear() {
  broken_ = next_ != nullptr && next_->number < end_;
  next_ = nullptr;
}

}  // namespace fairlead::dns
