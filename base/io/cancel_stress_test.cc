// Cancellation under stress: pairs of coroutines over socketpairs and TCP do random things to each other, with deadlines,
// races, groups, resets and groups of buffers that run out; then everything is cancelled at a random turn. After each
// round every frame, buffer, timer and orphan must be back. FAIRLEAD_STRESS_ROUNDS sets the length, FAIRLEAD_STRESS_SEED
// replays one.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "base/io/epoll_proactor.h"
#include "base/io/listener.h"
#include "base/io/stream.h"
#include "base/io/uring_proactor.h"
#include "base/random.h"

namespace fairlead::io {
namespace {

constexpr int kPairs = 12;  // two coroutines each
constexpr size_t kBlock = 1 << 20;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : ParseNumber<uint64_t>(text).value_or(otherwise);
}

// What a round shares; the tally shows that the interesting ends were reached.
struct World {
  Proactor& proactor;
  SeededRandom& random;
  std::string block = std::string(kBlock, 'b');
  uint64_t ok = 0, ended = 0, timed_out = 0, cancelled = 0, failed = 0, losers_with_data = 0;

  Nanos Soon(int milliseconds) { return proactor.Now() + Up(milliseconds) * kMillisecond; }
  int Up(int bound) { return static_cast<int>(random.Below(static_cast<uint64_t>(bound))); }
  std::string_view SomeBytes() { return std::string_view(block).substr(0, 1 + random.Below(kBlock)); }
  void Tally(IoResult result) {
    ++(result.timed_out() ? timed_out : result.cancelled() ? cancelled : !result.ok() ? failed
       : result.is_end()  ? ended : ok);
  }
};

Task<IoResult> ReadSome(Stream& stream, size_t bytes) {
  size_t total = 0;
  while (total < bytes) {
    IoResult got = co_await stream.Receive();
    if (!got.ok() || got.is_end()) co_return got;
    total += stream.Take().size();
  }
  co_return IoResult::Ok(1);
}

// The small piece lives in this frame: the kernel must not touch it when the frame is gone.
Task<IoResult> SendSome(Stream& stream, std::string_view bytes) {
  char head[512];
  std::fill(std::begin(head), std::end(head), 'h');
  IoResult sent = co_await stream.Send({head, sizeof head});
  if (!sent.ok()) co_return sent;
  sent = co_await stream.Send(bytes);
  co_return sent.ok() ? IoResult::Ok(1) : sent;
}

Task<IoResult> Nap(Proactor& proactor, Nanos duration) {
  IoResult result = co_await Sleep(proactor, duration);
  co_return result.ok() ? IoResult::Ok(1) : result;
}

// Has data, and then loses: its value says so.
Task<IoResult> ReadThenNap(Proactor& proactor, Stream& stream) {
  IoResult got = co_await ReadSome(stream, 1);
  if (got.ok()) (void)co_await Sleep(proactor, 20 * kMillisecond);
  co_return got;
}

Task<IoResult> DialNobody(Proactor& proactor, SocketAddress address) {
  StatusOr<Stream> stream = co_await Dial(proactor, address, proactor.Now() + 3 * kMillisecond);
  co_return stream.ok() ? IoResult::Ok(1) : IoResult::Error(ECONNREFUSED);
}

Task<IoResult> RaceInside(World& world, Stream& stream) {
  auto result = co_await Race<IoResult, IoResult>(ReadSome(stream, 100'000), Nap(world.proactor, kSecond));
  co_return result.winner == 0 ? *result.a : *result.b;
}

Task<void> NapInGroup(Proactor& proactor, Nanos duration) { (void)co_await Sleep(proactor, duration); }

Task<void> GroupInside(World& world) {
  TaskGroup group;
  for (int i = 0; i < 3; i++) group.Spawn(NapInGroup(world.proactor, world.Up(30) * kMillisecond));
  if (world.Up(2) == 0) (void)co_await Sleep(world.proactor, world.Up(5) * kMillisecond);
  co_await group.CancelAndJoin();
}

// Sometimes answers, sometimes reads, stalls, resets or goes away.
Task<void> Peer(World& world, Stream stream) {
  Proactor& p = world.proactor;
  for (int i = 0; i < 4; i++) {
    switch (world.Up(6)) {
      case 0:
        world.Tally(co_await WithDeadline<IoResult>(p, world.Soon(20), ReadSome(stream, 1 + world.random.Below(200'000))));
        break;
      case 1:
        if (!(co_await stream.Send(std::string_view(world.block).substr(0, 1 + world.random.Below(300)))).ok()) co_return;
        break;
      case 2:
        if (!(co_await Sleep(p, world.Up(10) * kMillisecond)).ok()) co_return;
        break;
      case 3:
        if (!(co_await WithDeadline<IoResult>(p, world.Soon(10), SendSome(stream, world.SomeBytes()))).ok()) co_return;
        break;
      case 4:
        if (world.Up(3) != 0) break;
        stream.Reset();
        co_return;
      case 5: {
        stream.SetDeadline(world.Soon(15));
        IoResult got = co_await stream.Receive();
        if (got.ok() && !got.is_end()) stream.Take();
        stream.SetDeadline(kNever);
        break;
      }
    }
  }
}

Task<void> Client(World& world, Stream stream, SocketAddress nobody) {
  Proactor& p = world.proactor;
  for (int i = 0; i < 5; i++) {
    switch (world.Up(7)) {
      case 0:
        world.Tally(co_await WithDeadline<IoResult>(p, world.Soon(15), ReadSome(stream, 1 + world.random.Below(3000))));
        break;
      case 1:
        world.Tally(co_await WithDeadline<IoResult>(p, world.Soon(15), SendSome(stream, world.SomeBytes())));
        break;
      case 2: {
        auto result = co_await Race<IoResult, IoResult>(ReadThenNap(p, stream), Nap(p, world.Up(15) * kMillisecond));
        if (result.winner == 1 && result.a->ok() && !result.a->is_end()) ++world.losers_with_data;
        world.Tally(*result.a);
        break;
      }
      case 3: {
        auto result = co_await Race<IoResult, IoResult>(SendSome(stream, world.SomeBytes()), ReadSome(stream, 50'000));
        world.Tally(*result.a);
        if (!result.a->ok()) co_return;  // a send that was cut short: the connection is of no use any more
        break;
      }
      case 4: world.Tally(co_await WithDeadline<IoResult>(p, world.Soon(8), DialNobody(p, nobody))); break;
      case 5: co_await GroupInside(world); break;
      case 6: world.Tally(co_await WithDeadline<IoResult>(p, world.Soon(5), RaceInside(world, stream))); break;
    }
  }
}

Task<void> Heartbeat(Proactor& proactor) {
  while ((co_await Sleep(proactor, kMillisecond)).ok()) {
  }
}

struct Ends {
  int fd[2];
};

Ends UnixPair() {
  Ends ends;
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.fd) == 0);
  return ends;
}

Ends TcpPair(Proactor& proactor) {
  int listener = *proactor.Listen(SocketAddress(IpAddress::V4(0x7f000001), 0), {});
  SocketAddress address = proactor.LocalAddress(listener);
  Ends ends;
  ends.fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(connect(ends.fd[0], address.raw(), address.size()) == 0);
  ends.fd[1] = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  CHECK(ends.fd[1] >= 0);
  proactor.Close(listener);
  return ends;
}

void PlayRound(World& world) {
  Proactor& p = world.proactor;
  StatusOr<int> full = p.Listen(SocketAddress(IpAddress::V4(0x7f000001), 0), {.backlog = 0});  // nobody accepts
  CHECK(full.ok());
  SocketAddress nobody = p.LocalAddress(*full);
  TaskGroup group;
  group.Spawn(Heartbeat(p));
  for (int i = 0; i < kPairs; i++) {
    Ends ends = world.Up(2) == 0 ? UnixPair() : TcpPair(p);
    auto some_group = [&] { return world.Up(2) == 0 ? BufferGroup::kSmall : BufferGroup::kLarge; };
    group.Spawn(Peer(world, Stream(p, ends.fd[0], some_group())));
    group.Spawn(Client(world, Stream(p, ends.fd[1], some_group()), nobody));
  }
  for (int turns = world.Up(world.Up(4) == 0 ? 250 : 60); turns > 0 && group.live() > 0; turns--) p.Turn(kSecond);
  group.Drain(p);  // all that is left is cancelled in mid-flight
  p.Close(*full);
}

void Play(Proactor& proactor) {
  uint64_t seed = FromEnvironment("FAIRLEAD_STRESS_SEED", 7);
  uint64_t rounds = FromEnvironment("FAIRLEAD_STRESS_ROUNDS", 30);
  SeededRandom random(seed);
  World world{.proactor = proactor, .random = random};
  auto least = [&] {
    return std::min({world.ok, world.timed_out, world.cancelled, world.losers_with_data, proactor.stats.buffer_shortages,
                     proactor.stats.cancels});
  };
  // On a busy machine some of these are rare: it goes on until each has happened.
  for (uint64_t round = 0; round < rounds || (least() == 0 && round < 10 * rounds); round++) {
    SCOPED_TRACE(Cat("seed ", seed, " round ", round));
    PlayRound(world);
    for (int i = 0; i < 10'000 && proactor.stats.orphans > 0; i++) proactor.Turn(kMillisecond);
    ASSERT_EQ(proactor.stats.orphans, 0);
    ASSERT_EQ(proactor.buffers_out(BufferGroup::kSmall) + proactor.buffers_out(BufferGroup::kLarge), 0);
    ASSERT_EQ(FramePool::live(), 0);
    ASSERT_EQ(proactor.timers().count(), 0);
  }
  testing::Test::RecordProperty("tally", Cat("ok ", world.ok, " ended ", world.ended, " timed out ", world.timed_out,
                                             " cancelled ", world.cancelled, " failed ", world.failed,
                                             " losers with data ", world.losers_with_data, " shortages ",
                                             proactor.stats.buffer_shortages, " cancels ", proactor.stats.cancels));
  EXPECT_GT(least(), 0u);
}

// Few and small buffers, so that they run out.
constexpr KernelProactor::BufferSizes kFew = {{{16, 1024}, {8, 2048}}};

TEST(CancelStress, UringGivesEverythingBack) {
  SystemClock clock;
  auto proactor = *UringProactor::Create(clock, {.entries = 64, .cq_entries = 128, .buffers = kFew});
  Play(*proactor);
}

TEST(CancelStress, EpollGivesEverythingBack) {
  SystemClock clock;
  auto proactor = *EpollProactor::Create(clock, {.buffers = kFew});
  Play(*proactor);
}

}  // namespace
}  // namespace fairlead::io
