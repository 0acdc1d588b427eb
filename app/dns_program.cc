// fairlead dns: the name server, fed by the catalog stream, by master files and by the file's services.
#include "app/file_rows.h"
#include "app/host_names.h"
#include "app/privileges.h"
#include "app/process.h"
#include "app/programs.h"
#include "app/readiness.h"
#include "app/syscall_filter.h"
#include "base/io/files.h"
#include "base/io/offload.h"
#include "base/log.h"
#include "base/strings.h"
#include "discovery/dns/dns.h"

namespace fairlead::app {
namespace {

dns::Config NameServerConfig(const Config& config) {
  dns::Config dns;
  dns.listen = config.dns_listen;
  dns.records = config.dns_records;
  dns.forward = config.dns_forward;
  dns.max_answers = config.dns_max_answers;
  dns.rate_limit = config.dns_rate_limit;
  dns.transfer = {config.dns_transfer_allow, config.dns_transfer_notify, config.dns_transfer_key_file};
  for (const DnsView& view : config.dns_views) {
    dns.zone.views.push_back({view.env, view.from});
    dns.view_records.push_back(view.records);
  }
  dns.zone.zone = config.dns_zone;
  dns.zone.branch_zone = config.dns_branch_zone;
  dns.zone.ttl_s = static_cast<uint32_t>(config.dns_ttl / kSecond);
  dns.zone.negative_ttl_s = static_cast<uint32_t>(config.dns_negative_ttl / kSecond);
  dns.zone.node = config.node_name;
  dns.zone.balancer = BalancerAddresses(config);
  return dns;
}

// Until an agent has told all rows, answers are those of an earlier run, and say so.
class Staleness final : public discovery::ChangeListener {
 public:
  Staleness(dns::NameServer& server, const discovery::Consumer& consumer) : server_(server), consumer_(consumer) {
    OnChanges({});
  }
  void OnChanges(const std::vector<discovery::Change>&) override { server_.SetStale(!consumer_.synced()); }

 private:
  dns::NameServer& server_;
  const discovery::Consumer& consumer_;
};

io::Task<void> Reach(io::Offload& disk, io::Proactor& proactor, bool* reached) {
  *reached = co_await io::OffloadTo(disk, proactor, [] { return true; });
}

// Whoever asks before the last good rows are read would be told that no name is there. The consumer reads them first, and the
// disk's thread does one thing after the other.
void WaitForLastGood(Process& process, io::Offload& disk) {
  bool reached = false;
  process.tasks().Spawn(Reach(disk, process.proactor(), &reached));
  while (!reached) process.proactor().Turn(kSecond);
}

// Master files and the file's services, read again.
void Reload(const Config& config, dns::NameServer& server, FileRows& rows) {
  if (Status status = server.ReloadRecords(); status.ok()) {
    LOG(kInfo, "records reloaded");
  } else {
    LOG(kError, "records not reloaded; the old ones stay", {"because", Message(status)});
  }
  if (auto reloaded = LoadConfig({.file = config.file}); reloaded.ok()) {
    rows.SetFile(reloaded->lb);
    LOG(kInfo, "services reloaded");
  } else {
    LOG(kError, "services not reloaded; the old ones stay", {"because", Message(reloaded.status())});
  }
}

void StopChecks(Process& process, FileRows& rows) {
  io::TaskGroup group;
  group.Spawn(rows.Stop());
  while (group.live() > 0) process.proactor().Turn(10 * kMillisecond);
}

// Beside this thread, which is the first worker. They make their rings now: the filter of system calls allows no new ones.
StatusOr<std::vector<std::unique_ptr<dns::WorkerThread>>> StartWorkers(const Config& config, Process& process) {
  std::vector<std::unique_ptr<dns::WorkerThread>> workers;
  for (uint32_t i = 1; i < config.dns_workers; i++) {
    std::string note;
    ASSIGN_OR_RETURN(auto worker, dns::WorkerThread::Start(Cat("dns-", i), process.clock(), io::IoBackend::kAuto, &note));
    process.AddMetrics(worker->metrics());
    workers.push_back(std::move(worker));
  }
  return workers;
}

Status Run(const Config& config) {
  RaiseDescriptorLimit();
  ASSIGN_OR_RETURN(std::unique_ptr<Process> process, Process::Make("dns"));
  std::string state = config.state_dir + "/dns";
  RETURN_IF_ERROR(DropPrivileges(state));
  ASSIGN_OR_RETURN(auto workers, StartWorkers(config, *process));
  // A kernel without seccomp is no reason to answer nothing.
  if (Status status = ConfineSystemCalls(); !status.ok()) LOG(kWarning, "system calls are not filtered", {"because", Message(status)});
  RETURN_IF_ERROR(process->Serve(config.dns_http));
  ASSIGN_OR_RETURN(std::unique_ptr<HostNames> hosts, HostNames::Make(*process, config));

  dns::NameServer server(process->proactor(), NameServerConfig(config), process->clock(), process->random(), process->metrics());
  for (auto& worker : workers) server.AddWorker(*worker);
  io::SystemFiles files;
  std::unique_ptr<io::Offload> disk = io::MakeThreadOffload("dns-disk");
  std::unique_ptr<discovery::Consumer> consumer;
  std::unique_ptr<CatalogReadiness> readiness;
  std::unique_ptr<Staleness> staleness;
  if (!config.lb_agents.empty()) {
    consumer = std::make_unique<discovery::Consumer>(
        process->proactor(), files, *disk, process->random(),
        discovery::ConsumerOptions{"dns", config.lb_agents, state + "/catalog.state"});
    consumer->RegisterMetrics(process->metrics());
    consumer->AddListener(server);
    staleness = std::make_unique<Staleness>(server, *consumer);
    consumer->AddListener(*staleness);
    readiness = std::make_unique<CatalogReadiness>(*process, *consumer);
    consumer->AddListener(*readiness);
    process->tasks().Spawn(consumer->Run());
    WaitForLastGood(*process, *disk);
  }
  FileRows rows(process->proactor(), process->random(), hosts->book(), config.node_name, server);
  rows.SetFile(config.lb);  // likewise before it listens: other workers answer at once
  if (Status status = server.Start(); !status.ok()) {
    StopChecks(*process, rows);
    process->tasks().Drain(process->proactor());
    server.Stop();
    return status;
  }
  for (const SocketAddress& address : server.addresses()) LOG(kInfo, "listening", {"address", address.ToString()});
  process->tasks().Spawn(rows.Run());
  hosts->Start();
  process->Run([&] { Reload(config, server, rows); });
  StopChecks(*process, rows);
  server.Stop();
  return OkStatus();
}

}  // namespace

int RunDns(const Config& config) {
  Status status = Run(config);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace fairlead::app
