#include "runtime-shim/event_source.h"

#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/io/await.h"
#include "base/log.h"

namespace fairlead::runtime {
namespace {

constexpr Nanos kFirstRetry = 100 * kMillisecond, kLongestRetry = 5 * kSecond;

// What of a list's entry tells that the container changed. Status counts minutes: only the health in it is taken.
uint64_t Fingerprint(const ContainerSummary& container) {
  std::string print = Cat(container.state, "|", container.name);
  size_t health = container.status.find('(');
  if (container.state == "running" && health != container.status.npos) print += container.status.substr(health);
  for (const NetworkAttachment& at : container.networks) {
    print += Cat("|", at.network_id, "/", at.endpoint_id, "/", at.ipv4.ToString(), "/", at.ipv6.ToString());
  }
  return StringHash{}(print);
}

// Podman's list says nothing of health: only an inspection does.
bool TellsHealth(const ContainerSummary& container) { return container.status.find('(') != container.status.npos; }

// Its next run had been seen before this event came.
bool IsOfAnEarlierRun(const EngineEvent& death, const discovery::EndpointRow& row) {
  return row.state == discovery::RunState::kRunning && death.time_wall != 0 && death.time_wall < row.since_wall;
}

}  // namespace

EngineWatcher::EngineWatcher(io::Proactor& proactor, Engine& engine, RowContext context, EndpointSink& sink)
    : proactor_(proactor), engine_(engine), context_(std::move(context)), sink_(sink), signal_(proactor), called_(proactor) {}

io::Task<void> EngineWatcher::Run() {
  Nanos pause = kFirstRetry;
  bool logged = false;
  for (;;) {
    Nanos began = proactor_.Now();
    Status ended = co_await Follow();
    bool stopping = ended.code() == StatusCode::kCancelled;
    if (!stopping && (connected_ || !logged))
      LOG(kWarning, "engine not followed", {"engine", context_.engine}, {"reason", Message(ended)});
    logged = true;
    connected_ = false;
    stats_.errors++;
    pause = proactor_.Now() - began > kLongestRetry ? kFirstRetry : std::min(2 * pause, kLongestRetry);
    pausing_ = true;
    io::IoResult woken = co_await called_.Wait(proactor_.Now() + pause);
    pausing_ = false;
    if (!woken.ok() && !woken.timed_out()) co_return;
  }
}

// Subscribing comes first: what happens while the list is made is told by an event, what happened before by the list.
io::Task<Status> EngineWatcher::Follow() {
  auto stream = co_await engine_.Events(last_event_wall_, proactor_.Now() + kListTimeout);
  if (!stream.ok()) co_return stream.status();
  stats_.streams++;
  queue_.clear();
  stream_end_ = OkStatus();
  stream_ended_ = overflow_ = false;
  gap_ = true;
  sought_.clear();
  io::TaskGroup reader, inspections;
  reader.Spawn(Drain(**stream));
  reader.Spawn(FollowStateFile());
  Status ended = co_await FollowEvents(inspections);
  co_await reader.CancelAndJoin();
  co_await inspections.CancelAndJoin();
  co_return ended;
}

// What events do not tell: of Podman the beginning of a stop. The lists take a tenth of the engine's time at most.
io::Task<void> EngineWatcher::FollowStateFile() {
  StatusOr<std::string> path = Unavailable("not asked yet");
  while (!(path = co_await engine_.StateFile(proactor_.Now() + kListTimeout)).ok())
    if (!(co_await io::Sleep(proactor_, kLongestRetry)).ok()) co_return;
  if (path->empty()) co_return;
  timespec seen = {};
  Nanos pause = kStateLook;
  while ((co_await io::Sleep(proactor_, pause)).ok()) {
    pause = kStateLook;
    struct stat file = {};
    if (!AnyRuns() || ::stat(path->c_str(), &file) != 0) continue;
    if (file.st_mtim.tv_sec == seen.tv_sec && file.st_mtim.tv_nsec == seen.tv_nsec) continue;
    const Nanos began = proactor_.Now();
    if (co_await LookForStops()) seen = file.st_mtim;
    pause = std::max(kStateLook, 10 * (proactor_.Now() - began));
  }
}

bool EngineWatcher::AnyRuns() {
  return std::ranges::any_of(containers_, [](const auto& known) { return known.second.runs; });
}

io::Task<bool> EngineWatcher::LookForStops() {
  auto list = co_await engine_.ListContainers(proactor_.Now() + kListTimeout);
  if (!list.ok()) co_return false;
  for (const ContainerSummary& container : *list) {
    const auto row = container.state == "stopping" ? sink_.Find(container.id) : nullptr;
    if (row != nullptr && !row->draining) dirty_.insert(container.id);
  }
  signal_.Set();
  co_return true;
}

// Only drains: dockerd waits 100 ms at every event for a subscriber whose queue is full.
io::Task<void> EngineWatcher::Drain(EventStream& stream) {
  for (;;) {
    auto event = co_await stream.Next();
    if (!event.ok()) {
      stream_end_ = event.status();
      stream_ended_ = true;
      signal_.Set();
      co_return;
    }
    stats_.events++;
    if (queue_.size() < kMaxQueuedEvents) {
      queue_.push_back(*std::move(event));
    } else {
      overflow_ = true;
      stats_.overflows++;
    }
    signal_.Set();
  }
}

io::Task<Status> EngineWatcher::FollowEvents(io::TaskGroup& inspections) {
  next_list_ = proactor_.Now();
  for (;;) {
    if (overflow_) {
      overflow_ = false;
      gap_ = true;
      next_list_ = proactor_.Now();
    }
    if (proactor_.Now() >= next_list_) {
      CO_RETURN_IF_ERROR(co_await List(gap_));
      malloc_trim(0);  // a list takes several times of what is kept of it, and leaves it scattered
      connected_ = true;
      if (std::exchange(gap_, false)) {
        sync_due_ = true;
        sync_by_ = proactor_.Now() + kSyncPatience;
      }
      next_list_ = proactor_.Now() + kRelistInterval;
    }
    while (!queue_.empty()) {
      EngineEvent event = std::move(queue_.front());
      queue_.pop_front();
      Apply(event);
    }
    EndDrains();
    LookAgain();
    StartInspections(inspections);
    bool all_seen = dirty_.empty() && in_flight_.empty() && failed_.empty();
    if (sync_due_ && (all_seen || proactor_.Now() >= sync_by_)) {
      sync_due_ = false;
      sink_.Synced();
    }
    if (stream_ended_ && queue_.empty()) co_return stream_end_;
    io::IoResult woken = co_await signal_.Wait(NextWake());
    if (!woken.ok() && !woken.timed_out()) co_return woken.ToStatus("engine watcher");
    if (woken.timed_out()) dirty_.merge(failed_);
  }
}

// `thorough`: inspect all that may have changed unseen. Else only those whose entry in the list changed.
io::Task<Status> EngineWatcher::List(bool thorough) {
  stats_.lists++;
  auto networks = co_await engine_.ListNetworks(proactor_.Now() + kListTimeout);
  if (!networks.ok()) co_return networks.status();
  drivers_.clear();
  for (const NetworkDetails& network : *networks) {
    drivers_[network.id] = network.driver;
    drivers_[network.name] = network.driver;
    sink_.NetworkSeen(network);
  }
  auto list = co_await engine_.ListContainers(proactor_.Now() + kListTimeout);
  if (!list.ok()) co_return list.status();
  std::set<std::string, std::less<>> present;
  for (const ContainerSummary& container : *list) {
    present.insert(container.id);
    auto known = containers_.find(container.id);
    const uint64_t print = Fingerprint(container);
    const bool same = known != containers_.end() && known->second.print == print && (!known->second.has_health || TellsHealth(container));
    if (same && !thorough) continue;
    fingerprints_[container.id] = print;
    dirty_.insert(container.id);
  }
  std::vector<std::string> gone;
  for (const auto& [id, known] : containers_) {
    if (!present.contains(id)) gone.push_back(id);
  }
  for (const std::string& id : gone) Forget(id);
  co_return OkStatus();
}

void EngineWatcher::Apply(const EngineEvent& event) {
  last_event_wall_ = std::max(last_event_wall_, event.time_wall);
  if (event.type == "network") {
    // connect, disconnect: the container is named in the attributes. create: its name and driver are learned by a list.
    auto container = event.attributes.find("container");
    if (container != event.attributes.end()) Touch(container->second);
    if (event.action == "create") next_list_ = proactor_.Now();
    return;
  }
  if (event.type != "container") return;
  if (event.action == "destroy") return Forget(event.id);
  if (event.action == "kill") return ApplyKill(event);
  if (event.action == "die") ApplyDeath(event);
  Touch(event.id);
  if (event.time_wall != 0) told_.emplace(event.id, event.time_wall);  // the first that is not seen yet
  if (event.early) look_again_[event.id] = proactor_.Now() + kLookAgain;
}

// At once: the inspection may have to wait while the engine tears the container down.
void EngineWatcher::ApplyDeath(const EngineEvent& event) {
  const auto told = sink_.Find(event.id);
  if (told == nullptr || IsOfAnEarlierRun(event, *told)) return;
  stops_.erase(event.id);
  discovery::EndpointRow row = *told;
  if (auto known = containers_.find(event.id); known != containers_.end()) known->second.runs = false;
  row.state = discovery::RunState::kExited;
  row.draining = false;
  row.pid = 0;
  row.since_wall = event.time_wall;
  Tell(std::move(row), event.time_wall);
}

void EngineWatcher::Tell(discovery::EndpointRow row, Nanos event_wall) {
  sink_.Upsert(std::move(row));
  if (lag_ != nullptr && event_wall != 0) lag_->Observe(std::max<Nanos>(0, proactor_.clock().WallNow() - event_wall));
}

// To be looked at, and again after the next list: of several events the later ones may be lost.
void EngineWatcher::Touch(const std::string& id) {
  dirty_.insert(id);
  fingerprints_.erase(id);
}

// The earliest word of a stop. Signals that programs use among themselves (HUP, USR1…) say nothing of it.
void EngineWatcher::ApplyKill(const EngineEvent& event) {
  const auto told = sink_.Find(event.id);
  discovery::EndpointRow row = told == nullptr ? discovery::EndpointRow() : *told;
  auto attribute = event.attributes.find("signal");
  int signal = attribute == event.attributes.end() ? 0 : SignalNumber(attribute->second);
  bool stops = signal == SIGKILL || signal == SIGINT || signal == SIGQUIT || signal == SignalNumber(row.stop_signal);
  if (!stops || signal == 0) return;
  stops_[event.id] = {event.time_wall, proactor_.Now() + row.stop_timeout_s * kSecond + kStopGrace};
  if (row.state != discovery::RunState::kRunning) return;  // it started a moment ago: its inspection, under way, will show it
  row.draining = true;
  Tell(std::move(row), event.time_wall);
}

// It outlived its stop: an inspection tells whether it goes on.
void EngineWatcher::EndDrains() {
  std::erase_if(stops_, [&](const auto& stop) {
    if (stop.second.until > proactor_.Now()) return false;
    dirty_.insert(stop.first);
    return true;
  });
}

void EngineWatcher::LookAgain() {
  std::erase_if(look_again_, [&](const auto& entry) {
    if (entry.second > proactor_.Now()) return false;
    dirty_.insert(entry.first);
    return true;
  });
}

Nanos EngineWatcher::NextWake() const {
  Nanos wake = failed_.empty() ? next_list_ : std::min(next_list_, proactor_.Now() + kFirstRetry);
  if (sync_due_) wake = std::min(wake, sync_by_);
  for (const auto& [id, at] : look_again_) wake = std::min(wake, at);
  for (const auto& [id, stop] : stops_) wake = std::min(wake, stop.until);
  return wake;
}

// Beside the events: a container that is being started answers late, and must not hold back another one's drain.
void EngineWatcher::StartInspections(io::TaskGroup& inspections) {
  std::vector<std::string> next;
  for (const std::string& id : dirty_) {
    if (in_flight_.size() + next.size() >= kParallelInspections) break;
    if (!in_flight_.contains(id)) next.push_back(id);
  }
  for (const std::string& id : next) {
    dirty_.erase(id);
    in_flight_.insert(id);
    inspections.Spawn(Inspect(id));
  }
}

io::Task<void> EngineWatcher::Inspect(std::string id) {
  stats_.inspections++;
  auto container = co_await engine_.InspectContainer(id, proactor_.Now() + kInspectTimeout);
  in_flight_.erase(id);
  bool gone = !container.ok() && container.status().code() == StatusCode::kNotFound;
  if (gone) {
    Forget(id);
  } else if (!container.ok()) {
    failed_.insert(id);
  } else if (!dirty_.contains(id)) {
    Accept(*container);
  }  // else something happened since it was asked: the answer may be of before that, and it is asked again
  signal_.Set();
}

void EngineWatcher::Accept(const ContainerDetails& container) {
  discovery::EndpointRow row = BuildRow(context_, drivers_, container, names_);
  if (auto stop = stops_.find(container.id); stop != stops_.end()) {
    const bool earlier_run = stop->second.told_wall != 0 && stop->second.told_wall < container.started_wall;
    if (earlier_run || row.state != discovery::RunState::kRunning) stops_.erase(stop);
  }
  row.draining = stops_.contains(container.id) || container.state == "stopping";
  auto print = fingerprints_.extract(container.id);
  if (print) sync_by_ = proactor_.Now() + kSyncPatience;  // of the list, once each: events do not put it off
  containers_[container.id] = {print ? print.mapped() : 0,  // after an event the next list is looked into
                               row.state == discovery::RunState::kRunning, row.health != discovery::HealthState::kNone};
  sink_.Inspected(container);
  SeekNetworks(container);
  const auto told = told_.extract(container.id);
  Tell(std::move(row), told ? told.mapped() : 0);
}

// A network that no event told of (Podman tells of none) is learned by a list, asked for once.
void EngineWatcher::SeekNetworks(const ContainerDetails& container) {
  for (const NetworkAttachment& at : container.networks) {
    if (at.network_id.empty() || drivers_.contains(at.network_id) || !sought_.insert(at.network_id).second) continue;
    next_list_ = proactor_.Now();
    dirty_.insert(container.id);
  }
}

void EngineWatcher::Forget(const std::string& id) {
  std::string gone = id;
  dirty_.erase(gone);
  if (in_flight_.contains(gone)) dirty_.insert(gone);  // what is being told of it may be of before that
  look_again_.erase(gone);
  failed_.erase(gone);
  fingerprints_.erase(gone);
  stops_.erase(gone);
  told_.erase(gone);
  if (containers_.erase(gone) != 0) sink_.Remove(std::move(gone));
}

}  // namespace fairlead::runtime
