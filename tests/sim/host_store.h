// HostLeaseStore: the lease database on the disk of a host: it outlives the agent, is down with it, and may be full.
#pragma once

#include <deque>

#include "ipam/memory_lease_store.h"
#include "tests/sim/planted.h"

namespace fairlead::fleet {

class HostLeaseStore final : public ipam::LeaseStore {
 public:
  explicit HostLeaseStore(Bug bug) : bug_(bug) {}

  void SetFull(bool full) { full_ = full; }
  // Nothing is written between them.
  void CrashNow() {
    down_ = true;
    answered_.clear();
  }
  void Restart() { down_ = false; }

  StatusOr<ipam::StoredState> Load() override {
    if (down_) return Unavailable("lease store: the host is down");
    return content_.Load();
  }
  StatusOr<uint64_t> Commit(const ipam::LeaseBatch& batch) override {
    if (down_) return Unavailable("lease store: the host is down");
    if (full_ && bug_ == Bug::kFullDiskSwallowed) return revision_ + 1;
    if (full_) return ResourceExhausted("lease store: the disk is full");
    if (bug_ == Bug::kAckBeforeWrite) {
      answered_.push_back(batch);
      if (answered_.size() > 2) {
        (void)Write(answered_.front());
        answered_.pop_front();
      }
      return revision_ + answered_.size();
    }
    return Write(batch);
  }
  StatusOr<std::vector<ipam::HistoryEntry>> History(std::string_view pool, const IpAddress& ip) override {
    return content_.History(pool, ip);
  }
  Status ForgetHistory(Nanos to_wall) override {
    return down_ ? Unavailable("lease store: the host is down") : content_.ForgetHistory(to_wall);
  }

 private:
  StatusOr<uint64_t> Write(const ipam::LeaseBatch& batch) {
    StatusOr<uint64_t> revision = content_.Commit(batch);
    if (revision.ok()) revision_ = *revision;
    return revision;
  }

  const Bug bug_;
  ipam::MemoryLeaseStore content_;
  uint64_t revision_ = 0;
  bool full_ = false, down_ = false;
  std::deque<ipam::LeaseBatch> answered_;  // of the planted bug: not written yet
};

}  // namespace fairlead::fleet
