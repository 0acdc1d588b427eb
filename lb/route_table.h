// RouteTable: which target serves a request at a listener. One per worker, and one in the control thread for `why`.
// A host's routes are replaced as a whole, so a change costs what that host has, never the table.
//
// Order of choice: the highest priority first; of equal ones the narrower host (exact, then the wildcard "*.x" with most
// labels, then "*"), then the longer path prefix, then the one that came first. A route is chosen if its condition, if
// it has one, holds. By default priorities follow host and path in that order too (HostPriority), so a request meets the
// routes of its host first, and in most tables no others.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "discovery/rule_match.h"

namespace fairlead::lb {

inline constexpr size_t kMaxHostBytes = 255;  // RFC 1035 §2.3.4

// A host as it is looked up: lower case, without port and final dot. Lives on the stack of the lookup.
class HostKey {
 public:
  explicit HostKey(std::string_view host_with_port) {
    std::string_view host = WithoutPort(host_with_port);
    if (host.ends_with('.')) host.remove_suffix(1);
    if (host.size() > kMaxHostBytes) return;
    bytes_ = host.size();
    host.copy(text_, bytes_);  // a request of HTTP/1.0 may have none: memcpy takes no null
    std::memset(text_ + bytes_, 0, 8);  // the last word of the loop and of Hash() reads past the end
    for (size_t i = 0; i < bytes_; i += 8) LowerWord(text_ + i);
  }
  std::string_view view() const { return {text_, bytes_}; }

  static std::string_view WithoutPort(std::string_view host) {
    if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
    return host.substr(0, host.find(':'));
  }

 private:
  // Sets bit 5 of the bytes A-Z of an aligned or unaligned word; bytes above 0x7F stay.
  static void LowerWord(char* at) {
    uint64_t w;
    std::memcpy(&w, at, 8);
    constexpr uint64_t kOnes = 0x0101010101010101;
    uint64_t low7 = w & (kOnes * 0x7f);
    uint64_t from_a = low7 + kOnes * (0x80 - 'A');
    uint64_t past_z = low7 + kOnes * (0x80 - 'Z' - 1);
    uint64_t upper = (from_a ^ past_z) & ~w & (kOnes * 0x80);
    w |= upper >> 2;
    std::memcpy(at, &w, 8);
  }

  char text_[kMaxHostBytes + 9];
  size_t bytes_ = 0;
};

// The priority of a route of hosts and a path: exact hosts above wildcards with more labels above those with fewer above
// "*", and within each the longer path.
inline int64_t HostPriority(std::string_view host, std::string_view path_prefix) {
  int64_t rank = 255;
  if (host == "*") {
    rank = 0;
  } else if (host.starts_with("*.")) {
    rank = std::count(host.begin(), host.end(), '.');
  }
  return rank * 65'536 + static_cast<int64_t>(std::min<size_t>(path_prefix.size(), 65'535));
}

template <class Target>
class RouteTable {
 public:
  struct Entry {
    std::string path_prefix;
    uint64_t listeners = ~uint64_t{0};  // bit i: listener i
    Target target;
    int64_t priority = 0;               // 0: HostPriority()
    std::shared_ptr<const discovery::Condition> condition = {};  // asked after host and path; null: nothing is left to ask
  };

  // Replaces all routes of a host; none removes the host.
  void Set(std::string_view host, std::vector<Entry> routes) {
    size_t slot = FindSlot(host);
    const bool known = !slots_.empty() && slots_[slot].state == Slot::kUsed;
    if (known && !IsExact(host)) ForgetWide(slots_[slot].bucket.best);
    if (routes.empty()) {
      if (!known) return;
      slots_[slot] = Slot{};
      slots_[slot].state = Slot::kRemoved;
      return;
    }
    if (!known) {
      if ((filled_ + 1) * 2 > slots_.size()) Grow();
      slot = FreeSlot(host);
      if (slots_[slot].state == Slot::kEmpty) ++filled_;
      slots_[slot].state = Slot::kUsed;
      slots_[slot].hash = Hash(host);
      slots_[slot].host = host;
    }
    slots_[slot].bucket = MakeBucket(host, std::move(routes));
    if (!IsExact(host)) ++wide_[slots_[slot].bucket.best];
  }

