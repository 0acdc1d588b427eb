// ChangeInbox: changes on their way to one worker, in order. The control thread puts them in. The worker takes them before
// it routes, so that a change which only adds is in effect as soon as it lies here: nobody needs to be woken for it. What
// takes something away has work to do besides (idle connections close), so the worker is told to look now.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "lb/change_set.h"

namespace fairlead::lb {

class ChangeInbox {
 public:
  using Changes = std::shared_ptr<const ChangeSet>;

  // From any thread. Gives how many wait now.
  size_t Put(Changes changes) {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(changes));
    empty_.store(false, std::memory_order_release);
    return waiting_.size();
  }
  bool empty() const { return empty_.load(std::memory_order_acquire); }
  std::vector<Changes> Take() {
    std::lock_guard lock(mutex_);
    empty_.store(true, std::memory_order_relaxed);
    return std::exchange(waiting_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Changes> waiting_;
  std::atomic<bool> empty_ = true;
};

}  // namespace fairlead::lb
