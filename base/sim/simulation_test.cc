// What the contract cannot ask: that a seed replays, that every fault occurs, what crashes and partitions look like from
// outside, and that a service gives everything back under all of it.
#include <gtest/gtest.h>

#include "base/io/listener.h"
#include "base/io/stream.h"
#include "base/io/udp_socket.h"
#include "base/sim/sim_proactor.h"

namespace fairlead::sim {
namespace {

using io::BufferGroup;
using io::Chunk;
using io::IoResult;
using io::Listener;
using io::Stream;
using io::Task;
using io::TaskGroup;
using io::UdpSocket;

const IpAddress kServer = IpAddress::V4(0x0a000001), kClient = IpAddress::V4(0x0a000002);
const SocketAddress kService(kServer, 7);

// Sends back what comes, until the end, an error or silence.
Task<void> Echo(io::Proactor& p, int fd) {
  Stream stream(p, fd);
  for (;;) {
    stream.SetDeadline(p.Now() + 10 * kSecond);
    IoResult got = co_await stream.Receive();
    if (!got.ok() || got.is_end()) co_return;
    Chunk chunk = stream.Take();
    auto send = [](Stream& s, std::string_view bytes) -> Task<IoResult> { co_return co_await s.Send(bytes); };
    if (!(co_await io::WithDeadline<IoResult>(p, p.Now() + 5 * kSecond, send(stream, chunk.view()))).ok()) co_return;
  }
}

struct Tally {
  uint64_t whole = 0, failed = 0, wrong = 0;
};

Task<IoResult> Exchange(Stream& stream, std::string_view request, std::string* answer) {
  IoResult sent = co_await stream.Send(request);
  if (!sent.ok()) co_return sent;
  while (answer->size() < request.size()) {
    IoResult got = co_await stream.Receive();
    if (!got.ok() || got.is_end()) co_return IoResult::Error(ECONNRESET);
    answer->append(stream.Take().view());
  }
  co_return IoResult::Ok();
}

// Asks over and over on one connection, and dials anew when it failed.
Task<void> Client(SimProactor& p, Random& random, int requests, Tally& tally) {
  Stream stream;
  for (int i = 0; i < requests; i++) {
    if (!stream) {
      StatusOr<Stream> dialed = co_await io::Dial(p, kService, p.Now() + 3 * kSecond);
      if (!dialed.ok()) {
        ++tally.failed;
        if (!(co_await io::Sleep(p, 100 * kMillisecond)).ok()) co_return;
        continue;
      }
      stream = *std::move(dialed);
    }
    std::string request(1 + random.Below(100'000), static_cast<char>('a' + i % 26)), answer;
    Nanos deadline = p.Now() + static_cast<Nanos>(random.Below(2000)) * kMillisecond;
    IoResult result = co_await io::WithDeadline<IoResult>(p, deadline, Exchange(stream, request, &answer));
    if (!request.starts_with(answer)) ++tally.wrong;
    ++(result.ok() ? tally.whole : tally.failed);
    if (!result.ok()) stream.Close();
    if (result.cancelled()) co_return;
  }
}

Task<void> WaitInGroup(Stream& stream, IoResult* result) { *result = co_await stream.Receive(); }

// An echo service with eight clients; cut off where the seed says.
uint64_t PlayEcho(uint64_t seed, const Faults& faults, FaultCounts* counts, Tally* tally) {
  SimWorld world(seed, faults);
  SimProactorOptions few{.buffers = {{16, 4096}, {8, 32768}}};
  SimProactor server(world, kServer, few), client(world, kClient, few);
  {
    Listener listener = *Listener::Open(server, kService);
    TaskGroup serving, asking;
    serving.Spawn(io::AcceptLoop(listener, serving, [&server](int fd) { return Echo(server, fd); }));
    for (int i = 0; i < 8; i++) asking.Spawn(Client(client, world.random(), 10, *tally));
    world.RunUntil([&] { return asking.live() == 0; }, world.UpTo(20 * kSecond));
    world.After(world.UpTo(kSecond), [&] { asking.Cancel(); });
    EXPECT_TRUE(world.RunUntil([&] { return asking.cancelled() && asking.live() == 0; }, 30 * kSecond));
    serving.Drain(server);
  }
  EXPECT_TRUE(world.RunUntil([&] { return server.stats.orphans + client.stats.orphans == 0; }, 10 * kSecond));
  for (SimProactor* p : {&server, &client}) {
    EXPECT_EQ(p->buffers_out(BufferGroup::kSmall) + p->buffers_out(BufferGroup::kLarge), 0);
    EXPECT_EQ(p->timers().count(), 0);
  }
  EXPECT_EQ(io::FramePool::live(), 0);
  const FaultCounts& c = world.counts;
  counts->short_reads += c.short_reads;
  counts->short_writes += c.short_writes;
  counts->late_completions += c.late_completions;
  counts->late_cancels += c.late_cancels;
  counts->accept_failures += c.accept_failures;
  counts->buffer_shortages += c.buffer_shortages;
  counts->resets += c.resets;
  counts->stalls += c.stalls;
  counts->connects_refused += c.connects_refused;
  counts->connects_lost += c.connects_lost;
  counts->cancels_too_late += c.cancels_too_late;
  return world.trace();
}

TEST(Simulation, EchoSurvivesAllFaultsAndGivesEverythingBack) {
  FaultCounts counts;
  Tally tally;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    SCOPED_TRACE(Cat("seed ", seed));
    PlayEcho(seed, Faults::All(), &counts, &tally);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_EQ(tally.wrong, 0u);
  EXPECT_GT(tally.whole, 1000u);
  EXPECT_GT(tally.failed, 100u);
  for (uint64_t occurred : {counts.short_reads, counts.short_writes, counts.late_completions, counts.late_cancels,
                            counts.accept_failures, counts.buffer_shortages, counts.resets, counts.stalls,
                            counts.connects_refused, counts.connects_lost, counts.cancels_too_late})
    EXPECT_GT(occurred, 0u);
  RecordProperty("tally", Cat("whole ", tally.whole, " failed ", tally.failed));
}

TEST(Simulation, WithoutFaultsNoRequestFails) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    SimWorld world(seed);
    SimProactor server(world, kServer), client(world, kClient);
    Listener listener = *Listener::Open(server, kService);
    TaskGroup serving, asking;
    Tally tally;
    serving.Spawn(io::AcceptLoop(listener, serving, [&server](int fd) { return Echo(server, fd); }));
    asking.Spawn([](SimProactor& p, Tally& t) -> Task<void> {
      StatusOr<Stream> stream = co_await io::Dial(p, kService, p.Now() + kSecond);
      if (!stream.ok()) co_return;
      std::string request(100'000, 'r'), answer;  // fits the windows: it is sent whole before it is read back
      IoResult result = co_await Exchange(*stream, request, &answer);
      ++(result.ok() && answer == request ? t.whole : t.failed);
    }(client, tally));
    EXPECT_TRUE(world.RunUntil([&] { return asking.live() == 0; }, 10 * kSecond));
    EXPECT_EQ(tally.whole, 1u);
    serving.Drain(server);
  }
}

TEST(Simulation, SameSeedGivesTheSameRunAndOthersDiffer) {
  FaultCounts counts;
  Tally tally;
  uint64_t first = PlayEcho(42, Faults::All(), &counts, &tally);
  RecordProperty("trace", Cat(first));
  EXPECT_EQ(PlayEcho(42, Faults::All(), &counts, &tally), first);
  EXPECT_NE(PlayEcho(43, Faults::All(), &counts, &tally), first);
}

struct Ends {
  Stream client, server;
};

Task<void> AcceptInto(Listener& listener, Stream* out) {
  IoResult fd = co_await listener.Accept();
  if (fd.ok()) *out = Stream(listener.proactor(), fd.value());
}

Task<void> DialInto(SimProactor& p, SocketAddress to, Nanos patience, Stream* out, Status* status) {
  StatusOr<Stream> stream = co_await io::Dial(p, to, p.Now() + patience);
  *status = stream.status();
  if (stream.ok()) *out = *std::move(stream);
}

Task<void> SendInto(Stream& stream, std::string_view bytes, IoResult* result) { *result = co_await stream.Send(bytes); }

struct TwoHosts {
  explicit TwoHosts(uint64_t seed = 1) : world(seed) {}
  Ends Connect() {
    Ends ends;
    Status status;
    Listener listener = *Listener::Open(server, kService);
    TaskGroup group;
    group.Spawn(AcceptInto(listener, &ends.server));
    group.Spawn(DialInto(client, kService, kSecond, &ends.client, &status));
    CHECK(world.RunUntil([&] { return group.live() == 0; }, 5 * kSecond));
    return ends;
  }
  SimWorld world;
  SimProactor server{world, kServer};
  SimProactor client{world, kClient};
};

constexpr int32_t kPending = -9999;

TEST(Simulation, PartitionHoldsBytesUntilItHeals) {
  TwoHosts hosts;
  Ends ends = hosts.Connect();
  IoResult sent, got = IoResult::FromKernel(kPending);
  TaskGroup group;
  hosts.world.network().Partition(kServer, kClient);
  group.Spawn(SendInto(ends.client, "held", &sent));
  group.Spawn(WaitInGroup(ends.server, &got));
  hosts.world.Run(30 * kSecond);
  EXPECT_EQ(got.value(), kPending);
  hosts.world.network().Heal(kServer, kClient);
  hosts.world.Run(kSecond);
  EXPECT_EQ(got, IoResult::Ok(4));
  EXPECT_GT(hosts.world.counts.segments_lost, 0u);
}

TEST(Simulation, ConnectThroughAPartitionTimesOut) {
  TwoHosts hosts;
  Listener listener = *Listener::Open(hosts.server, kService);
  hosts.world.network().Partition(kServer, kClient);
  Stream stream;
  Status status;
  TaskGroup group;
  group.Spawn(DialInto(hosts.client, kService, kHour, &stream, &status));
  EXPECT_TRUE(hosts.world.RunUntil([&] { return group.live() == 0; }, 10 * kMinute));
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
  EXPECT_GE(hosts.client.Now(), 127 * kSecond);
}

TEST(Simulation, CrashedProcessEndsItsConnectionsAndItsPortIsFree) {
  TwoHosts hosts;
  Ends ends = hosts.Connect();
  IoResult got = IoResult::FromKernel(kPending);
  TaskGroup group;
  group.Spawn(WaitInGroup(ends.client, &got));
  hosts.world.Run(kSecond);
  hosts.server.CrashNow(Crash::kProcess);
  EXPECT_TRUE(hosts.world.RunUntil([&] { return group.live() == 0; }, kSecond));
  EXPECT_TRUE(got.is_end() || got == IoResult::Error(ECONNRESET)) << got.value();
  EXPECT_FALSE(Listener::Open(hosts.server, kService).ok());
  SimProactor successor(hosts.world, kServer);
  EXPECT_TRUE(Listener::Open(successor, kService).ok());
}

TEST(Simulation, CrashedHostIsSilentAndItsSuccessorAnswersByReset) {
  TwoHosts hosts;
  Ends ends = hosts.Connect();
  IoResult got = IoResult::FromKernel(kPending), sent;
  TaskGroup group;
  group.Spawn(WaitInGroup(ends.client, &got));
  hosts.world.Run(kSecond);
  hosts.server.CrashNow(Crash::kHost);
  group.Spawn(SendInto(ends.client, "anyone?", &sent));
  hosts.world.Run(kMinute);
  EXPECT_EQ(got.value(), kPending);
  SimProactor successor(hosts.world, kServer);
  hosts.world.Run(kSecond);
  EXPECT_EQ(got, IoResult::Error(ECONNRESET));
}

TEST(Simulation, CrashedProcessEndsItsOwnOperations) {
  TwoHosts hosts;
  Ends ends = hosts.Connect();
  IoResult got = IoResult::FromKernel(kPending), sent = IoResult::FromKernel(kPending);
  TaskGroup group;
  const std::string much(1 << 20, 'm');
  group.Spawn(WaitInGroup(ends.server, &got));
  group.Spawn(SendInto(ends.server, much, &sent));
  hosts.world.Run(kMillisecond);
  hosts.server.CrashNow(Crash::kProcess);
  hosts.world.Run(kMillisecond);
  EXPECT_EQ(got, IoResult::Error(ECONNRESET));
  EXPECT_EQ(sent, IoResult::Error(ECONNRESET));
}

TEST(Simulation, UnixSocketsTellTheCredentialsOfTheirPeer) {
  SimWorld world(1);
  SimProactor agent(world, kServer, {.credentials = {.pid = 10, .uid = 0, .gid = 0}});
  SimProactor dns(world, kServer, {.credentials = {.pid = 11, .uid = 990, .gid = 990}});
  SimProactor elsewhere(world, kClient);
  SocketAddress path = *SocketAddress::Unix("/run/fairlead/discovery.sock");
  Listener listener = *Listener::Open(agent, path);
  Stream client, server, none;
  Status status, missing;
  TaskGroup group;
  group.Spawn(AcceptInto(listener, &server));
  group.Spawn(DialInto(dns, path, kSecond, &client, &status));
  group.Spawn(DialInto(elsewhere, path, kSecond, &none, &missing));
  ASSERT_TRUE(world.RunUntil([&] { return group.live() == 0; }, 5 * kSecond));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(server.credentials()->uid, 990u);
  EXPECT_EQ(server.credentials()->pid, 11);
  EXPECT_EQ(client.credentials()->pid, 10);
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);  // paths are each host's own
}

// Counts what of 200 numbered datagrams arrives.
Task<void> Collect(UdpSocket& socket, std::vector<uint8_t>* numbers) {
  while ((co_await socket.Readable()).ok()) {
    uint8_t room[16];
    io::Datagram datagram{.peer = {}, .local = {}, .bytes = room};
    while (socket.ReceiveBatch({&datagram, 1}) == 1) {
      numbers->push_back(room[0]);
      datagram.bytes = room;
    }
  }
}

std::vector<uint8_t> SendNumbers(const Faults& faults, FaultCounts* counts) {
  SimWorld world(5, faults);
  SimProactor server(world, kServer), client(world, kClient);
  std::vector<uint8_t> numbers;
  {
    UdpSocket to = *UdpSocket::Open(server, kService);
    UdpSocket from = *UdpSocket::Open(client, SocketAddress(kClient, 0));
    TaskGroup group;
    group.Spawn(Collect(to, &numbers));
    for (uint8_t i = 0; i < 200; i++) {
      io::Datagram datagram{.peer = kService, .local = {}, .bytes = {&i, 1}};
      from.SendBatch({&datagram, 1});
      world.Run(100 * kMicrosecond);
    }
    world.Run(kSecond);
    group.Drain(server);
  }
  *counts = world.counts;
  return numbers;
}

TEST(Simulation, DatagramsAreLostDoubledAndReorderedOnlyByFaults) {
  FaultCounts counts;
  std::vector<uint8_t> clean = SendNumbers({}, &counts);
  EXPECT_EQ(clean.size(), 200u);
  EXPECT_TRUE(std::ranges::is_sorted(clean));
  EXPECT_EQ(SendNumbers({.datagrams_lost = 100}, &counts).size(), 200 - counts.datagrams_lost);
  EXPECT_GT(counts.datagrams_lost, 0u);
  EXPECT_EQ(SendNumbers({.datagrams_doubled = 100}, &counts).size(), 200 + counts.datagrams_doubled);
  EXPECT_GT(counts.datagrams_doubled, 0u);
  std::vector<uint8_t> mixed = SendNumbers({.datagrams_reordered = 100}, &counts);
  EXPECT_EQ(mixed.size(), 200u);
  EXPECT_FALSE(std::ranges::is_sorted(mixed));
}

TEST(Simulation, LossOfALinkDelaysStreamsAndLosesDatagrams) {
  TwoHosts hosts;
  hosts.world.network().SetLink(kServer, kClient, {.latency = kMillisecond, .jitter = 0, .loss = 300});
  Ends ends = hosts.Connect();
  IoResult sent;
  std::string much(1 << 20, 'm');
  TaskGroup group;
  group.Spawn(SendInto(ends.client, much, &sent));
  size_t received = 0;
  group.Spawn([](Stream& stream, size_t* total) -> Task<void> {
    for (;;) {
      IoResult got = co_await stream.Receive();
      if (!got.ok() || got.is_end()) co_return;
      *total += stream.Take().size();
    }
  }(ends.server, &received));
  EXPECT_TRUE(hosts.world.RunUntil([&] { return received == much.size(); }, 10 * kMinute));
  EXPECT_GT(hosts.world.counts.segments_lost, 0u);
  group.Drain(hosts.server);
}

TEST(Simulation, HostsShareTimeAndRunInParallel) {
  SimWorld world(1);
  SimProactor a(world, kServer), b(world, kClient);
  int ended = 0;
  TaskGroup group;
  for (SimProactor* p : {&a, &b})
    group.Spawn([](SimProactor& q, int* n) -> Task<void> {
      (void)co_await io::Sleep(q, kHour);
      ++*n;
    }(*p, &ended));
  Nanos before = world.Now();
  EXPECT_TRUE(world.RunUntil([&] { return ended == 2; }, 2 * kHour));
  EXPECT_LT(world.Now() - before, kHour + kSecond);
}

}  // namespace
}  // namespace fairlead::sim
