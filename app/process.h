// Process: what the agent, the name server and the balancer have in common: a control loop, signals, readiness, and an
// HTTP listener with /metrics, /healthz and /readyz.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/http/server.h"
#include "base/io/signals.h"
#include "base/metrics.h"
#include "base/random.h"

namespace fairlead::app {

class Process {
 public:
  // Ends the program's name in logs and blocks the signals that Run() takes. Before any thread is started.
  static StatusOr<std::unique_ptr<Process>> Make(std::string name, io::IoBackend backend = io::IoBackend::kAuto);
  ~Process();

  io::Proactor& proactor() { return *proactor_; }
  const Clock& clock() const { return clock_; }
  Random& random() { return random_; }
  Metrics& metrics() { return metrics_; }
  io::TaskGroup& tasks() { return tasks_; }

  // Metrics of other threads, added to this one's at a scrape.
  void AddMetrics(Metrics& metrics) { all_metrics_.push_back(&metrics); }
  // Called before each scrape, to set gauges of what is only counted when asked.
  void OnScrape(std::function<void()> hook) { scrape_hook_ = std::move(hook); }

  // Serves HTTP at `address`: `handler` first, then /metrics, /healthz and /readyz. An unset address serves nothing.
  Status Serve(const SocketAddress& address, http::Server::Handler handler = nullptr, io::ListenOptions options = {});

  // Readiness, as /readyz tells it: the process is ready once it runs and nobody has anything against it.
  void SetObstacle(const std::string& who, std::string reason);  // "" lifts it
  bool ready() const { return obstacles_.empty(); }

  // Tells systemd that it serves and turns the loop until SIGTERM, SIGINT or Stop(); SIGHUP calls `reload`. Then ends
  // tasks and servers.
  void Run(std::function<void()> reload = nullptr);
  void Stop() { stopping_ = true; }

 private:
  explicit Process(std::string name, std::unique_ptr<io::Proactor> proactor, io::SignalWaiter signals);
  void End();  // servers and tasks; also of a process whose start failed half-way
  io::Task<http::Reply> Handle(http::Server::Handler first, http::Request request, const http::RequestContext& context);
  io::Task<void> WatchSignals(std::function<void()> reload);
  io::Task<void> FeedWatchdog();

  std::string name_;
  SystemClock& clock_;
  SystemRandom random_;
  Metrics metrics_;
  std::vector<Metrics*> all_metrics_;
  std::function<void()> scrape_hook_;
  std::unique_ptr<io::Proactor> proactor_;
  io::SignalWaiter signals_;
  io::TaskGroup tasks_;
  std::vector<std::unique_ptr<http::Server>> servers_;
  std::map<std::string, std::string> obstacles_{{"start", "starting"}};  // answered while parts are still being made: until Run()
  bool stopping_ = false;
};

// The process-wide system clock, for main() and what it composes.
SystemClock& TheClock();

}  // namespace fairlead::app
