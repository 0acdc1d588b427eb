#include "lb/health_checks.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/io/await.h"
#include "base/log.h"
#include "base/strings.h"
#include "discovery/health/row_checks.h"
#include "lb/branches.h"

namespace fairlead::lb {

using discovery::CheckKind;
using discovery::EndpointRow;
using discovery::HealthState;
using discovery::ServiceEntry;

namespace {

// Names of services hold no blank.
std::string IdOf(std::string_view service, std::string_view uid) { return Cat(service, " ", uid); }
std::string ServiceOf(const std::string& id) { return id.substr(0, id.find(' ')); }

// Where nobody follows the engine any more, "it listened once" tells nothing of now.
discovery::HealthCheck InItsStead(const discovery::HealthCheck& check) {
  if (check.kind != CheckKind::kReachable && check.kind != CheckKind::kNone) return check;
  discovery::HealthCheck tcp = check;
  tcp.kind = CheckKind::kTcp;
  return tcp;
}

}  // namespace

HealthChecks::HealthChecks(io::Proactor& proactor, Random& random, Changed changed)
    : changed_(std::move(changed)),
      monitor_(proactor, random,
               [this](const std::string& id, const discovery::CheckedHealth&) { changed_(ServiceOf(id)); }) {}

const discovery::CheckedHealth* HealthChecks::Find(std::string_view service, std::string_view uid) const {
  return monitor_.watched() == 0 ? nullptr : monitor_.Find(IdOf(service, uid));
}

void HealthChecks::SetFile(const std::vector<ServiceSpec>& services) {
  const Ids unchecked = std::exchange(file_unchecked_, {}), before = std::exchange(file_, {});
  for (const ServiceSpec& service : services) WatchFile(service, unchecked);
  ForgetFile(before);
}

void HealthChecks::SetFileService(const ServiceSpec& service) {
  const std::string prefix = IdOf(service.name, "");
  auto take = [&](Ids& from) {
    Ids taken;
    auto at = from.lower_bound(prefix);
    while (at != from.end() && at->starts_with(prefix)) taken.insert(from.extract(at++));
    return taken;
  };
  const Ids unchecked = take(file_unchecked_), before = take(file_);
  WatchFile(service, unchecked);
  ForgetFile(before);
}

void HealthChecks::WatchFile(const ServiceSpec& service, const Ids& unchecked) {
  for (const StaticEndpoint& endpoint : service.endpoints) {
    if (!endpoint.address.is_set()) continue;
    const std::string uid = FileEndpointUid(endpoint), id = IdOf(service.name, uid);
    const discovery::HealthCheck& check = service.health_check;
    if (check.kind == CheckKind::kNone) {
      file_unchecked_.insert(id);
      continue;
    }
    discovery::CheckedHealth known;
    if (unchecked.contains(id)) known = {.state = HealthState::kHealthy, .answered = true};
    if (const discovery::CheckedHealth* found = monitor_.Find(id)) known = *found;
    file_.insert(id);
    SocketAddress address = endpoint.address;
    if (check.port != 0 && !address.is_unix()) address = SocketAddress(address.ip(), check.port);
    monitor_.Watch(id, {uid, address, check}, known);
  }
}

void HealthChecks::ForgetFile(const Ids& before) {
  for (const std::string& id : before)
    if (!file_.contains(id)) monitor_.Forget(id);
}

bool HealthChecks::first_look() const {
  for (const std::string& id : file_)
    if (const discovery::CheckedHealth* health = monitor_.Find(id); health != nullptr && !health->Decided()) return true;
  return false;
}

void HealthChecks::Apply(const std::vector<discovery::Change>& changes) {
  for (const discovery::Change& change : changes) {
    if (const EndpointRow* row = change.row == nullptr ? nullptr : change.row->endpoint()) {
      SetRow(change.key, *row);
    } else {
      ForgetRow(change.key);
    }
  }
}

bool HealthChecks::Wanted(const EndpointRow& row, const ServiceEntry& entry) const {
  if (!entry.published() || row.state != discovery::RunState::kRunning || row.draining) return false;
  // An engine's HEALTHCHECK is the container's own word, which no look from outside refutes.
  if (row.health == HealthState::kUnhealthy) return false;
  if (!silent_.contains(row.node)) return entry.check.kind != CheckKind::kNone && entry.health.state == HealthState::kUnknown;
  return entry.check.kind != CheckKind::kNone || row.health != HealthState::kNone;  // neither: fairlead.check=none
}

void HealthChecks::SetRow(const std::string& key, const EndpointRow& row) {
  std::vector<std::string> ids;
  for (size_t i = 0; i < row.services.size(); i++) {
    if (!Wanted(row, row.services[i])) continue;
    ServiceEntry entry = row.services[i];
    if (silent_.contains(row.node)) entry.check = InItsStead(entry.check);
    ids.push_back(IdOf(ServiceNameOf(row, entry), Cat(row.uid, "/", i)));
    // Of an engine's HEALTHCHECK alone: what the engine said last.
    discovery::CheckedHealth known = entry.health;
    if (known.state == HealthState::kNone)
      known = {.state = row.health, .answered = true, .was_healthy = row.health == HealthState::kHealthy, .since_wall = row.since_wall};
    if (row.health == HealthState::kStarting) known = {};
    monitor_.Watch(ids.back(), health::SubjectOf(row, entry), known);
  }
  if (auto before = rows_.find(key); before != rows_.end())
    for (const std::string& id : before->second.ids)
      if (std::ranges::find(ids, id) == ids.end()) monitor_.Forget(id);
  if (ids.empty()) {
    rows_.erase(key);
  } else {
    rows_[key] = {row.node, std::move(ids)};
  }
}

void HealthChecks::ForgetRow(const std::string& key) {
  auto before = rows_.find(key);
  if (before == rows_.end()) return;
  for (const std::string& id : before->second.ids) monitor_.Forget(id);
  rows_.erase(before);
}

io::Task<void> HealthChecks::FollowAgents(const discovery::Consumer& consumer) {
  io::Proactor& proactor = consumer.proactor();
  while ((co_await io::Sleep(proactor, kAgentLook)).ok()) LookAtSilence(consumer);
}

void HealthChecks::LookAtSilence(const discovery::Consumer& consumer) {
  const Nanos now = consumer.proactor().Now();
  std::set<std::string, std::less<>> silent;
  for (const std::string& node : consumer.owners())
    if (now - consumer.silent_since(node) >= kAgentSilence) silent.insert(node);
  if (silent == silent_) return;
  std::set<std::string, std::less<>> changed;
  std::ranges::set_symmetric_difference(silent, silent_, std::inserter(changed, changed.end()));
  silent_ = std::move(silent);
  for (const std::string& node : changed)
    LOG(kInfo, silent_.contains(node) ? "agent is silent: its endpoints are checked from here" : "agent is back: its word counts again",
        {"node", node});
  std::set<std::string> services;
  consumer.rows().ForEach([&](const std::shared_ptr<const discovery::Row>& row) {
    if (!changed.contains(row->node) || row->endpoint() == nullptr) return;
    SetRow(row->key, *row->endpoint());
    for (const ServiceEntry& entry : row->endpoint()->services) services.insert(ServiceNameOf(*row->endpoint(), entry));
  });
  for (const std::string& service : services) changed_(service);
}

}  // namespace fairlead::lb
