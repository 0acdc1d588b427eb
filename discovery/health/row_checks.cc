#include "discovery/health/row_checks.h"

#include <utility>

#include "base/strings.h"

namespace fairlead::health {

using discovery::CheckKind;
using discovery::EndpointRow;
using discovery::ServiceEntry;

namespace {

std::string IdOf(std::string_view key, size_t entry) { return Cat(key, "#", entry); }

// Whom its HEALTHCHECK alone calls unhealthy may go on serving when its service fails open, but not if it refuses
// connections: so somebody must look.
discovery::HealthCheck CheckOf(const EndpointRow& row, const ServiceEntry& entry) {
  const bool of_engine = entry.check.kind == CheckKind::kNone && row.health == discovery::HealthState::kUnhealthy;
  return of_engine && entry.protocol != "udp" ? discovery::HealthCheck{.kind = CheckKind::kTcp} : entry.check;
}

// What is stopped, paused or told to stop answers for itself.
bool Wanted(const EndpointRow& row, const ServiceEntry& entry) {
  return CheckOf(row, entry).kind != CheckKind::kNone && entry.published() && row.state == discovery::RunState::kRunning &&
         !row.draining;
}

// Reached, and nobody asked for more.
bool Settled(const ServiceEntry& entry) {
  return entry.check.kind == CheckKind::kReachable && entry.health.state == discovery::HealthState::kHealthy;
}

// What the engine says now, and what it said before of the same run.
void RememberEngine(const EndpointRow* before, EndpointRow& row, Nanos now_wall) {
  if (row.health == discovery::HealthState::kNone) return;
  const bool same_run = before != nullptr && before->uid == row.uid;
  row.was_healthy = row.health == discovery::HealthState::kHealthy || (same_run && before->was_healthy);
  row.health_since_wall = same_run && before->health == row.health ? before->health_since_wall : now_wall;
}

}  // namespace

Monitor::Subject SubjectOf(const EndpointRow& row, const ServiceEntry& entry) {
  const uint16_t port = entry.check.port != 0 ? entry.check.port : entry.port;
  return {row.uid, SocketAddress(entry.ip, port), entry.check};
}

RowChecks::RowChecks(io::Proactor& proactor, Random& random, Publish publish, Published published)
    : proactor_(proactor), publish_(std::move(publish)), published_(std::move(published)), looked_(proactor),
      monitor_(proactor, random, [this](const std::string& id, const discovery::CheckedHealth&) { HealthChanged(id); }) {}

RowChecks::RowPtr RowChecks::Find(std::string_view key) const {
  auto kept = kept_back_.find(key);
  return kept == kept_back_.end() ? published_(key) : kept->second.row;
}

void RowChecks::Upsert(EndpointRow row) {
  const std::string key = KeyOf(row);
  const RowPtr before = Find(key);
  RememberEngine(before.get(), row, proactor_.clock().WallNow());
  const bool watched = Look(key, before.get(), row);
  if (watched && Keeps(key, before.get()) && !LookedAt(key, row)) {
    const Nanos until = first_look_ ? kNever : proactor_.Now() + kPatience;
    kept_back_.try_emplace(key, nullptr, until).first->second.row = std::make_shared<const EndpointRow>(std::move(row));
    if (!first_look_ && patience_.live() == 0) patience_.Spawn(LosePatience());
    return;
  }
  kept_back_.erase(key);
  Tell(key, std::move(row));
}

// Not what takes somebody's place who may have traffic.
bool RowChecks::Keeps(const std::string& key, const EndpointRow* before) const {
  return first_look_ || before == nullptr || before->state != discovery::RunState::kRunning || kept_back_.contains(key);
}

io::Task<void> RowChecks::LosePatience() {
  while (!kept_back_.empty() && (co_await io::Sleep(proactor_, kPatience)).ok()) TellKept(proactor_.Now());
}

void RowChecks::TellKept(Nanos until) {
  for (auto next = kept_back_.begin(); next != kept_back_.end();) {
    auto kept = next++;
    if (kept->second.until > until) continue;
    auto node = kept_back_.extract(kept);
    Tell(node.key(), *node.mapped().row);
  }
}

io::Task<void> RowChecks::Stop() {
  co_await patience_.CancelAndJoin();
  co_await monitor_.Stop();
}

// Looks at what is to be looked at, and at nothing else of that row. False: nothing is. What was settled before still is.
bool RowChecks::Look(const std::string& key, const EndpointRow* before, EndpointRow& row) {
  const size_t entries_before = before == nullptr ? 0 : before->services.size();
  for (size_t i = row.services.size(); i < entries_before; i++) monitor_.Forget(IdOf(key, i));
  bool watched = false;
  for (size_t i = 0; i < row.services.size(); i++) {
    ServiceEntry& entry = row.services[i];
    entry.health = {};
    if (!Wanted(row, entry)) {
      monitor_.Forget(IdOf(key, i));
      continue;
    }
    if (i < entries_before && Settled(before->services[i]) && SubjectOf(*before, before->services[i]) == SubjectOf(row, entry)) {
      entry.health = before->services[i].health;
      continue;
    }
    watched = true;
    Monitor::Subject subject = SubjectOf(row, entry);
    subject.check = CheckOf(row, entry);
    monitor_.Watch(IdOf(key, i), std::move(subject));
  }
  return watched;
}

void RowChecks::Remove(std::string_view key) {
  if (const RowPtr row = Find(key))
    for (size_t i = 0; i < row->services.size(); i++) monitor_.Forget(IdOf(key, i));
  if (auto kept = kept_back_.find(key); kept != kept_back_.end()) kept_back_.erase(kept);
  looked_.Set();
}

// The row with what is known of it.
void RowChecks::Tell(const std::string& key, EndpointRow row) {
  std::vector<std::string> settled;
  for (size_t i = 0; i < row.services.size(); i++) {
    const discovery::CheckedHealth* health = monitor_.Find(IdOf(key, i));
    if (health == nullptr) continue;
    row.services[i].health = *health;
    if (Settled(row.services[i])) settled.push_back(IdOf(key, i));
  }
  publish_(std::move(row));
  for (const std::string& id : settled) monitor_.Forget(id);
}

bool RowChecks::LookedAt(const std::string& key, const EndpointRow& row) const {
  for (size_t i = 0; i < row.services.size(); i++)
    if (const discovery::CheckedHealth* health = monitor_.Find(IdOf(key, i)); health != nullptr && !health->Decided()) return false;
  return true;
}

io::Task<bool> RowChecks::FirstLook() {
  if (std::exchange(first_look_begun_, true)) co_return false;
  const Nanos until = proactor_.Now() + kFirstLook;
  while (!kept_back_.empty() && (co_await looked_.Wait(until)).ok()) {
  }
  first_look_ = false;
  TellKept(kNever);
  co_return true;
}

void RowChecks::HealthChanged(const std::string& id) {
  const std::string key = id.substr(0, id.rfind('#'));
  const RowPtr row = Find(key);
  if (row == nullptr || (kept_back_.contains(key) && !LookedAt(key, *row))) return;
  kept_back_.erase(key);
  looked_.Set();
  Tell(key, *row);
}

}  // namespace fairlead::health
