#include "tests/sim/container_process.h"

namespace fairlead::fleet {
namespace {

constexpr Nanos kLongestAnswer = 3 * kMillisecond;

sim::SimProactorOptions Small() { return {.buffers = {{32, 1024}, {2, 1024}}}; }

}  // namespace

ContainerProcess::ContainerProcess(sim::SimWorld& world, const IpAddress& ip, std::string service, std::string id)
    : world_(world),
      body_(Cat(service, " ", id)),
      proactor_(world, ip, Small()),
      server_(proactor_, [this](const http::Request&, const http::RequestContext&) { return Answer(); }) {
  server_.Serve(*io::Listener::Open(proactor_, SocketAddress(ip, kContainerPort)));
}

ContainerProcess::~ContainerProcess() = default;

io::Task<http::Reply> ContainerProcess::Answer() {
  last_request_ = world_.Now();
  http::Reply reply;
  reply.body = body_;
  (void)co_await io::Sleep(proactor_, world_.UpTo(kLongestAnswer));
  co_return reply;
}

void ContainerProcess::Terminate(Nanos grace) {
  if (std::exchange(terminating_, true)) return;
  tasks_.Spawn(FinishAndExit(grace));
}

io::Task<void> ContainerProcess::FinishAndExit(Nanos grace) {
  (void)co_await io::Sleep(proactor_, 0);  // asked from outside: its idea of now is old
  if (!(co_await io::Sleep(proactor_, grace)).ok()) co_return;
  co_await server_.Stop();
  if (exited()) co_return;
  world_.After(0, [this, alive = std::weak_ptr<bool>(alive_)] {  // not within its own turn
    if (!alive.expired()) Kill();
  });
}

void ContainerProcess::Kill() {
  proactor_.CrashNow(sim::Crash::kProcess);
}

void ContainerProcess::Reap() {
  CHECK(exited());
  tasks_.Drain(proactor_);
  io::TaskGroup last;
  last.Spawn([](http::Server* server) -> io::Task<void> { co_await server->Stop(); }(&server_));
  while (last.live() > 0) proactor_.Turn(10 * kMillisecond);
}

}  // namespace fairlead::fleet
