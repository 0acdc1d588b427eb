// fairlead lb: a control thread (file, catalog stream, status listeners) and one worker thread per core.
#include <filesystem>

#include "app/file_endpoints.h"
#include "app/host_names.h"
#include "app/picture_json.h"
#include "app/privileges.h"
#include "app/process.h"
#include "app/programs.h"
#include "app/readiness.h"
#include "base/io/files.h"
#include "base/log.h"
#include "base/strings.h"
#include "discovery/health/row_checks.h"
#include "lb/balancer.h"
#include "lb/tls.h"
#include "lb/worker_thread.h"

namespace fairlead::app {
namespace {

constexpr Nanos kFirstLookPause = 20 * kMillisecond;
constexpr Nanos kDrainGrace = 10 * kSecond;  // for requests in progress when the balancer is stopped

struct Workers {
  std::unique_ptr<io::Offload> passwords = io::MakeThreadOffload("lb-passwords");
  std::vector<std::unique_ptr<lb::WorkerThread>> threads;
  ~Workers() {
    for (auto& thread : threads) thread->Drain(kDrainGrace);
    for (auto& thread : threads) thread->Join();
  }
  Status Start(lb::Config config, Process& process) {
    for (unsigned i = 0; i < config.workers; i++) {
      std::string note;
      ASSIGN_OR_RETURN(auto thread, lb::WorkerThread::Start(config, static_cast<int>(i), process.clock(), *passwords, &note));
      if (i == 0 && !note.empty()) LOG(kWarning, "workers do not use io_uring", {"because", note});
      // The first worker's ports are everybody's, also where the file says port 0.
      for (size_t l = 0; l < config.listeners.size(); l++) {
        config.listeners[l].bind = thread->address(l);
        if (i == 0) LOG(kInfo, "listening", {"listener", config.listeners[l].name}, {"address", thread->address(l).ToString()});
      }
      process.AddMetrics(thread->metrics());
      threads.push_back(std::move(thread));
    }
    return OkStatus();
  }
};

// What the process itself was started with; the balancer checks the rest (Balancer::Reload).
Status SameProcess(const Config& now, const Config& next) {
  std::vector<std::string> changed;
  if (now.lb_agents != next.lb_agents) changed.emplace_back("lb.agents");
  if (now.lb_listen != next.lb_listen) changed.emplace_back("lb.listen");
  if (now.lb_admin_socket != next.lb_admin_socket) changed.emplace_back("lb.admin_socket");
  if (now.state_dir != next.state_dir) changed.emplace_back("state_dir");
  if (now.nameservers != next.nameservers) changed.emplace_back("resolver.nameservers");
  if (changed.empty()) return OkStatus();
  return FailedPrecondition(Join(changed, ", "), changed.size() == 1 ? " is" : " are",
                            " otherwise than at start: a reload cannot change that; restart the balancer to apply the file");
}

// The file and the certificates it names, read again: all of it or nothing.
Status Reload(const Config& config, const std::shared_ptr<const tls::TicketKeys>& ticket_keys, FileEndpoints& endpoints,
              lb::Balancer& balancer) {
  StatusOr<Config> reloaded = LoadConfig({.file = config.file});
  Status status = reloaded.ok() ? SameProcess(config, *reloaded) : reloaded.status();
  if (status.ok()) status = lb::LoadTls(reloaded->lb, ticket_keys);
  if (status.ok()) status = balancer.Reload(endpoints.Expand(reloaded->lb));
  if (status.ok()) {
    endpoints.Adopt(reloaded->lb);
    LOG(kInfo, "configuration reloaded");
  } else {
    LOG(kError, "configuration not reloaded; the old one stays", {"because", Message(status)});
  }
  return status;
}

io::Task<http::Reply> RemoveEndpoint(http::Request request, FileEndpoints& endpoints) {
  const std::string service(request.query("service"));
  auto address = HostPort::Parse(request.query("address"));
  Status status = address.ok() ? endpoints.Remove(service, *address) : address.status();
  if (status.ok()) LOG(kInfo, "endpoint of the file removed until the next reload", {"service", service}, {"address", address->ToString()});
  co_return status.ok() ? JsonReply({{"removed", true}}) : ErrorReply(status);
}

io::Task<http::Reply> AnswerReload(http::Request request, std::function<Status()> reload) {
  if (request.method != "POST") co_return ErrorReply(InvalidArgument("/v1/reload: POST it"));
  Status status = reload();
  co_return status.ok() ? JsonReply({{"reloaded", true}}) : ErrorReply(status);
}

// Ready when the names and the endpoints of the file were looked at, or took too long to answer.
io::Task<void> WaitForFirstLook(Process& process, const dns::HostBook& hosts, lb::Balancer& balancer) {
  io::Proactor& proactor = process.proactor();
  const Nanos until = proactor.Now() + health::RowChecks::kFirstLook;
  while ((hosts.first_look() || balancer.checks().first_look()) && proactor.Now() < until) {
    process.SetObstacle("health", "endpoints of the file are being looked at");
    if (!(co_await io::Sleep(proactor, kFirstLookPause)).ok()) co_return;
  }
  process.SetObstacle("health", "");
}

void StopChecks(Process& process, lb::Balancer& balancer) {
  io::TaskGroup group;
  group.Spawn(balancer.Stop());
  while (group.live() > 0) process.proactor().Turn(10 * kMillisecond);
}

Status Run(const Config& config) {
  RaiseDescriptorLimit();
  ASSIGN_OR_RETURN(std::unique_ptr<Process> process, Process::Make("lb", config.lb.io));
  // Certificates and keys are read while we may read all files: DropPrivileges() comes below.
  auto ticket_keys = tls::TicketKeys::Make(process->random());
  lb::Config loaded = config.lb;
  RETURN_IF_ERROR(lb::LoadTls(loaded, ticket_keys));
  ASSIGN_OR_RETURN(std::unique_ptr<HostNames> hosts, HostNames::Make(*process, config));
  lb::Balancer* balance = nullptr;
  FileEndpoints endpoints(hosts->book(), [&](const std::string& service, std::vector<lb::StaticEndpoint> now) {
    balance->SetFileEndpoints(service, std::move(now));
  });
  lb::Balancer balancer(process->proactor(), process->random(), process->metrics(), endpoints.Expand(loaded));
  balance = &balancer;
  endpoints.Adopt(loaded);
  auto reload = [&] { return Reload(config, ticket_keys, endpoints, balancer); };
  auto describe = [&](const http::Request& request, const http::RequestContext&) -> io::Task<http::Reply> {
    if (request.method == "DELETE" && request.path() == "/v1/endpoints") return RemoveEndpoint(request, endpoints);
    if (request.path() == "/v1/reload") return AnswerReload(request, reload);
    return DescribePicture(balancer.picture(), request);
  };
  if (!config.lb_admin_socket.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(config.lb_admin_socket).parent_path(), ignored);
    ASSIGN_OR_RETURN(SocketAddress admin, SocketAddress::Unix(config.lb_admin_socket));
    RETURN_IF_ERROR(process->Serve(admin, describe, {.replace_stale = true, .mode = 0660}));
  }
  std::string state = config.state_dir + "/lb";
  RETURN_IF_ERROR(DropPrivileges(state));
  RETURN_IF_ERROR(process->Serve(config.lb_listen));

