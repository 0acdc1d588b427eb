// The names of all zones as a tree, found by their whole wire name in one probe. A node lives while it has records, is
// known (a name without records of the asked type: NODATA), or has names below it (an empty non-terminal).
#pragma once

#include <absl/container/flat_hash_set.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/dns/rr_set.h"

namespace fairlead::dns {

struct Node {
  std::string name;
  Node* parent = nullptr;        // null at the top of the topmost zone
  Node *older = nullptr, *younger = nullptr;
  uint64_t number = 0;           // the older the smaller
  uint32_t children = 0;
  uint32_t known = 0;            // holders that want the name to exist
  uint32_t balanced = 0;         // holders that want the balancer's addresses here
  std::vector<RrSet> sets;

  const RrSet* Find(uint16_t type) const {
    for (const RrSet& set : sets) {
      if (set.type() == type) return &set;
    }
    return nullptr;
  }
  bool is_apex() const { return Find(kSoa) != nullptr; }
  bool says_something() const { return known != 0 || !sets.empty(); }  // else there are only names below it
  bool needed() const { return children != 0 || known != 0 || balanced != 0 || !sets.empty(); }
};

class TreeReading;

class NameTree {
 public:
  const Node* Find(std::string_view name) const { return Find(name, HashBytes(name)); }
  const Node* Find(std::string_view name, uint64_t hash) const;
  // The node of the longest existing suffix of `name`; null when it is in no zone.
  const Node* ClosestEncloser(std::string_view name) const;
  // The apex above (or at) the node.
  static const Node* ZoneOf(const Node* node);

  // Makes the node and the empty ones above it up to its zone. A name outside of all zones becomes a top of its own.
  Node& Ensure(std::string_view name);
  // Drops the node, and those above it, that nothing needs any more.
  void Prune(Node& node);

  // What the node answers with is about to change otherwise than by the following: `balanced`.
  void BeforeChange(const Node& node) {
    if (!readings_.empty()) TellBeforeChange(node);
  }

  // True when records changed.
  bool AddRecord(std::string_view name, uint16_t type, std::string_view data, uint32_t ttl_s, std::string_view glue = {});
  bool RemoveRecord(std::string_view name, uint16_t type, std::string_view data);

  // Room for so many more names at once.
  void Reserve(size_t more) { nodes_.reserve(nodes_.size() + more); }
  size_t nodes() const { return nodes_.size(); }
  size_t records() const { return records_; }
  // Every apex has NS records; more NS sets than apexes are delegations to other servers.
  bool has_delegations() const { return ns_sets_ > apexes_.size(); }
  const std::set<std::string>& apexes() const { return apexes_; }  // names of all zones
  void Clear();

 private:
  friend class TreeReading;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const { return HashBytes(name); }
    size_t operator()(const std::unique_ptr<Node>& node) const { return HashBytes(node->name); }
  };
  struct Equal {
    using is_transparent = void;
    static std::string_view Name(std::string_view name) { return name; }
    static std::string_view Name(const std::unique_ptr<Node>& node) { return node->name; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return Name(a) == Name(b);
    }
  };

  Node* Encloser(std::string_view name) const;
  void CountSet(const Node& node, uint16_t type, bool add);
  void TellBeforeChange(const Node& node);
  void Link(Node& node);
  void Unlink(Node& node);

  absl::flat_hash_set<std::unique_ptr<Node>, Hash, Equal> nodes_;
  Node *oldest_ = nullptr, *youngest_ = nullptr;
  uint64_t next_number_ = 0;
  mutable std::vector<TreeReading*> readings_;
  size_t records_ = 0;
  size_t ns_sets_ = 0;
  std::set<std::string> apexes_;
  int deepest_ = 0;  // labels of the deepest name ever held: nothing longer needs to be probed
};

}  // namespace fairlead::dns
