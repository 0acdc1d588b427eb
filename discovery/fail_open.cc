#include "discovery/fail_open.h"

#include <algorithm>

namespace fairlead::discovery {

Standing StandingOf(const CheckedHealth& health) {
  switch (health.state) {
    case HealthState::kNone: case HealthState::kHealthy: case HealthState::kUnknown: return Standing::kReady;
    case HealthState::kStarting: return Standing::kOut;
    case HealthState::kUnhealthy: break;
  }
  return health.was_healthy && !health.refused ? Standing::kFailed : Standing::kOut;
}

Counted CountedOf(const EndpointRow& row, const ServiceEntry& entry) {
  if (row.state != RunState::kRunning || row.draining || !entry.published()) return {};
  const CheckedHealth health = JointHealth(row, entry);
  return {StandingOf(health), health.since_wall, CheckInterval(row, entry), entry.fail_open_below};
}

void FailOpen::Count(const Counted& endpoint, bool add) {
  auto count = [add](auto& values, auto value) {
    if (add) {
      values.insert(value);
    } else if (auto found = values.find(value); found != values.end()) {
      values.erase(found);
    }
  };
  if (endpoint.standing == Standing::kOut) return;
  if (endpoint.below != 0) count(below_, endpoint.below);
  if (endpoint.standing == Standing::kReady) ready_ = add ? ready_ + 1 : ready_ - 1;
  if (endpoint.standing != Standing::kFailed) return;
  count(failed_, endpoint.since);
  count(intervals_, endpoint.interval);
}

bool FailOpen::open() const {
  if (failed_.size() < kFewest) return false;
  const uint32_t below = below_.empty() ? 0 : *below_.rbegin();
  if (ready_ > 0 && ready_ * 100 >= (ready_ + failed_.size()) * below) return false;
  return *failed_.rbegin() - *failed_.begin() <= std::max(kTogether, 2 * *intervals_.rbegin());
}

void FailOpenRows::OnChanges(const std::vector<Change>& changes) {
  Touched touched;
  for (const Change& change : changes) {
    if (auto known = rows_.find(change.key); known != rows_.end()) {
      CountRow(*known->second, false, touched);
      rows_.erase(known);
    }
    if (change.row == nullptr || change.row->endpoint() == nullptr) continue;
    rows_.emplace(change.row->key, change.row);
    CountRow(*change.row, true, touched);
  }
  std::set<std::string> again;  // rows of services that began or ceased to fail open
  for (auto* of_service : touched) {
    Service& service = of_service->second;
    service.touched = false;
    if (const bool open = service.endpoints.open(); open != service.open) {
      service.open = open;
      again.insert(service.failed.begin(), service.failed.end());
    }
    if (service.endpoints.empty()) services_.erase(of_service->first);
  }
  std::vector<Change> out;
  out.reserve(changes.size() + again.size());
  for (const Change& change : changes) {
    again.erase(change.key);
    out.push_back(Marked(change));
  }
  for (const std::string& key : again) out.push_back(Marked({key, rows_.at(key)}));
  to_.OnChanges(out);
}

void FailOpenRows::CountRow(const Row& row, bool add, Touched& touched) {
  for (const ServiceEntry& entry : row.endpoint()->services) {
    const Counted counted = CountedOf(*row.endpoint(), entry);
    if (counted.standing == Standing::kOut) continue;
    auto& of_service = *services_.try_emplace(ServiceIdOf(*row.endpoint(), entry)).first;
    Service& service = of_service.second;
    if (!service.touched) touched.push_back(&of_service);
    service.touched = true;
    if (add) {
      service.endpoints.Add(counted);
      if (counted.standing == Standing::kFailed) service.failed.insert(row.key);
    } else {
      service.endpoints.Remove(counted);
      service.failed.erase(row.key);
    }
  }
}

Change FailOpenRows::Marked(const Change& change) const {
  const EndpointRow* row = change.row == nullptr ? nullptr : change.row->endpoint();
  if (row == nullptr) return change;
  auto opens = [&](const ServiceEntry& entry) {
    if (CountedOf(*row, entry).standing != Standing::kFailed) return false;
    auto service = services_.find(ServiceIdOf(*row, entry));
    return service != services_.end() && service->second.open;
  };
  if (std::ranges::none_of(row->services, opens)) return change;
  auto marked = std::make_shared<Row>(*change.row);
  for (ServiceEntry& entry : std::get<EndpointRow>(marked->body).services) entry.fails_open = opens(entry);
  return {change.key, std::move(marked)};
}

}  // namespace fairlead::discovery