  Workers workers;
  RETURN_IF_ERROR(workers.Start(loaded, *process));
  for (auto& thread : workers.threads) balancer.AddWorker(thread->proactor(), thread->worker());

  io::SystemFiles files;
  std::unique_ptr<io::Offload> disk = io::MakeThreadOffload("lb-disk");
  std::unique_ptr<discovery::Consumer> consumer;
  std::unique_ptr<CatalogReadiness> readiness;
  if (!config.lb_agents.empty()) {
    consumer = std::make_unique<discovery::Consumer>(
        process->proactor(), files, *disk, process->random(),
        discovery::ConsumerOptions{"lb", config.lb_agents, state + "/catalog.state", {"endpoint"}});
    consumer->RegisterMetrics(process->metrics());
    balancer.FollowWith(*consumer);
    readiness = std::make_unique<CatalogReadiness>(*process, *consumer);
    consumer->AddListener(*readiness);
    process->tasks().Spawn(consumer->Run());
    process->tasks().Spawn(balancer.FollowAgents(*consumer));
    process->tasks().Spawn(balancer.FollowPorts());
  }
  hosts->Start();
  process->tasks().Spawn(WaitForFirstLook(*process, hosts->book(), balancer));
  process->Run([&] { (void)reload(); });
  StopChecks(*process, balancer);
  while (balancer.pending() > 0) process->proactor().Turn(10 * kMillisecond);
  return OkStatus();
}

}  // namespace

int RunLb(const Config& config) {
  Status status = Run(config);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace fairlead::app
