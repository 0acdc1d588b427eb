#include "runtime-shim/start_gate.h"

#include <algorithm>
#include <utility>

namespace fairlead::runtime {
namespace {

bool Expects(const AnnouncedStart& start, const ExpectedRequest& request) {
  return std::ranges::find(start.requests, request) != start.requests.end();
}

}  // namespace

void StartGate::Announce(AnnouncedStart start, Nanos now) {
  Ended(start.id);  // of an earlier try
  stats_.announced++;
  if (queue_.size() < kGateQueue) {
    queue_.push_back(std::move(start));
    return;
  }
  stats_.overflows++;
  released_.push_back(start.id);
  BeLate(std::move(start), now);
}

void StartGate::BeLate(AnnouncedStart start, Nanos now) {
  stats_.late++;
  late_.push_back({std::move(start), now + kGateLate});
}

std::optional<Asker> StartGate::Claim(const ExpectedRequest& request, Nanos now) {
  Passed* whose = nullptr;
  size_t candidates = 0;
  auto consider = [&](Passed& passed) {
    if (passed.until <= now || !Expects(passed.start, request)) return;
    candidates++;
    whose = &passed;
  };
  if (current_) consider(*current_);
  for (Passed& passed : late_) consider(passed);
  if (candidates != 1) {
    stats_.ambiguous += candidates > 1 ? 1 : 0;
    return std::nullopt;
  }
  stats_.certain++;
  Asker asker = whose->start.asker;
  std::vector<ExpectedRequest>& open = whose->start.requests;
  open.erase(std::ranges::find(open, request));
  return asker;
}

void StartGate::Ended(const std::string& id) {
  auto is_it = [&](const AnnouncedStart& start) { return start.id == id; };
  for (const AnnouncedStart& start : queue_) {
    if (is_it(start)) released_.push_back(id);  // its runtime must not wait for nothing
  }
  std::erase_if(queue_, is_it);
  if (current_ && is_it(current_->start)) current_.reset();
  std::erase_if(late_, [&](const Passed& passed) { return is_it(passed.start); });
}

void StartGate::PassAnyway(const std::string& id, Nanos now) {
  auto found = std::ranges::find(queue_, id, &AnnouncedStart::id);
  if (found == queue_.end()) return;
  AnnouncedStart start = std::move(*found);
  queue_.erase(found);
  released_.push_back(id);
  BeLate(std::move(start), now);
}

std::vector<std::string> StartGate::Tick(Nanos now) {
  std::erase_if(late_, [&](const Passed& passed) { return passed.start.requests.empty() || passed.until <= now; });
  if (current_ && current_->start.requests.empty()) current_.reset();
  if (current_ && current_->until <= now) {
    BeLate(std::move(current_->start), now);
    current_.reset();
  }
  if (!current_ && !queue_.empty()) {
    released_.push_back(queue_.front().id);
    current_ = {std::move(queue_.front()), now + kGateHold};
    queue_.pop_front();
  }
  return std::exchange(released_, {});
}

Nanos StartGate::NextTick() const {
  Nanos next = current_ ? current_->until : kNever;
  for (const Passed& passed : late_) next = std::min(next, passed.until);
  return next;
}

}  // namespace fairlead::runtime
