// Verdict: what the checkers found in one run, and the story of the run for whoever reads a failure.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/sim/sim_world.h"
#include "base/strings.h"

namespace fairlead::fleet {

struct Finding {
  std::string checker;
  std::string what;
  Nanos when;
};

class Verdict {
 public:
  static constexpr size_t kMaxFindings = 8;   // the first ones tell; the rest follows from them
  static constexpr size_t kMaxStory = 20'000;  // lines

  explicit Verdict(const Clock& clock) : clock_(clock) {}

  void Fail(std::string_view checker, std::string what) {
    Tell(Cat("FAILED ", checker, ": ", what));
    if (findings_.size() < kMaxFindings) findings_.push_back({std::string(checker), std::move(what), clock_.Now()});
  }
  void Tell(std::string line) {
    if (story_.size() == kMaxStory) story_.pop_front();
    story_.push_back(Cat(clock_.Now() / kMillisecond, " ms  ", line));
  }
  const std::vector<Finding>& findings() const { return findings_; }
  const std::deque<std::string>& story() const { return story_; }

 private:
  const Clock& clock_;
  std::vector<Finding> findings_;
  std::deque<std::string> story_;
};

}  // namespace fairlead::fleet
