#include "tests/sim/relay.h"

#include "discovery/frame.h"
#include "discovery/row_codec.h"

namespace fairlead::fleet {

Relay::Relay(sim::SimWorld& world, const IpAddress& host, std::string agent, Bug bug)
    : world_(world), agent_(std::move(agent)), bug_(bug), proactor_(world, host, {.buffers = {{32, 4096}, {16, 8192}}}) {
  listener_.emplace(*io::Listener::Open(proactor_, *SocketAddress::Unix(kRelaySocket)));
  tasks_.Spawn(io::AcceptLoop(*listener_, tasks_, [this](int fd) { return Serve(fd); }));
}

io::Task<void> Relay::Serve(int fd) {
  io::Stream consumer(proactor_, fd);
  auto agent = co_await io::Dial(proactor_, *SocketAddress::Unix(agent_), proactor_.Now() + kSecond);
  if (!agent.ok()) co_return;
  co_await io::Race<bool, bool>(Upstream(consumer, *agent), Downstream(*agent, consumer));
}

io::Task<bool> Relay::Upstream(io::Stream& consumer, io::Stream& agent) {
  for (;;) {
    io::IoResult got = co_await consumer.Receive();
    if (!got.ok() || got.is_end()) co_return true;
    io::Chunk chunk = consumer.Take();
    if (!(co_await agent.Send(chunk.view())).ok()) co_return true;
  }
}

io::Task<bool> Relay::Downstream(io::Stream& agent, io::Stream& consumer) {
  discovery::FrameDecoder frames(discovery::kMaxFrameBytes);
  for (;;) {
    io::IoResult got = co_await agent.Receive();
    if (!got.ok() || got.is_end()) co_return true;
    frames.Feed(agent.Take().view());
    if (still_until_ > proactor_.Now()) (void)co_await io::Sleep(proactor_, still_until_ - proactor_.Now());
    for (;;) {
      auto frame = frames.Next();
      if (!frame.ok()) co_return true;
      if (!*frame) break;
      if (Loses(**frame)) continue;
      std::string bytes;
      size_t begin = discovery::BeginFrame(bytes);
      bytes += **frame;
      discovery::FinishFrame(bytes, begin);
      if (!(co_await consumer.Send(bytes)).ok()) co_return true;
    }
  }
}

bool Relay::Loses(std::string_view message) {
  if (bug_ != Bug::kUpdateDropped || lost_) return false;
  auto update = discovery::DecodeUpdate(message);
  if (!update.ok() || update->full || (update->upserts.empty() && update->removes.empty()) || !world_.random().OneIn(8)) return false;
  return lost_ = true;
}

void Relay::Stop() {
  proactor_.CrashNow(sim::Crash::kProcess);
  tasks_.Drain(proactor_);
  listener_.reset();
}

}  // namespace fairlead::fleet
