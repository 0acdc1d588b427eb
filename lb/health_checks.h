// HealthChecks: the balancer's own look at endpoints that nobody else looks at: those of the file whose service has a
// health_check, those that their agent calls unknown, and those whose agent has been silent for 10 s. There is one, on the
// control thread; what it finds reaches every worker with the picture.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/consumer.h"
#include "discovery/health/monitor.h"
#include "discovery/row.h"
#include "lb/config.h"
#include "lb/verdicts.h"

namespace fairlead::lb {

class HealthChecks final : public Verdicts {
 public:
  static constexpr Nanos kAgentSilence = 10 * kSecond;  // then we look ourselves
  static constexpr Nanos kAgentLook = kSecond;          // how often we ask whether it came to that

  // `changed`: what is known of an endpoint of that service (SERVICE.PROJECT) is another thing now.
  using Changed = std::function<void(const std::string& service)>;
  HealthChecks(io::Proactor& proactor, Random& random, Changed changed);

  // Endpoints of the file, whole. Those that stay keep what is known of them; one that served unchecked until now goes on
  // until its check says otherwise.
  void SetFile(const std::vector<ServiceSpec>& services);
  void SetFileService(const ServiceSpec& service);  // of one of them
  // Rows, before the picture gets them.
  void Apply(const std::vector<discovery::Change>& changes);
  // Takes over from agents that fall silent, and gives back, until cancelled. Before Run() of the consumer.
  io::Task<void> FollowAgents(const discovery::Consumer& consumer);
  io::Task<void> Stop() { return monitor_.Stop(); }

  const discovery::CheckedHealth* Find(std::string_view service, std::string_view uid) const override;
  // Some endpoint of the file was not looked at yet.
  bool first_look() const;
  size_t watched() const { return monitor_.watched(); }
  const health::Monitor::Stats& stats() const { return monitor_.stats(); }

 private:
  struct WatchedRow {
    std::string node;
    std::vector<std::string> ids;
  };
  using Ids = std::set<std::string>;
  void WatchFile(const ServiceSpec& service, const Ids& unchecked);
  void ForgetFile(const Ids& before);
  void SetRow(const std::string& key, const discovery::EndpointRow& row);
  void ForgetRow(const std::string& key);
  void LookAtSilence(const discovery::Consumer& consumer);
  bool Wanted(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry) const;  // ours to look at

  Changed changed_;
  health::Monitor monitor_;
  std::set<std::string> file_unchecked_;                      // ids of endpoints without a check
  std::set<std::string> file_;                                // ids of those with one
  std::map<std::string, WatchedRow, std::less<>> rows_;       // by key
  std::set<std::string, std::less<>> silent_;                 // nodes
};

}  // namespace fairlead::lb
