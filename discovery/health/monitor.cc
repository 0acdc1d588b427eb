#include "discovery/health/monitor.h"

#include <utility>

namespace fairlead::health {

// One subject between two looks. A look in flight names it by id and generation: by then it may be gone, or another.
class Monitor::Watched final : public io::Timer {
 public:
  Watched(Monitor& monitor, std::string id, uint64_t generation, Subject subject, Nanos now_wall,
          const discovery::CheckedHealth& known)
      : monitor_(monitor), id(std::move(id)), generation(generation), subject(std::move(subject)),
        verdict(this->subject.check, now_wall, known) {}
  ~Watched() { monitor_.proactor_.timers().Remove(*this); }
  void OnTimer() override { monitor_.Due(*this); }

 private:
  Monitor& monitor_;

 public:
  const std::string id;
  const uint64_t generation;
  const Subject subject;
  Verdict verdict;
};

Monitor::Monitor(io::Proactor& proactor, Random& random, Changed changed)
    : proactor_(proactor), random_(random), changed_(std::move(changed)) {}
Monitor::~Monitor() = default;

void Monitor::Watch(const std::string& id, Subject subject, const discovery::CheckedHealth& known) {
  auto& slot = watched_[id];
  if (slot != nullptr && slot->subject == subject) return;
  slot = std::make_unique<Watched>(*this, id, ++generations_, std::move(subject), proactor_.clock().WallNow(), known);
  if (slot->verdict.health().state == discovery::HealthState::kStarting) return LookSoon(*slot);
  Schedule(*slot, static_cast<Nanos>(random_.Below(static_cast<uint64_t>(slot->verdict.check().interval))));
}

void Monitor::Forget(std::string_view id) {
  if (auto found = watched_.find(id); found != watched_.end()) watched_.erase(found);
}

const discovery::CheckedHealth* Monitor::Find(std::string_view id) const {
  auto found = watched_.find(id);
  return found == watched_.end() ? nullptr : &found->second->verdict.health();
}

io::Task<void> Monitor::Stop() {
  watched_.clear();
  queue_.clear();
  co_await probes_.CancelAndJoin();
}

void Monitor::Schedule(Watched& watched, Nanos pause) {
  if (pause == kNever) return;
  // A tenth more or less, so that endpoints that came together are not looked at together for ever.
  const auto spread = static_cast<uint64_t>(pause / 5);
  const Nanos jitter = spread == 0 ? 0 : static_cast<Nanos>(random_.Below(spread)) - pause / 10;
  proactor_.timers().Add(watched, proactor_.Now() + pause + jitter);
}

void Monitor::Due(Watched& watched) {
  queue_.emplace_back(watched.id, watched.generation);
  if (probes_.live() >= kMaxProbes) ++stats_.delayed;
  StartProbes();
}

// In the loop's next turn. A timer would wait for its tick, 4 ms, and with it whoever starts a container.
void Monitor::LookSoon(Watched& watched) {
  queue_.emplace_back(watched.id, watched.generation);
  if (probes_.live() + queue_.size() > kMaxProbes) ++stats_.delayed;
  if (!std::exchange(starting_, true)) probes_.Spawn(StartQueued());
}

io::Task<void> Monitor::StartQueued() {
  co_await io::Yield(proactor_);
  starting_ = false;
  if (!probes_.cancelled()) StartProbes();
}

void Monitor::StartProbes() {
  while (!queue_.empty() && probes_.live() < kMaxProbes) {
    auto [id, generation] = std::move(queue_.front());
    queue_.pop_front();
    auto found = watched_.find(id);
    if (found == watched_.end() || found->second->generation != generation) continue;
    probes_.Spawn(ProbeOne(std::move(id), generation, found->second->subject));
  }
}

io::Task<void> Monitor::ProbeOne(std::string id, uint64_t generation, Subject subject) {
  ++stats_.probes;
  ProbeOutcome outcome = co_await Probe(proactor_, subject.address, subject.check);
  if (outcome.answer != Answer::kGood) ++stats_.failures;
  co_await io::Yield(proactor_);  // `changed` may end in anything, not least in Forget of this one
  auto found = watched_.find(id);
  if (found != watched_.end() && found->second->generation == generation) {
    Watched& watched = *found->second;
    const bool news = watched.verdict.Count(outcome, proactor_.clock().WallNow());
    Schedule(watched, watched.verdict.NextPause());
    if (news) {
      ++stats_.changes;
      const discovery::CheckedHealth health = watched.verdict.health();
      changed_(id, health);
    }
  }
  // This one still counts as live; the last of many starts all that wait.
  if (!queue_.empty() && !probes_.cancelled()) StartProbes();
}

}  // namespace fairlead::health
