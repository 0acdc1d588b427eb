#include "discovery/dns/name_tree.h"

#include <algorithm>

#include "base/check.h"

namespace fairlead::dns {

uint64_t HashName(std::string_view name) {
  constexpr uint64_t kMix = 0x9e3779b97f4a7c15;
  uint64_t h = name.size() * kMix;
  auto mix = [&h](uint64_t word) {
    auto product = static_cast<unsigned __int128>(h ^ word) * 0xd6e8feb86659fd93;
    h = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  };
  const char* p = name.data();
  size_t left = name.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    mix(word);
  }
  uint64_t word = 0;
  std::memcpy(&word, p, left);
  mix(word ^ kMix);
  return h;
}

const Node* NameTree::Find(std::string_view name) const {
  auto it = nodes_.find(name);
  return it == nodes_.end() ? nullptr : it->get();
}

const Node* NameTree::ClosestEncloser(std::string_view name) const {
  for (int labels = LabelCount(name); labels > 0; labels--, name = ParentName(name)) {
    if (labels > deepest_) continue;
    if (const Node* node = Find(name)) return node;
  }
  return Find(name);
}

const Node* NameTree::ZoneOf(const Node* node) {
  while (node != nullptr && !node->is_apex()) node = node->parent;
  return node;
}

Node& NameTree::Ensure(std::string_view name) {
  if (auto it = nodes_.find(name); it != nodes_.end()) return **it;
  auto made = std::make_unique<Node>();
  made->name = name;
  Node& node = *made;
  nodes_.insert(std::move(made));
  deepest_ = std::max(deepest_, LabelCount(name));
  if (!IsRoot(name) && ClosestEncloser(ParentName(name)) != nullptr) {
    node.parent = &Ensure(ParentName(name));
    ++node.parent->children;
  }
  return node;
}

void NameTree::Prune(Node& node) {
  for (Node* at = &node; at != nullptr && !at->needed();) {
    Node* parent = at->parent;
    if (parent != nullptr) --parent->children;
    nodes_.erase(nodes_.find(std::string_view(at->name)));
    at = parent;
  }
}

bool NameTree::AddRecord(std::string_view name, uint16_t type, std::string_view data, uint32_t ttl_s) {
  Node& node = Ensure(name);
  auto set = std::find_if(node.sets.begin(), node.sets.end(), [type](const RrSet& s) { return s.type() == type; });
  if (set == node.sets.end()) {
    set = node.sets.emplace(node.sets.end(), type);
    CountSet(type, 1);
  }
  bool changed = set->Add(data, ttl_s);
  records_ += changed;
  return changed;
}

bool NameTree::RemoveRecord(std::string_view name, uint16_t type, std::string_view data) {
  auto it = nodes_.find(name);
  CHECK(it != nodes_.end());
  Node& node = **it;
  auto set = std::find_if(node.sets.begin(), node.sets.end(), [type](const RrSet& s) { return s.type() == type; });
  CHECK(set != node.sets.end());
  bool changed = set->Remove(data);
  records_ -= changed;
  if (set->empty()) {
    node.sets.erase(set);
    CountSet(type, -1);
    Prune(node);
  }
  return changed;
}

void NameTree::CountSet(uint16_t type, int by) {
  if (type == kNs) ns_sets_ += static_cast<size_t>(by);
  if (type == kSoa) soa_sets_ += static_cast<size_t>(by);
}

void NameTree::Clear() {
  nodes_.clear();
  records_ = ns_sets_ = soa_sets_ = 0;
  deepest_ = 0;
}

}  // namespace fairlead::dns
