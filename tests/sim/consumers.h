// The consumers of the catalog as their programs compose them (app/dns_program.cc, app/lb_program.cc), on simulated hosts.
// Kill() is kill -9: the state file on their disk stays.
#pragma once

#include <memory>
#include <string>

#include "base/sim/sim_files.h"
#include "base/sim/sim_offload.h"
#include "base/sim/sim_proactor.h"
#include "discovery/consumer.h"
#include "discovery/dns/dns.h"
#include "lb/balancer.h"
#include "tests/sim/planted.h"

namespace fairlead::fleet {

struct ConsumerHost {
  sim::SimWorld& world;
  IpAddress address;
  sim::SimFiles& disk;
  std::string agent;             // path of the socket
  Bug bug;
};

// What stands between a consumer and its listener: nothing, or a planted bug.
class CrookedListener final : public discovery::ChangeListener {
 public:
  CrookedListener(sim::SimWorld& world, Bug bug, discovery::Consumer& consumer, discovery::ChangeListener& to)
      : world_(world), bug_(bug), consumer_(consumer), to_(to) {}
  void OnChanges(const std::vector<discovery::Change>& changes) override;

 private:
  void ForgetAll();
  std::vector<discovery::Change> KeyByAddress(const std::vector<discovery::Change>& changes);

  sim::SimWorld& world_;
  const Bug bug_;
  discovery::Consumer& consumer_;
  discovery::ChangeListener& to_;
  std::map<IpAddress, std::string> service_of_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class DnsProcess {
 public:
  static constexpr uint16_t kPort = 53;

  explicit DnsProcess(const ConsumerHost& host);
  ~DnsProcess();                 // Kill() first
  const discovery::Consumer& consumer() const { return consumer_; }
  static dns::ZoneConfig Zone();
  void Kill();                   // outside of the world's turns

 private:
  const ConsumerHost host_;
  sim::SimProactor proactor_;
  sim::SimOffload disk_thread_;
  SeededRandom random_;
  Metrics metrics_;
  dns::NameServer server_;
  discovery::Consumer consumer_;
  CrookedListener listener_;
  io::TaskGroup tasks_;
};

class LbProcess {
 public:
  static constexpr uint16_t kPort = 80;

  explicit LbProcess(const ConsumerHost& host);
  ~LbProcess();                  // Kill() first
  const discovery::Consumer& consumer() const { return consumer_; }
  const lb::Picture& picture() const { return balancer_.picture(); }
  // Requests that found an endpoint gone.
  uint64_t detours();
  void Kill();                   // outside of the world's turns

 private:
  class Misled;
  const ConsumerHost host_;
  sim::SimProactor control_, worker_proactor_;
  sim::SimOffload disk_thread_;
  SeededRandom random_;
  Metrics metrics_, worker_metrics_;
  sim::SimOffload passwords_;
  lb::Worker worker_;
  lb::Balancer balancer_;
  discovery::Consumer consumer_;
  CrookedListener listener_;
  std::unique_ptr<Misled> misled_;
  io::TaskGroup tasks_;
};

}  // namespace fairlead::fleet