  // `request.host` is a HostKey's view, its path begins with "/".
  const Entry* Find(const discovery::RequestView& request, int listener) const {
    const Entry* best = nullptr;
    ForEachBucket(request.host, [&](const Bucket& bucket) {
      if (best != nullptr && bucket.best <= best->priority) return;
      Choose(bucket, request, listener, best);
    }, [&] { return best != nullptr && (wide_.empty() || wide_.rbegin()->first <= best->priority); });
    return best;
  }

  // Calls visit(entry, holds) for every route that is looked at for such a request at most: those of its host and of
  // wider ones whose prefix its path has. In no order.
  template <class Visit>
  void ForEachCandidate(const discovery::RequestView& request, int listener, Visit visit) const {
    ForEachBucket(request.host, [&](const Bucket& bucket) {
      for (const Node* node = bucket.Longest(request.path); node != nullptr; node = bucket.Shorter(node))
        for (const Entry& entry : node->entries)
          if ((entry.listeners >> listener & 1) != 0) visit(entry, entry.condition == nullptr || entry.condition->Holds(request));
    }, [] { return false; });
  }

 private:
  // The routes of one prefix, highest priority first.
  struct Node {
    std::string path_prefix;
    int32_t shorter = -1;  // index of the longest other prefix that this one begins with
    std::vector<Entry> entries;
  };
  // The routes of one host by their prefixes, sorted as bytes.
  struct Bucket {
    std::vector<Node> nodes;
    int64_t best = 0;      // highest priority

    // The longest prefix of a path sorts before the path, and whatever sorts between the two begins with it too.
    const Node* Longest(std::string_view path) const {
      auto behind = std::upper_bound(nodes.begin(), nodes.end(), path,
                                     [](std::string_view p, const Node& node) { return p < node.path_prefix; });
      if (behind == nodes.begin()) return nullptr;
      const Node* node = &*std::prev(behind);
      while (node != nullptr && !path.starts_with(node->path_prefix)) node = Shorter(node);
      return node;
    }
    const Node* Shorter(const Node* node) const {
      return node->shorter < 0 ? nullptr : &nodes[static_cast<size_t>(node->shorter)];
    }
  };
  struct Slot {
    enum State : uint8_t { kEmpty, kUsed, kRemoved } state = kEmpty;
    uint64_t hash = 0;
    std::string host;
    Bucket bucket;
  };

  static bool IsExact(std::string_view host) { return !host.starts_with('*'); }
  void ForgetWide(int64_t priority) {
    auto at = wide_.find(priority);
    if (--at->second == 0) wide_.erase(at);
  }

  static Bucket MakeBucket(std::string_view host, std::vector<Entry> routes) {
    for (Entry& route : routes)
      if (route.priority == 0) route.priority = HostPriority(host, route.path_prefix);
    std::vector<uint32_t> order(routes.size());
    for (uint32_t i = 0; i < order.size(); i++) order[i] = i;
    std::ranges::sort(order, {}, [&](uint32_t i) {
      return std::tuple(std::string_view(routes[i].path_prefix), -routes[i].priority, i);
    });
    Bucket bucket;
    bucket.best = std::numeric_limits<int64_t>::min();
    for (uint32_t i : order) {
      Entry& route = routes[i];
      bucket.best = std::max(bucket.best, route.priority);
      if (bucket.nodes.empty() || bucket.nodes.back().path_prefix != route.path_prefix) {
        int32_t shorter = static_cast<int32_t>(bucket.nodes.size()) - 1;
        while (shorter >= 0 && !route.path_prefix.starts_with(bucket.nodes[static_cast<size_t>(shorter)].path_prefix))
          shorter = bucket.nodes[static_cast<size_t>(shorter)].shorter;
        bucket.nodes.push_back({route.path_prefix, shorter, {}});
      }
      bucket.nodes.back().entries.push_back(std::move(route));
    }
    return bucket;
  }

