#include "discovery/dns/container_labels.h"

#include "base/check.h"
#include "discovery/names.h"

namespace fairlead::dns {

std::string ContainerLabels::Take(std::string_view node_name, std::string_view raw) {
  Node& node = nodes_.try_emplace(std::string(node_name)).first->second;
  Held& held = node.names.try_emplace(std::string(raw)).first->second;
  if (held.holders++ == 0) {
    held.label = discovery::NameLabel(raw);
    if (!node.raw_of.try_emplace(held.label, raw).second) held.label = discovery::HashedLabel(held.label, raw);
  }
  return held.label;
}

std::string ContainerLabels::Of(std::string_view node, std::string_view raw) const {
  return nodes_.find(node)->second.names.find(raw)->second.label;
}

std::string ContainerLabels::Release(std::string_view node_name, std::string_view raw) {
  auto node = nodes_.find(node_name);
  CHECK(node != nodes_.end());
  auto held = node->second.names.find(raw);
  CHECK(held != node->second.names.end());
  std::string label = held->second.label;
  if (--held->second.holders > 0) return label;
  if (auto plain = node->second.raw_of.find(label); plain != node->second.raw_of.end() && plain->second == raw) {
    node->second.raw_of.erase(plain);
  }
  node->second.names.erase(held);
  if (node->second.names.empty()) nodes_.erase(node);
  return label;
}

}  // namespace fairlead::dns
