// What is io_uring's own: full queues, cancel behind its operation, the thread that owns the ring.
#include "base/io/uring_proactor.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "base/io/stream.h"

namespace fairlead::io {
namespace {

// Two connected descriptors, closed by the Streams made of them.
struct Ends {
  Ends() { CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0); }
  int fd[2];
};

Task<void> Echo(Stream stream) {
  for (;;) {
    IoResult got = co_await stream.Receive();
    if (!got.ok() || got.is_end()) co_return;
    Chunk chunk = stream.Take();
    if (!(co_await stream.Send(chunk.view())).ok()) co_return;
  }
}

Task<void> Exchange(Stream stream, int times, int* done) {
  for (int i = 0; i < times; i++) {
    if (!(co_await stream.Send("ping")).ok()) co_return;
    for (size_t got = 0; got < 4;) {
      IoResult piece = co_await stream.Receive();
      if (!piece.ok() || piece.is_end()) co_return;
      got += stream.Take().size();
    }
  }
  ++*done;
}

// `pairs` conversations at once; gives how many came to their end.
int Converse(Proactor& proactor, int pairs, int times) {
  TaskGroup group;
  int done = 0;
  for (int i = 0; i < pairs; i++) {
    Ends ends;
    group.Spawn(Echo(Stream(proactor, ends.fd[0])));
    group.Spawn(Exchange(Stream(proactor, ends.fd[1]), times, &done));
  }
  for (int i = 0; i < 100'000 && group.live() > 0; i++) proactor.Turn(kSecond);
  return done;
}

TEST(UringProactor, FullSubmissionQueueIsFlushed) {
  SystemClock clock;
  auto proactor = *UringProactor::Create(clock, {.entries = 4, .cq_entries = 1024, .buffers = {}});
  EXPECT_EQ(Converse(*proactor, 64, 20), 64);
}

TEST(UringProactor, FullCompletionQueueLosesNothing) {
  SystemClock clock;
  auto proactor = *UringProactor::Create(clock, {.entries = 4, .cq_entries = 8, .buffers = {}});
  EXPECT_EQ(Converse(*proactor, 64, 20), 64);
  EXPECT_EQ(proactor->buffers_out(BufferGroup::kSmall), 0);
}

TEST(UringProactor, SendThatWasSubmittedBeforeItsCancelSucceeds) {
  SystemClock clock;
  auto proactor = *UringProactor::Create(clock);
  Ends ends;
  Stream from(*proactor, ends.fd[0]), to(*proactor, ends.fd[1]);
  IoResult result;
  TaskGroup group;
  group.Spawn([](Stream& s, IoResult* out) -> Task<void> {
    *out = co_await s.Send("small");
    EXPECT_EQ((co_await s.Send("more")).error(), ECANCELED);  // the scope stays cancelled
  }(from, &result));
  group.Drain(*proactor);  // the cancel stands behind the send in the queue
  EXPECT_EQ(result, IoResult::Ok());
}

TEST(UringProactor, MayBeMadeOnOneThreadAndTurnedOnAnother) {
  SystemClock clock;
  auto proactor = *UringProactor::Create(clock);
  int done = 0;
  std::thread([&] {
    done = Converse(*proactor, 4, 3);
    while (proactor->stats.orphans > 0) proactor->Turn(kMillisecond);
  }).join();
  EXPECT_EQ(done, 4);
}

TEST(UringProactor, ReleasedSocketIsClosedWhenTheProactorEnds) {
  SystemClock clock;
  auto proactor = *UringProactor::Create(clock);
  Ends ends;
  Socket* socket = Socket::New(*proactor, ends.fd[0], BufferGroup::kSmall);
  socket->Arm();
  proactor->Turn(0);
  socket->Release();
  proactor.reset();
  char byte;
  EXPECT_EQ(read(ends.fd[1], &byte, 1), 0);  // the end of the stream
  close(ends.fd[1]);
  EXPECT_EQ(FramePool::live(), 0);
}

TEST(UringProactor, BothGroupsCountTheirBuffers) {
  SystemClock clock;
  auto proactor = *UringProactor::Create(clock);
  Ends small, large;
  Stream a(*proactor, small.fd[0], BufferGroup::kSmall), b(*proactor, large.fd[0], BufferGroup::kLarge);
  ASSERT_EQ(write(small.fd[1], "a", 1), 1);
  ASSERT_EQ(write(large.fd[1], "b", 1), 1);
  a.socket()->Arm();
  b.socket()->Arm();
  for (int i = 0; i < 100 && !(a.socket()->has_input() && b.socket()->has_input()); i++) proactor->Turn(kMillisecond);
  EXPECT_EQ(proactor->buffers_out(BufferGroup::kSmall), 1);
  EXPECT_EQ(proactor->buffers_out(BufferGroup::kLarge), 1);
  EXPECT_EQ(b.Take().view(), "b");
  EXPECT_EQ(a.Take().view(), "a");
  EXPECT_EQ(proactor->buffers_out(BufferGroup::kSmall) + proactor->buffers_out(BufferGroup::kLarge), 0);
  close(small.fd[1]);
  close(large.fd[1]);
}

// The kernel is lent a quarter at first: who needs all of them gets them, in one turn.
TEST(UringProactor, AllBuffersCanBeHeldAtOnce) {
  SystemClock clock;
  auto proactor = *UringProactor::Create(clock);
  const int count = proactor->BufferCount(BufferGroup::kSmall);
  std::vector<Ends> ends(static_cast<size_t>(count));
  std::vector<Stream> streams;
  for (Ends& pair : ends) {
    streams.emplace_back(*proactor, pair.fd[0], BufferGroup::kSmall);
    ASSERT_EQ(write(pair.fd[1], "x", 1), 1);
    streams.back().socket()->Arm();
  }
  for (int i = 0; i < 100 && proactor->buffers_out(BufferGroup::kSmall) < count; i++) {
    proactor->Turn(kMillisecond);
    for (Stream& stream : streams) stream.socket()->Arm();
  }
  EXPECT_EQ(proactor->buffers_out(BufferGroup::kSmall), count);
  streams.clear();
  EXPECT_EQ(proactor->buffers_out(BufferGroup::kSmall), 0);
  for (Ends& pair : ends) close(pair.fd[1]);
}

// A path whose backlog is full: {backlog 0} holds one connection, which nobody takes.
struct FullUnixListener {
  explicit FullUnixListener(Proactor& p) : proactor(p) {
    CHECK(mkdtemp(folder) != nullptr);
    address = *SocketAddress::Unix(Cat(folder, "/x.sock"));
    listener = *p.Listen(address, {.backlog = 0});
    first = *p.OpenStream(AF_UNIX);
    CHECK(connect(first, address.raw(), address.size()) == 0);
  }
  ~FullUnixListener() {
    proactor.Close(first);
    proactor.Close(listener);
    unlink(std::string(address.path()).c_str());
    rmdir(folder);
  }
  Proactor& proactor;
  char folder[32] = "/tmp/fairlead_full_XXXXXX";
  SocketAddress address;
  int listener = -1, first = -1;
};

Task<void> DialOnce(Proactor& proactor, SocketAddress address, Status* out) {
  StatusOr<Stream> stream = co_await Dial(proactor, address, proactor.Now() + 50 * kMillisecond);
  *out = stream.status();
}

TEST(UringProactor, FullUnixBacklogWaitsForTheDeadline) {
  SystemClock clock;
  auto proactor = *UringProactor::Create(clock);
  FullUnixListener full(*proactor);
  TaskGroup group;
  Status status;
  group.Spawn(DialOnce(*proactor, full.address, &status));
  for (int i = 0; i < 100 && group.live() > 0; i++) proactor->Turn(100 * kMillisecond);
  ASSERT_EQ(group.live(), 0u);
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
}

TEST(UringProactor, IdleReceiveCostsNoSubmissionPerPiece) {
  SystemClock clock;
  auto proactor = *UringProactor::Create(clock);
  Ends ends;
  Stream stream(*proactor, ends.fd[0]);
  TaskGroup group;
  int pieces = 0;
  group.Spawn([](Stream& s, int* count) -> Task<void> {
    for (;;) {
      IoResult got = co_await s.Receive();
      if (!got.ok() || got.is_end()) co_return;
      s.Take();
      ++*count;
    }
  }(stream, &pieces));
  auto feed = [&] {
    int before = pieces;
    ASSERT_EQ(write(ends.fd[1], "x", 1), 1);
    while (pieces == before) proactor->Turn(kSecond);
  };
  feed();  // one-shot
  feed();  // arms the multishot
  uint64_t submitted = proactor->stats.submissions;
  for (int i = 0; i < 10; i++) feed();
  EXPECT_EQ(proactor->stats.submissions, submitted);
  group.Drain(*proactor);
  close(ends.fd[1]);
}

}  // namespace
}  // namespace fairlead::io
