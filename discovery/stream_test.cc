// Publisher and consumer over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/io/files.h"
#include "discovery/consumer.h"
#include "discovery/epoch.h"
#include "discovery/frame.h"
#include "discovery/publisher.h"
#include "discovery/test_rows.h"

namespace fairlead::discovery {
namespace {

using testing::HasSubstr;

constexpr Nanos kPatience = 20 * kSecond;  // only a failing test waits so long

class StreamTest : public testing::Test {
 protected:
  StreamTest() {
    CHECK(mkdtemp(folder_) != nullptr);
    std::string note;
    auto made = io::MakeProactor(io::IoBackend::kAuto, clock_, &note);
    CHECK(made.ok());
    proactor_ = *std::move(made);
    offload_ = io::MakeThreadOffload("test");
  }
  ~StreamTest() override {
    offload_.reset();
    proactor_.reset();
    std::filesystem::remove_all(folder_);
  }

  template <class Condition>
  bool Until(Condition condition) {
    const Nanos end = clock_.Now() + kPatience;
    while (!condition() && clock_.Now() < end) proactor_->Turn(10 * kMillisecond);
    return condition();
  }
  std::string Path(std::string_view name) { return Cat(folder_, "/", name); }

  // An agent: catalog, publisher and its socket.
  struct Agent {
    Agent(io::Proactor& p, uint64_t epoch, const SocketAddress& address)
        : proactor(p), catalog("n1", epoch), publisher(p, catalog, {}, metrics) {
      io::ListenOptions options;
      options.replace_stale = true;
      auto opened = io::Listener::Open(p, address, options);
      CHECK(opened.ok());
      listener.emplace(*std::move(opened));
      group.Spawn(io::AcceptLoop(*listener, group, [this](int fd) { return publisher.Serve(fd); }));
    }
    ~Agent() { group.Drain(proactor); }
    io::Proactor& proactor;
    Catalog catalog;
    Metrics metrics;
    Publisher publisher;
    std::optional<io::Listener> listener;
    io::TaskGroup group;
  };
  // A consumer that runs.
  struct Client final : ChangeListener {
    Client(StreamTest& test, std::vector<SocketAddress> agents, std::string state_path = "", Kinds kinds = {})
        : proactor(*test.proactor_),
          consumer(proactor, test.files_, *test.offload_, test.random_,
                   {"test", std::move(agents), std::move(state_path), std::move(kinds)}) {
      consumer.AddListener(*this);
      group.Spawn(consumer.Run());
    }
    ~Client() { group.Drain(proactor); }
    void OnChanges(const std::vector<Change>& changes) override {
      for (const Change& change : changes) heard += change.row ? 1 : -1;
      if (hold_next) hold = consumer.HoldAck();
    }
    bool Has(std::string_view key) const { return consumer.rows().Find(key) != nullptr; }
    io::Proactor& proactor;
    Consumer consumer;
    int heard = 0;
    bool hold_next = false;
    AckHold hold;
    io::TaskGroup group;
  };

  SocketAddress Socket(std::string_view name) { return *SocketAddress::Unix(Path(name)); }

