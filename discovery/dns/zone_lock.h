// ZoneLock: one zone for several workers. Who answers from it holds the lock of its own worker, which nobody else wants but
// for a change: it is never waited for, and no two workers write one cache line. Who changes the zone takes the locks of
// all. So nobody answers while a change is half done, and once any worker has answered with it, none answers without it.
// A server of one worker has no locks. Why not a snapshot: docs/decisions/0009-dns-workers.md.
#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include "discovery/row.h"

namespace fairlead::dns {

class ZoneLock {
 public:
  explicit ZoneLock(size_t workers) : seats_(workers > 1 ? workers : 0) {}

  // For one answer, on the worker's thread.
  [[nodiscard]] std::unique_lock<std::mutex> Read(size_t worker) {
    return seats_.empty() ? std::unique_lock<std::mutex>() : std::unique_lock(seats_[worker].mutex);
  }

  // Alone with the zone, on any thread.
  class [[nodiscard]] Alone {
   public:
    explicit Alone(ZoneLock& lock) : lock_(lock) {
      for (Seat& seat : lock_.seats_) seat.mutex.lock();
    }
    Alone(const Alone&) = delete;
    ~Alone() {
      for (Seat& seat : lock_.seats_) seat.mutex.unlock();
    }

   private:
    ZoneLock& lock_;
  };

 private:
  struct alignas(64) Seat {
    std::mutex mutex;
  };
  std::vector<Seat> seats_;
};

// In front of a zone: each list of changes is one step.
class ChangesAlone final : public discovery::ChangeListener {
 public:
  ChangesAlone(ZoneLock& lock, discovery::ChangeListener& zone) : lock_(lock), zone_(zone) {}
  void OnChanges(const std::vector<discovery::Change>& changes) override {
    ZoneLock::Alone alone(lock_);
    zone_.OnChanges(changes);
  }

 private:
  ZoneLock& lock_;
  discovery::ChangeListener& zone_;
};

}  // namespace fairlead::dns