  // Makes the bucket's choice `best` if it goes before it. Ties stay with what came: wider hosts and shorter paths come
  // later.
  static void Choose(const Bucket& bucket, const discovery::RequestView& request, int listener, const Entry*& best) {
    for (const Node* node = bucket.Longest(request.path); node != nullptr; node = bucket.Shorter(node))
      for (const Entry& entry : node->entries) {
        if (best != nullptr && entry.priority <= best->priority) break;
        if ((entry.listeners >> listener & 1) == 0) continue;
        if (entry.condition != nullptr && !entry.condition->Holds(request)) continue;
        best = &entry;
        break;
      }
  }

  // The routes of the host, of each wildcard that it meets, and of "*", until done().
  template <class Visit, class Done>
  void ForEachBucket(std::string_view host, Visit visit, Done done) const {
    if (slots_.empty()) return;
    VisitBucket(host, visit);
    if (done()) return;
    for (size_t dot = host.find('.'); dot != host.npos; dot = host.find('.', dot + 1)) {
      char wildcard[kMaxHostBytes + 2];
      wildcard[0] = '*';
      std::string_view rest = host.substr(dot);
      rest.copy(wildcard + 1, rest.size());
      VisitBucket({wildcard, rest.size() + 1}, visit);
      if (done()) return;
    }
    VisitBucket("*", visit);
  }
  template <class Visit>
  void VisitBucket(std::string_view host, Visit& visit) const {
    const Slot& slot = slots_[FindSlot(host)];
    if (slot.state == Slot::kUsed) visit(slot.bucket);
  }

  static uint64_t Mix(uint64_t a, uint64_t b) {
    auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  static uint64_t Hash(std::string_view s) {
    const char* p = s.data();
    size_t n = s.size();
    uint64_t h = 0x9e3779b97f4a7c15 ^ n;
    uint64_t word = 0;
    for (; n >= 8; n -= 8, p += 8) {
      std::memcpy(&word, p, 8);
      h = Mix(h ^ word, 0xa0761d6478bd642f);
    }
    word = 0;
    if (n != 0) std::memcpy(&word, p, n);
    return Mix(h ^ word, 0xe7037ed1a0b428db);
  }

  // The slot of `host`, or the empty one at which the search for it ends.
  size_t FindSlot(std::string_view host) const {
    if (slots_.empty()) return 0;
    uint64_t hash = Hash(host);
    size_t mask = slots_.size() - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
      const Slot& slot = slots_[i];
      if (slot.state == Slot::kEmpty) return i;
      if (slot.state == Slot::kUsed && slot.hash == hash && slot.host == host) return i;
    }
  }
  size_t FreeSlot(std::string_view host) const {
    size_t mask = slots_.size() - 1;
    size_t i = Hash(host) & mask;
    while (slots_[i].state == Slot::kUsed) i = (i + 1) & mask;
    return i;
  }
  // Also sweeps out removed slots, so that churn of hosts does not fill the table.
  void Grow() {
    size_t used = 0;
    for (const Slot& slot : slots_) used += slot.state == Slot::kUsed;
    size_t size = 16;
    while (size < (used + 1) * 4) size *= 2;
    std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(size));
    filled_ = used;
    for (Slot& slot : old)
      if (slot.state == Slot::kUsed) slots_[FreeSlot(slot.host)] = std::move(slot);
  }

  std::vector<Slot> slots_;
  std::map<int64_t, size_t> wide_;  // highest priorities of the hosts that are wildcards, with their number
  size_t filled_ = 0;  // used and removed
};

}  // namespace fairlead::lb
