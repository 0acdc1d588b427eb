#include "discovery/dns/name_tree.h"

#include <algorithm>

#include "base/check.h"
#include "discovery/dns/tree_reading.h"

namespace fairlead::dns {

const Node* NameTree::Find(std::string_view name, uint64_t hash) const {
  auto it = nodes_.find(name, hash);
  return it == nodes_.end() ? nullptr : it->get();
}

const Node* NameTree::ClosestEncloser(std::string_view name) const { return Encloser(name); }

Node* NameTree::Encloser(std::string_view name) const {
  for (int labels = LabelCount(name);; labels--, name = ParentName(name)) {
    if (labels > deepest_) continue;
    if (auto it = nodes_.find(name); it != nodes_.end()) return it->get();
    if (labels == 0) return nullptr;
  }
}

const Node* NameTree::ZoneOf(const Node* node) {
  while (node != nullptr && !node->is_apex()) node = node->parent;
  return node;
}

Node& NameTree::Ensure(std::string_view name) {
  bool made = false;
  auto it = nodes_.lazy_emplace(name, [&](const auto& construct) {
    auto node = std::make_unique<Node>();
    node->name = name;
    construct(std::move(node));
    made = true;
  });
  Node& node = **it;
  if (!made) return node;
  Link(node);
  deepest_ = std::max(deepest_, LabelCount(name));
  Node* above = IsRoot(name) ? nullptr : Encloser(ParentName(name));
  if (above == nullptr) return node;
  node.parent = above->name.size() == ParentName(name).size() ? above : &Ensure(ParentName(name));
  ++node.parent->children;
  return node;
}

void NameTree::Prune(Node& node) {
  for (Node* at = &node; at != nullptr && !at->needed();) {
    Node* parent = at->parent;
    if (parent != nullptr) --parent->children;
    Unlink(*at);
    nodes_.erase(nodes_.find(std::string_view(at->name)));
    at = parent;
  }
}

bool NameTree::AddRecord(std::string_view name, uint16_t type, std::string_view data, uint32_t ttl_s,
                         std::string_view glue) {
  Node& node = Ensure(name);
  BeforeChange(node);
  auto set = std::find_if(node.sets.begin(), node.sets.end(), [type](const RrSet& s) { return s.type() == type; });
  if (set == node.sets.end()) {
    set = node.sets.emplace(node.sets.end(), type);
    CountSet(node, type, true);
  }
  bool changed = set->Add(data, ttl_s, glue);
  records_ += changed;
  return changed;
}

bool NameTree::RemoveRecord(std::string_view name, uint16_t type, std::string_view data) {
  auto it = nodes_.find(name);
  CHECK(it != nodes_.end());
  Node& node = **it;
  BeforeChange(node);
  auto set = std::find_if(node.sets.begin(), node.sets.end(), [type](const RrSet& s) { return s.type() == type; });
  CHECK(set != node.sets.end());
  bool changed = set->Remove(data);
  records_ -= changed;
  if (set->empty()) {
    node.sets.erase(set);
    CountSet(node, type, false);
    Prune(node);
  }
  return changed;
}

void NameTree::CountSet(const Node& node, uint16_t type, bool add) {
  if (type == kNs) ns_sets_ += add ? size_t{1} : ~size_t{0};
  if (type != kSoa) return;
  if (add) {
    apexes_.insert(node.name);
  } else {
    apexes_.erase(node.name);
  }
}

void NameTree::TellBeforeChange(const Node& node) {
  for (TreeReading* reading : readings_) reading->BeforeChange(node);
}

void NameTree::Link(Node& node) {
  node.number = next_number_++;
  node.older = youngest_;
  (youngest_ != nullptr ? youngest_->younger : oldest_) = &node;
  youngest_ = &node;
}

void NameTree::Unlink(Node& node) {
  for (TreeReading* reading : readings_) reading->BeforeRemoval(node);
  (node.older != nullptr ? node.older->younger : oldest_) = node.younger;
  (node.younger != nullptr ? node.younger->older : youngest_) = node.older;
}

void NameTree::Clear() {
  for (TreeReading* reading : readings_) reading->BeforeClear();
  oldest_ = youngest_ = nullptr;
  nodes_.clear();
  records_ = ns_sets_ = 0;
  apexes_.clear();
  deepest_ = 0;
}

}  // namespace fairlead::dns
