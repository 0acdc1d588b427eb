// MemoryLeaseStore is the LeaseStore of tests and benchmarks: no disk, and faults on demand. What a crash leaves behind
// is its content: give the same object to a new Ipam. One thread.
#pragma once

#include <map>

#include "ipam/lease_store.h"

namespace fairlead::ipam {

class MemoryLeaseStore final : public LeaseStore {
 public:
  enum class Fault {
    kFull,         // ResourceExhausted, nothing written
    kLostAnswer,   // Unavailable, yet written: the outcome that a caller cannot know
    kNotWritten,   // Unavailable, nothing written
    kCrash,        // as kNotWritten, and every later call fails until Restart()
    kCrashWritten  // as kLostAnswer, and every later call fails until Restart()
  };
  explicit MemoryLeaseStore(uint64_t history_per_pool = kHistoryPerPool) : history_per_pool_(history_per_pool) {}
  // The n-th Commit from now (1: the next one) meets the fault.
  void FailCommit(uint64_t n, Fault fault);
  void Restart() { crashed_ = false; }
  uint64_t commits() const { return commits_; }  // tried ones

  StatusOr<StoredState> Load() override;
  StatusOr<uint64_t> Commit(const LeaseBatch& batch) override;
  StatusOr<std::vector<HistoryEntry>> History(std::string_view pool, const IpAddress& ip) override;
  Status ForgetHistory(Nanos to_wall) override;

 private:
  struct Content {
    uint64_t revision = 0;
    std::map<std::string, StoredPool> pools;
    std::map<LeaseKey, Lease> leases;
    std::map<std::pair<std::string, IpAddress>, LeaseKey> holders;
    std::map<std::string, std::map<uint64_t, HistoryEntry>> history;  // by pool and number
  };
  Status Apply(const LeaseBatch& batch, Content& content) const;
  static Status Check(const LeaseBatch& batch, const Content& content);

  const uint64_t history_per_pool_;
  Content content_;
  uint64_t commits_ = 0;
  uint64_t fail_at_ = 0;
  Fault fault_ = Fault::kFull;
  bool crashed_ = false;
};

}  // namespace fairlead::ipam
