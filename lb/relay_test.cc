// The relay between two real or simulated connections: client -- a, b -- backend.
#include "lb/relay.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>

#include "base/io/contract_fixture.h"
#include "base/io/epoll_proactor.h"
#include "base/io/uring_proactor.h"
#include "base/sim/sim_proactor.h"

namespace fairlead::lb {
namespace {

using io::ContractBackend;
using io::ContractHost;
using io::IoResult;
using io::Stream;
using io::Task;

template <class T>
class KernelHost final : public ContractHost {
 public:
  static std::unique_ptr<ContractHost> Make(bool) { return std::make_unique<KernelHost>(); }
  KernelHost() { signal(SIGPIPE, SIG_IGN); }  // as every program of ours does
  io::Proactor& proactor() override { return *proactor_; }
  std::string UnixPath() override { return {}; }

 private:
  SystemClock clock_;
  std::unique_ptr<T> proactor_ = *T::Create(clock_);
};

class SimHost final : public ContractHost {
 public:
  static std::unique_ptr<ContractHost> Make(bool) { return std::make_unique<SimHost>(); }
  io::Proactor& proactor() override { return proactor_; }
  std::string UnixPath() override { return {}; }

 private:
  sim::SimWorld world_{/*seed=*/3};
  sim::SimProactor proactor_{world_, IpAddress::V4(0x0a000001)};
};

std::string Inverted(std::string_view bytes) {
  std::string inverted(bytes);
  for (char& c : inverted) c = static_cast<char>(~c);
  return inverted;
}

// Seals by inverting: whoever goes past it is heard.
class InvertingLayer final : public io::RecordLayer {
 public:
  void Feed(std::string_view received) override { fed_ = received; }
  int Read(uint8_t* to, size_t room) override {
    if (fed_.empty()) return kNeedMore;
    std::string plain = Inverted(fed_.substr(0, room));
    fed_.remove_prefix(plain.size());
    std::ranges::copy(plain, to);
    return static_cast<int>(plain.size());
  }
  bool Seal(std::string_view plain) override {
    sealed_.Append(Inverted(plain));
    return true;
  }
  void SealEnd() override {}
  io::SealedBytes TakeSealed() override { return std::move(sealed_); }
  bool has_sealed() const override { return !sealed_.empty(); }

 private:
  std::string_view fed_;
  io::SealedBytes sealed_;
};

class RelayTest : public io::ProactorContract {
 protected:
  void StartRelay(Nanos silence = kMinute, std::unique_ptr<io::RecordLayer> to_backend = nullptr) {
    left_ = Connected(io::BufferGroup::kLarge);
    right_ = Connected(io::BufferGroup::kLarge);
    if (to_backend != nullptr) right_.client.socket()->Secure(std::move(to_backend), {});
    group().Spawn(RunRelay(left_.server, right_.client, {silence, &to_backend_, &to_client_}, &end_));
  }
  static Task<void> RunRelay(Stream& a, Stream& b, RelayOptions options, std::optional<RelayEnd>* end) {
    *end = co_await RelayBothWays(a, b, options);
  }
  static Task<void> Stash(Stream& stream, size_t bytes, std::string* out, std::optional<IoResult>* last) {
    IoResult result;
    co_await ReceiveInto(stream, bytes, out, &result);
    *last = result;
  }
  Stream& client() { return left_.client; }
  Stream& backend() { return right_.server; }
  void Say(Stream& from, std::string_view text) {
    bool sent = false;
    group().Spawn([](Stream& s, std::string bytes, bool* done) -> Task<void> {
      EXPECT_TRUE((co_await s.Send(bytes)).ok());
      *done = true;
    }(from, std::string(text), &sent));
    ASSERT_TRUE(Until([&] { return sent; }));
  }
  // The next bytes; at the end "<end>", else "<error N>".
  std::string Hear(Stream& at, size_t bytes = 1) {
    std::string text;
    std::optional<IoResult> last;
    group().Spawn(Stash(at, bytes, &text, &last));
    EXPECT_TRUE(Until([&] { return last.has_value(); }));
    if (!last->ok()) return Cat(text, "<error ", last->error(), ">");
    return last->is_end() ? text + "<end>" : text;
  }
  void ExpectEnd(RelayEnd end) {
    ASSERT_TRUE(Until([this] { return end_.has_value(); }));
    EXPECT_EQ(*end_, end);
  }
  uint64_t spliced_bytes() { return proactor().stats.spliced_bytes; }
  // Sends it all while the test goes on.
  void Pour(Stream& from, std::string bytes, void (*then)(Stream&) = [](Stream&) {}) {
    group().Spawn([](Stream& s, std::string all, void (*next)(Stream&)) -> Task<void> {
      if ((co_await s.Send(all)).ok()) next(s);
    }(from, std::move(bytes), then));
  }
  // More than everything on the way to a reader that takes nothing; until nothing moves any more.
  static constexpr size_t kFlood = 32 << 20;
  void Flood(Stream& from) {
    Pour(from, std::string(kFlood, 'x'));
    uint64_t before;
    do {
      before = spliced_bytes();
      Pass(50 * kMillisecond);
    } while (spliced_bytes() != before || before == 0);
  }
  const std::string reset_ = Cat("<error ", ECONNRESET, ">");

