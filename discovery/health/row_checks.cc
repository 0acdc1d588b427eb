#include "discovery/health/row_checks.h"

#include <utility>

#include "base/strings.h"

namespace fairlead::health {

using discovery::CheckKind;
using discovery::EndpointRow;
using discovery::ServiceEntry;

namespace {

std::string IdOf(std::string_view key, size_t entry) { return Cat(key, "#", entry); }

// What is stopped, paused or told to stop answers for itself.
bool Wanted(const EndpointRow& row, const ServiceEntry& entry) {
  return entry.check.kind != CheckKind::kNone && entry.published() && row.state == discovery::RunState::kRunning &&
         !row.draining;
}

}  // namespace

Monitor::Subject SubjectOf(const EndpointRow& row, const ServiceEntry& entry) {
  const uint16_t port = entry.check.port != 0 ? entry.check.port : entry.port;
  return {row.uid, SocketAddress(entry.ip, port), entry.check};
}

RowChecks::RowChecks(io::Proactor& proactor, Random& random, Publish publish)
    : proactor_(proactor), publish_(std::move(publish)), looked_(proactor),
      monitor_(proactor, random, [this](const std::string& id, const discovery::CheckedHealth&) { HealthChanged(id); }) {}

void RowChecks::Upsert(EndpointRow row) {
  const std::string key = KeyOf(row);
  // Entries that the row has no more, before those it has.
  if (auto known = rows_.find(key); known != rows_.end())
    for (size_t i = row.services.size(); i < known->second.services.size(); i++) monitor_.Forget(IdOf(key, i));
  bool watched = false;
  for (size_t i = 0; i < row.services.size(); i++) {
    const ServiceEntry& entry = row.services[i];
    if (!Wanted(row, entry)) {
      monitor_.Forget(IdOf(key, i));
      continue;
    }
    watched = true;
    monitor_.Watch(IdOf(key, i), SubjectOf(row, entry));
  }
  if (watched) {
    rows_.insert_or_assign(key, row);
  } else {
    rows_.erase(key);
  }
  if (first_look_ && watched && !LookedAt(key, row)) {
    kept_back_.insert(key);
    return;
  }
  kept_back_.erase(key);
  FillIn(key, row);
  publish_(std::move(row));
}

void RowChecks::Remove(std::string_view key) {
  if (auto kept = kept_back_.find(key); kept != kept_back_.end()) kept_back_.erase(kept);
  looked_.Set();
  auto known = rows_.find(key);
  if (known == rows_.end()) return;
  for (size_t i = 0; i < known->second.services.size(); i++) monitor_.Forget(IdOf(key, i));
  rows_.erase(known);
}

void RowChecks::FillIn(const std::string& key, EndpointRow& row) {
  for (size_t i = 0; i < row.services.size(); i++)
    if (const discovery::CheckedHealth* health = monitor_.Find(IdOf(key, i))) row.services[i].health = *health;
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
  for (const std::string& key : std::exchange(kept_back_, {})) HealthChanged(Cat(key, "#"));
  co_return true;
}

void RowChecks::HealthChanged(const std::string& id) {
  auto known = rows_.find(std::string_view(id).substr(0, id.rfind('#')));
  if (known == rows_.end()) return;
  if (first_look_ && !LookedAt(known->first, known->second)) return;
  kept_back_.erase(known->first);
  looked_.Set();
  EndpointRow row = known->second;
  FillIn(known->first, row);
  publish_(std::move(row));
}

}  // namespace fairlead::health
