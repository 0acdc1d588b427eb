#include "base/sim/sim_offload.h"

#include <utility>

namespace fairlead::sim {

SimOffload::~SimOffload() {
  while (!calls_.empty()) RunNext();
}

void SimOffload::Submit(io::OffloadedCall& call) {
  calls_.push_back(&call);
  if (calls_.size() == 1) Expect();
}

void SimOffload::Before(size_t nth, std::function<void()> happening) {
  CHECK(nth > 0);
  happens_before_ = done_ + nth;
  happening_ = std::move(happening);
}

void SimOffload::Expect() {
  world_.After(world_.UpTo(longest_), [this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    RunNext();
    if (!calls_.empty()) Expect();
  });
}

void SimOffload::RunNext() {
  io::OffloadedCall& call = *calls_.front();
  if (++done_ == happens_before_) std::exchange(happening_, nullptr)();
  call.Call();
  calls_.pop_front();
  world_.Trace(done_);
  call.proactor->PostFromAnyThread(call);
}

}  // namespace fairlead::sim
