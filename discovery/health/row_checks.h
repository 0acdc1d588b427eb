// RowChecks: between the engines and the catalog of one host. A row that comes in goes out at once with what its checks
// know, and again whenever that changes. Belongs to the agent's worker.
//
// An agent that starts knows nothing of what its predecessor had found healthy. So until FirstLook() has ended, rows
// that nobody could look at yet are kept back: consumers stay with the former agent's.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/io/event.h"
#include "discovery/health/monitor.h"
#include "discovery/row.h"

namespace fairlead::health {

// Where and how an endpoint's part in a service is looked at.
Monitor::Subject SubjectOf(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry);

class RowChecks {
 public:
  using Publish = std::function<void(discovery::EndpointRow row)>;

  static constexpr Nanos kFirstLook = 4 * kSecond;  // Verdict needs three silences of a second to say "unknown"

  RowChecks(io::Proactor& proactor, Random& random, Publish publish);

  void Upsert(discovery::EndpointRow row);
  void Remove(std::string_view key);              // of the row; nothing is published
  // After the first whole list: until all of it was looked at, or for kFirstLook. Then everything is published. False at
  // once when it was begun before: an engine may be listed again meanwhile.
  io::Task<bool> FirstLook();
  io::Task<void> Stop() { return monitor_.Stop(); }

  const Monitor::Stats& stats() const { return monitor_.stats(); }
  size_t watched() const { return monitor_.watched(); }

 private:
  void FillIn(const std::string& key, discovery::EndpointRow& row);
  void HealthChanged(const std::string& id);
  bool LookedAt(const std::string& key, const discovery::EndpointRow& row) const;

  io::Proactor& proactor_;
  Publish publish_;
  bool first_look_ = true, first_look_begun_ = false;
  std::set<std::string, std::less<>> kept_back_;  // keys, during the first look
  io::Event looked_;
  std::map<std::string, discovery::EndpointRow, std::less<>> rows_;  // those with an entry that is watched, by key
  Monitor monitor_;
};

}  // namespace fairlead::health
