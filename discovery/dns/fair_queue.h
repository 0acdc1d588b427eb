// A queue in which everybody has his turn: one asker with thousands of questions delays another's one question by one.
// Bounded per asker and as a whole.
#pragma once

#include <deque>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/net/ip_address.h"

namespace fairlead::dns {

template <class T>
class FairQueue {
 public:
  FairQueue(size_t per_asker, size_t total) : per_asker_(per_asker), total_(total) {}

  // False: there is no room for this asker.
  bool Push(const IpAddress& asker, T item) {
    auto [it, is_new] = items_.try_emplace(asker);
    if (size_ >= total_ || it->second.size() >= per_asker_) {
      if (is_new) items_.erase(it);
      return false;
    }
    if (is_new) turns_.push_back(asker);
    it->second.push_back(std::move(item));
    ++size_;
    return true;
  }
  // The next asker's first; nothing when it is empty.
  std::optional<T> Pop() {
    if (turns_.empty()) return std::nullopt;
    auto it = items_.find(turns_.front());
    std::optional<T> item = std::move(it->second.front());
    it->second.pop_front();
    --size_;
    if (it->second.empty()) {
      items_.erase(it);
      turns_.pop_front();
    } else {
      turns_.splice(turns_.end(), turns_, turns_.begin());
    }
    return item;
  }
  size_t size() const { return size_; }

 private:
  size_t per_asker_, total_, size_ = 0;
  std::unordered_map<IpAddress, std::deque<T>, IpAddressHash> items_;
  std::list<IpAddress> turns_;  // askers that have something in it
};

}  // namespace fairlead::dns
