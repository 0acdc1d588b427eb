// The relay between two real or simulated connections: client -- a, b -- backend.
#include "lb/relay.h"

#include <gtest/gtest.h>

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

class RelayTest : public io::ProactorContract {
 protected:
  void StartRelay(Nanos silence = kMinute) {
    left_ = Connected(io::BufferGroup::kLarge);
    right_ = Connected(io::BufferGroup::kLarge);
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
  EXPECT_TRUE(Until([&] { return to_backend_.value() == up.size() && to_client_.value() == down.size(); }));
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

INSTANTIATE_TEST_SUITE_P(Sim, RelayInVirtualTime, testing::Values(ContractBackend{"sim", SimHost::Make}), io::BackendName);

}  // namespace
}  // namespace fairlead::lb
