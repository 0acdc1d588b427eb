#include "app/process.h"

#include <signal.h>
#include <systemd/sd-daemon.h>

#include "app/privileges.h"
#include "base/log.h"
#include "base/strings.h"

namespace fairlead::app {

SystemClock& TheClock() {
  static SystemClock clock;
  return clock;
}

StatusOr<std::unique_ptr<Process>> Process::Make(std::string name, io::IoBackend backend) {
  SetLogProgram(name);
  EndWithParent();
  std::string note;
  ASSIGN_OR_RETURN(std::unique_ptr<io::Proactor> proactor, io::MakeProactor(backend, TheClock(), &note));
  ASSIGN_OR_RETURN(io::SignalWaiter signals, io::SignalWaiter::Open(*proactor, {SIGTERM, SIGINT, SIGHUP}));
  signal(SIGPIPE, SIG_IGN);
  if (!note.empty()) LOG(kWarning, "io_uring is not used", {"because", note});
  return std::unique_ptr<Process>(new Process(std::move(name), std::move(proactor), std::move(signals)));
}

Process::Process(std::string name, std::unique_ptr<io::Proactor> proactor, io::SignalWaiter signals)
    : name_(std::move(name)), clock_(TheClock()), all_metrics_{&metrics_}, proactor_(std::move(proactor)),
      signals_(std::move(signals)) {}

Process::~Process() { End(); }

Status Process::Serve(const SocketAddress& address, http::Server::Handler handler, io::ListenOptions options) {
  if (!address.is_set()) return OkStatus();
  ASSIGN_OR_RETURN(io::Listener listener, io::Listener::Open(*proactor_, address, options));
  servers_.push_back(std::make_unique<http::Server>(
      *proactor_, [this, handler](const http::Request& request, const http::RequestContext& context) {
        return Handle(handler, request, context);
      }));
  servers_.back()->Serve(std::move(listener));
  return OkStatus();
}

io::Task<http::Reply> Process::Handle(http::Server::Handler first, http::Request request,
                                      const http::RequestContext& context) {
  http::Reply reply;
  reply.headers.push_back({"Content-Type", "text/plain; charset=utf-8"});
  if (request.path() == "/metrics") {
    reply.headers[0].value = "text/plain; version=0.0.4; charset=utf-8";
    if (scrape_hook_) scrape_hook_();
    reply.body = RenderPrometheus({all_metrics_.begin(), all_metrics_.end()});
    for (Metrics* metrics : all_metrics_) metrics->ForgetUnheld();
  } else if (request.path() == "/healthz") {
    reply.body = "ok\n";
  } else if (request.path() == "/readyz") {
    reply.status = ready() ? 200 : 503;
    reply.body = ready() ? "ready\n" : "";
    for (const auto& [who, reason] : obstacles_) reply.body += Cat("not ready: ", who, ": ", reason, "\n");
  } else if (first != nullptr) {
    co_return co_await first(request, context);
  } else {
    reply.status = 404;
    reply.body = "there are /metrics, /healthz and /readyz\n";
  }
  co_return reply;
}

void Process::SetObstacle(const std::string& who, std::string reason) {
  bool was_ready = ready();
  if (reason.empty()) {
    obstacles_.erase(who);
  } else {
    obstacles_[who] = std::move(reason);
  }
  if (ready() == was_ready) return;
  LOG(kInfo, ready() ? "ready" : "not ready any more", {"who", who}, {"reason", ready() ? "" : obstacles_[who]});
}

io::Task<void> Process::WatchSignals(std::function<void()> reload) {
  for (;;) {
    io::IoResult signal = co_await signals_.Next();
    if (!signal.ok()) co_return;
    if (signal.value() == SIGHUP) {
      if (reload) reload();
    } else {
      LOG(kInfo, "stopping", {"signal", signal.value() == SIGTERM ? "SIGTERM" : "SIGINT"});
      stopping_ = true;
    }
  }
}

// systemd restarts a process whose loop stands still (WatchdogSec=).
io::Task<void> Process::FeedWatchdog() {
  uint64_t usec = 0;
  if (sd_watchdog_enabled(0, &usec) <= 0) co_return;
  while ((co_await io::Sleep(*proactor_, static_cast<Nanos>(usec) * kMicrosecond / 3)).ok()) sd_notify(0, "WATCHDOG=1");
}

void Process::Run(std::function<void()> reload) {
  tasks_.Spawn(WatchSignals(std::move(reload)));
  tasks_.Spawn(FeedWatchdog());
  SetObstacle("start", "");
  // To systemd a program is ready when it serves, not when /readyz says so: docker.service starts after the agent, and
  // the agent's /readyz waits for dockerd.
  sd_notify(0, "READY=1");
  while (!stopping_) proactor_->Turn(kSecond);
  sd_notify(0, "STOPPING=1");
  End();
}

void Process::End() {
  io::TaskGroup stopping;
  for (auto& server : servers_)
    stopping.Spawn([](http::Server* ending) -> io::Task<void> { co_await ending->Stop(); }(server.get()));
  while (stopping.live() > 0) proactor_->Turn(10 * kMillisecond);
  servers_.clear();
  tasks_.Drain(*proactor_);
}

}  // namespace fairlead::app