  Pair left_, right_;
  Counter to_backend_, to_client_;
  std::optional<RelayEnd> end_;

  void TearDown() override {
    group().Drain(proactor());
    for (Stream* s : {&left_.client, &left_.server, &right_.client, &right_.server}) s->Close();
    ProactorContract::TearDown();
  }
};

TEST_P(RelayTest, PassesBytesBothWaysAndCountsThem) {
  StartRelay();
  Say(client(), "question");
  EXPECT_EQ(Hear(backend(), 8), "question");
  Say(backend(), "yes");
  EXPECT_EQ(Hear(client(), 3), "yes");
  EXPECT_EQ(to_backend_.value(), 8u);
  EXPECT_EQ(to_client_.value(), 3u);
}

TEST_P(RelayTest, KeepsTheOtherDirectionOpenAfterTheClientsEnd) {
  StartRelay();
  Say(client(), "last words");
  client().ShutdownWrite();
  EXPECT_EQ(Hear(backend(), 100), "last words<end>");
  Say(backend(), "heard");
  EXPECT_EQ(Hear(client(), 5), "heard");
  backend().ShutdownWrite();
  EXPECT_EQ(Hear(client()), "<end>");
  ExpectEnd(RelayEnd::kFinished);
}

TEST_P(RelayTest, KeepsTheOtherDirectionOpenAfterTheBackendsEnd) {
  StartRelay();
  backend().ShutdownWrite();
  EXPECT_EQ(Hear(client()), "<end>");
  Say(client(), "still here");
  EXPECT_EQ(Hear(backend(), 10), "still here");
  client().ShutdownWrite();
  EXPECT_EQ(Hear(backend()), "<end>");
  ExpectEnd(RelayEnd::kFinished);
}

TEST_P(RelayTest, PassesTheBackendsResetOnToTheClient) {
  StartRelay();
  backend().Reset();
  EXPECT_EQ(Hear(client()), reset_);
  ExpectEnd(RelayEnd::kReset);
}

TEST_P(RelayTest, PassesTheClientsResetOnToTheBackend) {
  StartRelay();
  client().Reset();
  EXPECT_EQ(Hear(backend()), reset_);
  ExpectEnd(RelayEnd::kReset);
}

TEST_P(RelayTest, PassesAResetOnAfterAHalfClose) {
  StartRelay();
  client().ShutdownWrite();
  EXPECT_EQ(Hear(backend()), "<end>");
  backend().Reset();
  EXPECT_EQ(Hear(client()), reset_);
  ExpectEnd(RelayEnd::kReset);
}

TEST_P(RelayTest, EndsBothSidesInOrderAfterSilence) {
  StartRelay(50 * kMillisecond);
  EXPECT_EQ(Hear(client()), "<end>");
  EXPECT_EQ(Hear(backend()), "<end>");
  ExpectEnd(RelayEnd::kSilent);
}

TEST_P(RelayTest, ResetsWhenASilentReaderHasNotTakenAllOfIt) {
  StartRelay(200 * kMillisecond);
  std::string flood(16 << 20, 'x');
  IoResult sent = Pending();
  group().Spawn(SendAll(backend(), flood, &sent));
  ExpectEnd(RelayEnd::kSilent);
  std::string got = Hear(client(), flood.size());
  EXPECT_TRUE(got.ends_with(reset_)) << got.substr(got.size() - 20);
  ASSERT_TRUE(Until([&] { return sent != Pending(); }));  // it writes where we stand
}

class RelayInVirtualTime : public RelayTest {};

TEST_P(RelayInVirtualTime, OneDirectionsBytesKeepTheOtherFromBeingSilent) {
  StartRelay(200 * kMillisecond);
  for (int i = 0; i < 8; i++) {
    Say(client(), "tick");
    EXPECT_EQ(Hear(backend(), 4), "tick");
    Pass(50 * kMillisecond);
  }
  Say(backend(), "answer");
  EXPECT_EQ(Hear(client(), 6), "answer");
}

TEST_P(RelayTest, MovesMuchBothWaysAtOnce) {
  StartRelay();
  std::string up(8 << 20, 'u'), down(8 << 20, 'd');
  for (size_t i = 0; i < up.size(); i += 997) up[i] = down[i] = static_cast<char>(i);
  std::string at_backend, at_client;
  IoResult sent_up = Pending(), sent_down = Pending();
  group().Spawn(SendAll(client(), up, &sent_up));
  group().Spawn(SendAll(backend(), down, &sent_down));
  group().Spawn(ReceiveInto(backend(), up.size(), &at_backend));
  group().Spawn(ReceiveInto(client(), down.size(), &at_client));
  ASSERT_TRUE(Until([&] { 
    return at_backend.size() == up.size() && at_client.size() == down.size() && sent_up != Pending() &&
           sent_down != Pending();
  }));
  EXPECT_TRUE(at_backend == up && at_client == down);
  EXPECT_GT(spliced_bytes(), up.size());
  EXPECT_TRUE(Until([&] { return to_backend_.value() == up.size() && to_client_.value() == down.size(); }));
}

TEST_P(RelayTest, SplicesBulkAndCopiesWhatIsSmallBeforeAndAfter) {
  StartRelay();
  for (int i = 0; i < 8; i++) {
    Say(client(), "small");
    EXPECT_EQ(Hear(backend(), 5), "small");
  }
  EXPECT_EQ(spliced_bytes(), 0u);
  const std::string bulk = io::Pattern(4 << 20);
  Pour(client(), bulk);
  EXPECT_TRUE(Hear(backend(), bulk.size()) == bulk);
  EXPECT_GT(spliced_bytes(), 0u);
  for (int i = 0; i < 8; i++) {  // the first of them are spliced yet
    Say(client(), "small");
    EXPECT_EQ(Hear(backend(), 5), "small");
  }
  uint64_t before = spliced_bytes();
  Say(client(), "copied");
  EXPECT_EQ(Hear(backend(), 6), "copied");
  EXPECT_EQ(spliced_bytes(), before);
  EXPECT_EQ(to_backend_.value(), 16 * 5 + bulk.size() + 6);
}

TEST_P(RelayTest, PassesAnEndOnBehindTheBulk) {
  StartRelay();
  const std::string bulk = io::Pattern(6'000'001);
  Pour(backend(), bulk, [](Stream& stream) { stream.ShutdownWrite(); });
  EXPECT_TRUE(Hear(client(), bulk.size() + 1) == bulk + "<end>");
  EXPECT_GT(spliced_bytes(), 0u);
  Say(client(), "thanks");
  EXPECT_EQ(Hear(backend(), 6), "thanks");
  client().ShutdownWrite();
  EXPECT_EQ(Hear(backend()), "<end>");
  ExpectEnd(RelayEnd::kFinished);
}

TEST_P(RelayTest, PassesAResetOnBehindWhatWasSpliced) {
  StartRelay();
  const std::string bulk = io::Pattern(4 << 20);
  Pour(backend(), bulk, [](Stream& stream) { stream.Reset(); });
  std::string got = Hear(client(), bulk.size() + 1);
  EXPECT_GT(spliced_bytes(), 0u);
  ASSERT_TRUE(got.ends_with(reset_)) << got.substr(got.size() - 20);
  got.resize(got.size() - reset_.size());
  EXPECT_TRUE(bulk.starts_with(got));
  ExpectEnd(RelayEnd::kReset);
}

TEST_P(RelayTest, PassesTheResetOfABulksReceiverOnToItsSender) {
  StartRelay();
  Flood(backend());
  client().Reset();
  EXPECT_EQ(Hear(backend()), reset_);
  ExpectEnd(RelayEnd::kReset);
}

TEST_P(RelayTest, CancelledWhileBytesAreInThePipeResetsBothSides) {
  StartRelay();
  Flood(backend());
  group().Cancel();
  ExpectEnd(RelayEnd::kCancelled);
  group().Drain(proactor());
  std::string got;
  std::optional<IoResult> last;
  io::TaskGroup listening;
  listening.Spawn(Stash(client(), kFlood + 1, &got, &last));
  ASSERT_TRUE(Until([&] { return last.has_value(); }));
  EXPECT_EQ(*last, IoResult::Error(ECONNRESET));
}

TEST_P(RelayTest, CancelledWhileASplicedFlowIsIdle) {
  StartRelay();
  const std::string bulk = io::Pattern(4 << 20);
  Pour(client(), bulk);
  EXPECT_TRUE(Hear(backend(), bulk.size()) == bulk);
  group().Cancel();
  ExpectEnd(RelayEnd::kCancelled);
}

TEST_P(RelayTest, SplicesNothingPastARecordLayer) {
  StartRelay(kMinute, std::make_unique<InvertingLayer>());
  const std::string bulk = io::Pattern(4 << 20);
  Pour(client(), bulk);
  EXPECT_TRUE(Hear(backend(), bulk.size()) == Inverted(bulk));
  Pour(backend(), bulk);
  EXPECT_TRUE(Hear(client(), bulk.size()) == Inverted(bulk));
  EXPECT_EQ(spliced_bytes(), 0u);
}

// A send to a side that was reset takes the error, and its receive finds what looks like an end.
TEST_P(RelayTest, ResetThatASendMeetsFirstIsNoEnd) {
  StartRelay();
  Say(client(), "half of it");
  EXPECT_EQ(Hear(backend(), 10), "half of it");
  ASSERT_GT(backend().TrySend("answer"), 0u);
  client().Reset();
  EXPECT_EQ(Hear(backend()), reset_);
  ExpectEnd(RelayEnd::kReset);
}

class RelayInTheKernel : public RelayTest {};

TEST_P(RelayInTheKernel, UrgentByteDoesNotStopASplicedFlow) {
  StartRelay();
  const std::string bulk = io::Pattern(4 << 20);
  Pour(client(), bulk);
  EXPECT_TRUE(Hear(backend(), bulk.size()) == bulk);
  ASSERT_EQ(send(client().socket()->fd(), "!", 1, MSG_OOB), 1);
  Pass(20 * kMillisecond);
  Say(client(), "after");
  EXPECT_EQ(Hear(backend(), 5), "after");
}

TEST_P(RelayInTheKernel, CopiesBulkWhereNoPipeIsToBeHad) {
  StartRelay();
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const std::string bulk = io::Pattern(4 << 20);
  Pour(client(), bulk);
  EXPECT_TRUE(Hear(backend(), bulk.size()) == bulk);
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(spliced_bytes(), 0u);
  EXPECT_GT(proactor().stats.pipes_refused, 0u);
  Pour(client(), bulk);
  EXPECT_TRUE(Hear(backend(), bulk.size()) == bulk);
  EXPECT_GT(spliced_bytes(), 0u);
}

TEST_P(RelayTest, HoldsFewBuffersForAReaderThatTakesNothing) {
  StartRelay();
  std::string flood(32 << 20, 'x');
  IoResult sent = Pending();
  group().Spawn(SendAll(backend(), flood, &sent));
  uint64_t before;
  do {  // until nothing moves any more
    before = to_client_.value();
    Pass(100 * kMillisecond);
  } while (to_client_.value() != before);
  EXPECT_EQ(sent, Pending());  // the sender is held back
  EXPECT_LE(proactor().buffers_out(io::BufferGroup::kLarge), 5);
  std::string got;
  group().Spawn(ReceiveInto(client(), flood.size(), &got));
  EXPECT_TRUE(Until([&] { return got.size() == flood.size() && sent != Pending(); }));
}

TEST_P(RelayTest, LetsTheAnswerOutOfABackendThatReadsNoMore) {
  StartRelay();
  Say(backend(), "go away");
  backend().Close();
  EXPECT_EQ(Hear(client(), 100), "go away<end>");
  Say(client(), "but");           // is answered by a reset
  Pass(50 * kMillisecond);
  Say(client(), "why");           // cannot be passed on any more
  client().ShutdownWrite();
  ASSERT_TRUE(Until([this] { return end_.has_value(); }));
}

TEST_P(RelayTest, ResetsBothSidesWhenItIsCancelled) {
  StartRelay();
  Say(client(), "hello");
  EXPECT_EQ(Hear(backend(), 5), "hello");
  group().Cancel();
  ExpectEnd(RelayEnd::kCancelled);
}

INSTANTIATE_TEST_SUITE_P(Proactors, RelayTest,
                         testing::Values(ContractBackend{"uring", KernelHost<io::UringProactor>::Make},
                                         ContractBackend{"epoll", KernelHost<io::EpollProactor>::Make},
                                         ContractBackend{"sim", SimHost::Make}),
                         io::BackendName);

INSTANTIATE_TEST_SUITE_P(Kernel, RelayInTheKernel,
                         testing::Values(ContractBackend{"uring", KernelHost<io::UringProactor>::Make},
                                         ContractBackend{"epoll", KernelHost<io::EpollProactor>::Make}),
                         io::BackendName);

INSTANTIATE_TEST_SUITE_P(Sim, RelayInVirtualTime, testing::Values(ContractBackend{"sim", SimHost::Make}), io::BackendName);

}  // namespace
}  // namespace fairlead::lb
