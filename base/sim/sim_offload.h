// SimOffload: runs blocking calls in order, each after a time from the seed, as events of the world: between two turns of
// the worker, never within one. A test may have something happen (a crash, a full disk) before the nth call.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "base/io/offload.h"
#include "base/sim/sim_world.h"

namespace fairlead::sim {

class SimOffload final : public io::Offload {
 public:
  explicit SimOffload(SimWorld& world, Nanos longest = kMillisecond) : world_(world), longest_(longest) {}
  ~SimOffload() override;  // runs what was submitted
  void Submit(io::OffloadedCall& call) override;
  size_t queued() const override { return calls_.size(); }

  // Runs `happening` before the nth call from now (1: the next one). The calls go on: what they find is its doing.
  void Before(size_t nth, std::function<void()> happening);
  uint64_t calls() const { return done_; }

 private:
  void Expect();
  void RunNext();

  SimWorld& world_;
  const Nanos longest_;                // of a call
  std::deque<io::OffloadedCall*> calls_;
  uint64_t done_ = 0, happens_before_ = 0;
  std::function<void()> happening_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for events that are still to come
};

}  // namespace fairlead::sim
