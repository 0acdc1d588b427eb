#include "discovery/dns/container_labels.h"

#include "base/check.h"
#include "discovery/names.h"

namespace fairlead::dns {

bool ContainerLabels::Node::IsTaken(const std::string& label) const {
  if (raw_of.contains(label)) return true;
  auto held = names.find(label);
  return held != names.end() && held->second.label.empty();
}

std::string ContainerLabels::Take(std::string_view node_name, std::string_view raw) {
  auto of_node = nodes_.find(node_name);
  if (of_node == nodes_.end()) of_node = nodes_.try_emplace(std::string(node_name)).first;
  Node& node = of_node->second;
  if (auto held = node.names.find(raw); held != node.names.end()) {
    ++held->second.holders;
    return held->second.label.empty() ? std::string(raw) : held->second.label;
  }
  std::string label = discovery::NameLabel(raw);
  const bool taken = node.IsTaken(label);
  if (taken) {
    label = discovery::HashedLabel(label, raw);
  } else if (label != raw) {
    node.raw_of.emplace(label, raw);
  }
  node.names.emplace(raw, Held{label == raw ? "" : label, 1});
  return label;
}

std::string ContainerLabels::Of(std::string_view node, std::string_view raw) const {
  const std::string& label = nodes_.find(node)->second.names.find(raw)->second.label;
  return label.empty() ? std::string(raw) : label;
}

std::string ContainerLabels::Release(std::string_view node_name, std::string_view raw) {
  auto node = nodes_.find(node_name);
  CHECK(node != nodes_.end());
  auto held = node->second.names.find(raw);
  CHECK(held != node->second.names.end());
  std::string label = held->second.label.empty() ? std::string(raw) : held->second.label;
  if (--held->second.holders > 0) return label;
  if (auto plain = node->second.raw_of.find(label); plain != node->second.raw_of.end() && plain->second == raw) {
    node->second.raw_of.erase(plain);
  }
  node->second.names.erase(held);
  if (node->second.names.empty()) nodes_.erase(node);
  return label;
}

}  // namespace fairlead::dns
