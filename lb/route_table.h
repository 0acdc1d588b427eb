// RouteTable: which target serves (host, path, listener). One per worker, and one in the control thread for `why`.
// A host's routes are replaced as a whole, so a change costs what that host has, never the table.
//
// Order of choice: exact host, then the wildcard "*.x" with most labels, then "*"; within a host the longest path
// prefix. A host without a matching prefix falls through to the next wider one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>



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

template <class Target>
class RouteTable {
 public:
  struct Entry {
    std::string path_prefix;
    uint64_t listeners = ~uint64_t{0};  // bit i: listener i
    Target target;
  };

  // Replaces all routes of a host; none removes the host.
  void Set(std::string_view host, std::vector<Entry> routes) {
    std::vector<Entry> entries;  // longest prefix first; equal ones stay in the order they came
    for (Entry& route : routes) {
      auto shorter = std::ranges::find_if(
          entries, [&](const Entry& e) { return e.path_prefix.size() < route.path_prefix.size(); });
      entries.insert(shorter, std::move(route));
    }
    size_t slot = FindSlot(host);
    if (slots_.empty() || slots_[slot].state != Slot::kUsed) {
      if (entries.empty()) return;
      if ((filled_ + 1) * 2 > slots_.size()) Grow();
      slot = FreeSlot(host);
      if (slots_[slot].state == Slot::kEmpty) ++filled_;
      slots_[slot].state = Slot::kUsed;
      slots_[slot].hash = Hash(host);
      slots_[slot].host = host;
    }
    if (entries.empty()) {
      slots_[slot] = Slot{};
      slots_[slot].state = Slot::kRemoved;
      return;
    }
    slots_[slot].entries = std::move(entries);
  }

  const Entry* Find(std::string_view host_with_port, std::string_view path, int listener) const {
    HostKey key(host_with_port);
    std::string_view host = key.view();
    if (const Entry* entry = Match(host, path, listener)) return entry;
    for (size_t dot = host.find('.'); dot != host.npos; dot = host.find('.', dot + 1)) {
      char wildcard[kMaxHostBytes + 2];
      wildcard[0] = '*';
      std::string_view rest = host.substr(dot);
      rest.copy(wildcard + 1, rest.size());
      if (const Entry* entry = Match({wildcard, rest.size() + 1}, path, listener)) return entry;
    }
    return Match("*", path, listener);
  }

  // Calls visit(host, entry) for every route.
  template <class Visit>
  void ForEach(Visit visit) const {
    for (const Slot& slot : slots_)
      if (slot.state == Slot::kUsed)
        for (const Entry& entry : slot.entries) visit(std::string_view(slot.host), entry);
  }

 private:
  struct Slot {
    enum State : uint8_t { kEmpty, kUsed, kRemoved } state = kEmpty;
    uint64_t hash = 0;
    std::string host;
    std::vector<Entry> entries;
  };

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

  const Entry* Match(std::string_view host, std::string_view path, int listener) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[FindSlot(host)];
    if (slot.state != Slot::kUsed) return nullptr;
    for (const Entry& entry : slot.entries)
      if ((entry.listeners >> listener & 1) != 0 && path.starts_with(entry.path_prefix)) return &entry;
    return nullptr;
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
  size_t filled_ = 0;  // used and removed
};

}  // namespace fairlead::lb