  char folder_[40] = "/tmp/fairlead_discovery_XXXXXX";
  SystemClock clock_;
  SeededRandom random_{1};
  io::SystemFiles files_;
  std::unique_ptr<io::Proactor> proactor_;
  std::unique_ptr<io::Offload> offload_;
};

TEST_F(StreamTest, AChangeReachesEveryConsumerAndIsConfirmed) {
  Agent agent(*proactor_, 1, Socket("a"));
  agent.catalog.Upsert(Endpoint("a"));
  agent.catalog.MarkSynced();
  Client one(*this, {Socket("a")}), two(*this, {Socket("a")});
  ASSERT_TRUE(Until([&] { return one.consumer.synced() && two.consumer.synced(); }));
  agent.catalog.Upsert(Endpoint("b"));
  ASSERT_TRUE(Until([&] { return one.Has("endpoint/n1/b") && two.Has("endpoint/n1/b"); }));
  ASSERT_TRUE(Until([&] { return agent.publisher.Confirmed(2); }));
  EXPECT_EQ(agent.publisher.consumers().size(), 2u);
}

TEST_F(StreamTest, WorksOverTcp) {
  Agent agent(*proactor_, 1, SocketAddress(IpAddress::V4(0x7f000001), 0));
  agent.catalog.Upsert(Endpoint("a"));
  agent.catalog.MarkSynced();
  Client client(*this, {agent.listener->address()});
  ASSERT_TRUE(Until([&] { return client.consumer.synced(); }));
  EXPECT_TRUE(client.Has("endpoint/n1/a"));
}

TEST_F(StreamTest, AHeldChangeIsConfirmedWhenItIsApplied) {
  Agent agent(*proactor_, 1, Socket("a"));
  agent.catalog.MarkSynced();
  Client client(*this, {Socket("a")});
  ASSERT_TRUE(Until([&] { return client.consumer.synced() && agent.publisher.consumers().size() == 1; }));
  client.hold_next = true;
  agent.catalog.Upsert(Endpoint("a"));
  ASSERT_TRUE(Until([&] { return client.heard == 1; }));
  for (int i = 0; i < 5; i++) proactor_->Turn(kMillisecond);
  EXPECT_FALSE(agent.publisher.Confirmed(1));
  client.hold.Release();
  EXPECT_TRUE(Until([&] { return agent.publisher.Confirmed(1); }));
}

io::Task<void> AskConfirmed(Publisher& publisher, uint64_t revision, Nanos deadline, std::optional<bool>& answer) {
  answer = co_await publisher.WaitConfirmed(revision, deadline);
}

TEST_F(StreamTest, WaitConfirmedEndsWithTheLastAckOrItsDeadline) {
  Agent agent(*proactor_, 1, Socket("a"));
  agent.catalog.MarkSynced();
  std::optional<bool> late, done;
  {
    Client client(*this, {Socket("a")});
    ASSERT_TRUE(Until([&] { return client.consumer.synced() && agent.publisher.consumers().size() == 1; }));
    client.hold_next = true;
    agent.catalog.Upsert(Endpoint("a"));
    agent.group.Spawn(AskConfirmed(agent.publisher, 1, proactor_->Now() + 20 * kMillisecond, late));
    ASSERT_TRUE(Until([&] { return late.has_value() && client.heard == 1; }));
    EXPECT_FALSE(*late);
    agent.group.Spawn(AskConfirmed(agent.publisher, 1, proactor_->Now() + kPatience, done));
    client.hold.Release();
    ASSERT_TRUE(Until([&] { return done.has_value(); }));
    EXPECT_TRUE(*done);
    client.hold_next = false;
  }
}

TEST_F(StreamTest, WhatAConsumerDoesNotFollowIsConfirmedWithoutIt) {
  Agent agent(*proactor_, 1, Socket("a"));
  agent.catalog.MarkSynced();
  Client client(*this, {Socket("a")}, "", {"endpoint"});
  ASSERT_TRUE(Until([&] { return client.consumer.synced() && agent.publisher.consumers().size() == 1; }));
  agent.catalog.Upsert(Lease("a"));
  std::optional<bool> done;
  agent.group.Spawn(AskConfirmed(agent.publisher, 1, proactor_->Now() + Publisher::kHeartbeat / 2, done));
  ASSERT_TRUE(Until([&] { return done.has_value(); }));
  EXPECT_TRUE(*done);
  EXPECT_EQ(client.heard, 0);
}

TEST_F(StreamTest, LastGoodRowsStayWhileTheAgentIsAwayAndFollowItsNextEpoch) {
  std::optional<Agent> agent(std::in_place, *proactor_, 1, Socket("a"));
  agent->catalog.Upsert(Endpoint("a"));
  agent->catalog.Upsert(Endpoint("b"));
  agent->catalog.MarkSynced();
  Client client(*this, {Socket("a")});
  ASSERT_TRUE(Until([&] { return client.consumer.synced(); }));

  agent.reset();
  ASSERT_TRUE(Until([&] { return client.consumer.status().freshness == Freshness::kStale; }));
  EXPECT_EQ(client.consumer.rows().size(), 2u);

  agent.emplace(*proactor_, 2, Socket("a"));
  agent->catalog.Upsert(Endpoint("b"));
  ASSERT_TRUE(Until([&] { return (*client.consumer.rows().Find("endpoint/n1/b"))->epoch == 2; }));
  EXPECT_TRUE(client.Has("endpoint/n1/a"));
  EXPECT_EQ(client.consumer.status().freshness, Freshness::kStale);
  agent->catalog.MarkSynced();
  ASSERT_TRUE(Until([&] { return client.consumer.synced(); }));
  EXPECT_FALSE(client.Has("endpoint/n1/a"));
}

TEST_F(StreamTest, TakesTheNextAgentOfTheList) {
  Agent agent(*proactor_, 1, Socket("second"));
  agent.catalog.MarkSynced();
  Client client(*this, {Socket("first"), Socket("second")});
  ASSERT_TRUE(Until([&] { return client.consumer.synced(); }));
  EXPECT_THAT(client.consumer.status().agent, HasSubstr("second"));
}

TEST_F(StreamTest, RowsOfTheDiskAreServedAsStaleWithoutAnyAgent) {
  {
    Agent agent(*proactor_, 1, Socket("a"));
    agent.catalog.Upsert(Endpoint("a"));
    agent.catalog.MarkSynced();
    Client client(*this, {Socket("a")}, Path("state"));
    ASSERT_TRUE(Until([&] { return client.consumer.synced(); }));
  }
  Client again(*this, {Socket("a")}, Path("state"));
  ASSERT_TRUE(Until([&] { return again.heard == 1; }));
  EXPECT_EQ(again.consumer.status().freshness, Freshness::kStale);
  EXPECT_TRUE(again.Has("endpoint/n1/a"));
}

TEST_F(StreamTest, ACorruptStateFileIsKeptAside) {
  std::ofstream(Path("state")) << "not a state";
  auto state = [&] { return std::filesystem::exists(Path("state.corrupt")); };
  Agent agent(*proactor_, 1, Socket("a"));
  agent.catalog.MarkSynced();
  Client client(*this, {Socket("a")}, Path("state"));
  ASSERT_TRUE(Until([&] { return client.consumer.synced(); }));
  EXPECT_TRUE(state());
}

io::Task<void> SendGarbage(io::Proactor& proactor, SocketAddress address, std::string bytes, bool& closed) {
  auto stream = co_await io::Dial(proactor, address, proactor.Now() + kPatience);
  CHECK(stream.ok());
  CHECK((co_await stream->Send(bytes)).ok());
  io::IoResult end = co_await stream->Receive();
  closed = !end.ok() || end.is_end();
}

TEST_F(StreamTest, AConsumerThatSendsGarbageIsClosedAndOthersGoOn) {
  Agent agent(*proactor_, 1, Socket("a"));
  agent.catalog.MarkSynced();
  Client client(*this, {Socket("a")});
  ASSERT_TRUE(Until([&] { return client.consumer.synced(); }));
  bool oversize = false, nonsense = false;
  io::TaskGroup group;
  group.Spawn(SendGarbage(*proactor_, Socket("a"), std::string("\x7f\xff\xff\xff", 4), oversize));
  group.Spawn(SendGarbage(*proactor_, Socket("a"), std::string("\0\0\0\2\xff\xff", 6), nonsense));
  EXPECT_TRUE(Until([&] { return oversize && nonsense; }));
  group.Drain(*proactor_);
  agent.catalog.Upsert(Endpoint("a"));
  EXPECT_TRUE(Until([&] { return client.Has("endpoint/n1/a"); }));
}

TEST_F(StreamTest, ATextThatIsNoUtf8DoesNotStopTheStream) {
  Agent agent(*proactor_, 1, Socket("a"));
  EndpointRow row = Endpoint("a");
  row.health_reason = "exit \xff\xfe";
  agent.catalog.Upsert(row);
  agent.catalog.MarkSynced();
  Client client(*this, {Socket("a")});
  ASSERT_TRUE(Until([&] { return client.consumer.synced(); }));
  EXPECT_TRUE(client.Has("endpoint/n1/a"));
}

TEST(PeerPolicy, AdmitsRootOurselvesAndTheListed) {
  PeerPolicy policy{{1000}, {2000}};
  EXPECT_TRUE(policy.Allows({1, 0, 0}));
  EXPECT_TRUE(policy.Allows({1, geteuid(), 7}));
  EXPECT_TRUE(policy.Allows({1, 1000, 7}));
  EXPECT_TRUE(policy.Allows({1, 4, 2000}));
  EXPECT_FALSE(policy.Allows({1, 4242, 4242}));
}

TEST_F(StreamTest, EpochsRiseAtEveryStartAndSurviveALostFile) {
  ManualClock clock(1'000 * kSecond);
  const std::string path = Path("epoch");
  const uint64_t first = *NextEpoch(files_, clock, path);
  EXPECT_GE(first, 1'000u);
  EXPECT_EQ(*NextEpoch(files_, clock, path), first + 1);
  std::filesystem::remove(path);
  clock.Advance(100 * kSecond);
  EXPECT_GT(*NextEpoch(files_, clock, path), first + 1);
  std::ofstream(path) << "garbage";
  EXPECT_GT(*NextEpoch(files_, clock, path), first + 1);
  EXPECT_FALSE(NextEpoch(files_, clock, Path("missing/epoch")).ok());
}

}  // namespace
}  // namespace fairlead::discovery
