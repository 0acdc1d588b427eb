// PersistentMap: an immutable map from string keys to shared values, as a hash trie (Bagwell 2001). Copying it is one
// pointer; With() and Without() give a new map that shares all but the O(log n) nodes on one path. So a snapshot of
// 100,000 rows costs nothing to take, and a change costs O(change), never O(total). Copies may be read by any thread. Put() and
// Drop() change what no copy shares in place: half the cost, while nobody holds a snapshot.
//
// V has a member `key`, a string; Hash maps a std::string_view to a size_t.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace fairlead::discovery {

template <class V, class Hash = StringHash>
class PersistentMap {
 public:
  using Value = std::shared_ptr<const V>;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The value of that key, or null. The pointer is good until this map changes.
  const Value* Find(std::string_view key) const {
    const uint64_t hash = Hash{}(key);
    const Node* node = root_.get();
    for (int depth = 0; node != nullptr; depth++) {
      if (depth == kMaxDepth) return FindIn(*node, key);
      const uint32_t bit = BitOf(hash, depth);
      if ((node->bitmap & bit) == 0) return nullptr;
      const Slot& slot = node->slots[node->IndexOf(bit)];
      if (slot.value) return slot.value->key == key ? &slot.value : nullptr;
      node = slot.child.get();
    }
    return nullptr;
  }

  [[nodiscard]] PersistentMap With(Value value) const {
    const bool replaces = Find(value->key) != nullptr;
    const uint64_t hash = Hash{}(value->key);
    return PersistentMap(Insert(root_, hash, 0, std::move(value)), size_ + (replaces ? 0 : 1));
  }

  [[nodiscard]] PersistentMap Without(std::string_view key) const {
    if (Find(key) == nullptr) return *this;
    return PersistentMap(Erase(root_, Hash{}(key), 0, key), size_ - 1);
  }

  void Put(Value value) {
    if (Find(value->key) == nullptr) ++size_;
    const uint64_t hash = Hash{}(value->key);
    root_ = Insert(std::move(root_), hash, 0, std::move(value));
  }
  void Drop(std::string_view key) {
    if (Find(key) == nullptr) return;
    --size_;
    root_ = Erase(std::move(root_), Hash{}(key), 0, key);
  }

  // Calls f(value) for every value, in no particular order that is the same for equal histories.
  template <class F>
  void ForEach(F&& f) const {
    if (root_) Visit(*root_, f);
  }

 private:
  static constexpr int kBits = 4;
  static constexpr int kMaxDepth = 64 / kBits;  // below it: values whose whole hashes are equal, in a plain list

  struct Node;
  using NodePtr = std::shared_ptr<const Node>;
  struct Slot {  // one of the two
    NodePtr child;
    Value value;
  };
  struct Node {
    uint32_t bitmap = 0;
    std::vector<Slot> slots;  // one for each bit that is set
    size_t IndexOf(uint32_t bit) const { return static_cast<size_t>(std::popcount(bitmap & (bit - 1))); }
  };

  PersistentMap(NodePtr root, size_t size) : root_(std::move(root)), size_(size) {}

 public:
  PersistentMap() = default;

 private:
  static uint32_t BitOf(uint64_t hash, int depth) { return 1u << ((hash >> (depth * kBits)) & ((1u << kBits) - 1)); }

  static const Value* FindIn(const Node& list, std::string_view key) {
    for (const Slot& slot : list.slots)
      if (slot.value->key == key) return &slot.value;
    return nullptr;
  }

  // The node itself when nobody else holds it, as seen from the root down; else a copy.
  static std::shared_ptr<Node> Own(NodePtr node) {
    if (node == nullptr) return std::make_shared<Node>();
    if (node.use_count() != 1) return std::make_shared<Node>(*node);
    std::atomic_thread_fence(std::memory_order_acquire);  // the last other holder, on another thread maybe, has read it
    return std::const_pointer_cast<Node>(std::move(node));
  }

  static NodePtr Insert(NodePtr node, uint64_t hash, int depth, Value value) {
    std::shared_ptr<Node> copy = Own(std::move(node));
    if (depth == kMaxDepth) {
      for (Slot& slot : copy->slots) {
        if (slot.value->key != value->key) continue;
        slot.value = std::move(value);
        return copy;
      }
      copy->slots.push_back({nullptr, std::move(value)});
      return copy;
    }
    const uint32_t bit = BitOf(hash, depth);
    const size_t index = copy->IndexOf(bit);
    if ((copy->bitmap & bit) == 0) {
      copy->bitmap |= bit;
      copy->slots.insert(copy->slots.begin() + static_cast<std::ptrdiff_t>(index), Slot{nullptr, std::move(value)});
      return copy;
    }
    Slot& slot = copy->slots[index];
    if (slot.child) {
      slot.child = Insert(std::move(slot.child), hash, depth + 1, std::move(value));
    } else if (slot.value->key == value->key) {
      slot.value = std::move(value);
    } else {  // two values share the path so far: both go one level down
      const uint64_t other_hash = Hash{}(slot.value->key);
      NodePtr below = Insert(nullptr, other_hash, depth + 1, std::move(slot.value));
      slot.value = nullptr;
      slot.child = Insert(std::move(below), hash, depth + 1, std::move(value));
    }
    return copy;
  }

  // The key is there. Gives null when nothing is left.
  static NodePtr Erase(NodePtr node, uint64_t hash, int depth, std::string_view key) {
    std::shared_ptr<Node> copy = Own(std::move(node));
    if (depth == kMaxDepth) {
      std::erase_if(copy->slots, [&](const Slot& slot) { return slot.value->key == key; });
      return copy->slots.empty() ? nullptr : copy;
    }
    const uint32_t bit = BitOf(hash, depth);
    const size_t index = copy->IndexOf(bit);
    Slot& slot = copy->slots[index];
    if (slot.child) slot.child = Erase(std::move(slot.child), hash, depth + 1, key);
    if (slot.child) {
      // A child with a single value folds into its parent, so that the shape depends on the content alone.
      if (slot.child->slots.size() == 1 && slot.child->slots[0].value) slot = Slot{nullptr, slot.child->slots[0].value};
      return copy;
    }
    copy->slots.erase(copy->slots.begin() + static_cast<std::ptrdiff_t>(index));
    copy->bitmap &= ~bit;
    return copy->slots.empty() ? nullptr : copy;
  }

  template <class F>
  static void Visit(const Node& node, F& f) {
    for (const Slot& slot : node.slots) {
      if (slot.value) {
        f(slot.value);
      } else {
        Visit(*slot.child, f);
      }
    }
  }

  NodePtr root_;
  size_t size_ = 0;
};

}  // namespace fairlead::discovery
