#include "dataplane/probe.h"

#include <gmock/gmock.h>

#include <deque>

#include "base/clock.h"
#include "dataplane/announce.h"
#include "dataplane/container_fixture.h"
#include "dataplane/interface_name.h"

namespace fairlead::dataplane {
namespace {

using testing::ElementsAre;

const MacAddress kOurs({0x02, 1, 1, 1, 1, 1}), kOther({0x02, 2, 2, 2, 2, 2});
IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

TEST(ProbeFrame, AsksByArpWithoutSayingThatAnybodyHasAnAddress) {
  EXPECT_THAT(ProbeFrame(Ip("10.40.0.7"), kOurs),
              ElementsAre(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 1, 1, 1, 1, 1, 8, 6,  //
                          0, 1, 8, 0, 6, 4, 0, 1, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0,        // sender 0.0.0.0
                          0, 0, 0, 0, 0, 0, 10, 40, 0, 7));
}

TEST(ProbeFrame, SolicitsTheNodesGroupFromTheUnspecifiedAddress) {
  const Frame frame = ProbeFrame(Ip("fd00:40::12:3456"), kOurs);
  ASSERT_EQ(frame.size(), 78u);
  EXPECT_THAT(Frame(frame.begin(), frame.begin() + 14), ElementsAre(0x33, 0x33, 0xff, 0x12, 0x34, 0x56, 2, 1, 1, 1, 1, 1, 0x86, 0xdd));
  EXPECT_EQ(Frame(frame.begin() + 22, frame.begin() + 38), Frame(16, 0)) << "source ::";
  EXPECT_EQ(frame[21], 255) << "hop limit";
  EXPECT_EQ(frame[54], 135) << "neighbour solicitation";
}

TEST(Claimant, IsWhoSaysThatItHasTheAddress) {
  for (const char* address : {"10.40.0.7", "fd00:40::7"}) {
    EXPECT_EQ(Claimant(AnnouncementFrame(Ip(address), kOther), Ip(address), kOurs), kOther);
    EXPECT_EQ(Claimant(AnnouncementFrame(Ip(address), kOther), Ip(address).Plus(1), kOurs), std::nullopt);
  }
}

TEST(Claimant, IsWhoProbesForTheAddressToo) {
  for (const char* address : {"10.40.0.7", "fd00:40::7"}) {
    EXPECT_EQ(Claimant(ProbeFrame(Ip(address), kOther), Ip(address), kOurs), kOther);
    EXPECT_EQ(Claimant(ProbeFrame(Ip(address), kOurs), Ip(address), kOurs), std::nullopt) << "our own probe, come round";
  }
}

TEST(Claimant, IsNobodyWhoOnlyAsksForIt) {
  EXPECT_EQ(Claimant(ArpRequest(kOther, Ip("10.40.0.1"), Ip("10.40.0.7")), Ip("10.40.0.7"), kOurs), std::nullopt);
}

TEST(Claimant, IsNobodyInAFrameThatIsCutAnywhere) {
  for (const char* address : {"10.40.0.7", "fd00:40::7"}) {
    const Frame whole = ProbeFrame(Ip(address), kOther);
    for (size_t length = 0; length < whole.size(); ++length)
      EXPECT_EQ(Claimant(Frame(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length)), Ip(address), kOurs), std::nullopt);
  }
}

// A wire on which time passes only by waiting.
class ScriptedWire final : public ProbeWire {
 public:
  Nanos Now() override { return clock.Now(); }
  Status Send(const Frame&) override {
    sent.push_back(clock.Now() - start);
    return OkStatus();
  }
  StatusOr<std::optional<Frame>> Receive(Nanos until) override {
    if (arrivals.empty() || start + arrivals.front().first > until) {
      clock.Advance(until - clock.Now());
      return std::nullopt;
    }
    clock.Advance(std::max<Nanos>(0, start + arrivals.front().first - clock.Now()));
    Frame frame = arrivals.front().second;
    arrivals.pop_front();
    return std::optional(frame);
  }

  ManualClock clock;
  const Nanos start = clock.Now();
  std::vector<Nanos> sent;
  std::deque<std::pair<Nanos, Frame>> arrivals;
};

TEST(Probe, AsksThreeTimesWithinATenthOfASecond) {
  ScriptedWire wire;
  auto found = ProbeOn(wire, Ip("10.40.0.7"), kOurs);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, std::nullopt);
  EXPECT_THAT(wire.sent, ElementsAre(0, 30 * kMillisecond, 60 * kMillisecond));
  EXPECT_EQ(wire.clock.Now() - wire.start, 100 * kMillisecond);
}

TEST(Probe, EndsWithTheFirstClaim) {
  ScriptedWire wire;
  wire.arrivals = {{1 * kMillisecond, ArpRequest(kOther, Ip("10.40.0.1"), Ip("10.40.0.7"))},
                   {40 * kMillisecond, AnnouncementFrame(Ip("10.40.0.7"), kOther)}};
  EXPECT_EQ(*ProbeOn(wire, Ip("10.40.0.7"), kOurs), kOther);
  EXPECT_EQ(wire.clock.Now() - wire.start, 40 * kMillisecond);
}

TEST(Probe, ALanThatNeverFallsSilentDoesNotDrawItOut) {
  ScriptedWire wire;
  for (int i = 1; i <= 1000; ++i)
    wire.arrivals.emplace_back(i * kMillisecond, AnnouncementFrame(Ip("10.40.0.99"), kOther));
  EXPECT_EQ(*ProbeOn(wire, Ip("10.40.0.7"), kOurs), std::nullopt);
  EXPECT_EQ(wire.clock.Now() - wire.start, 100 * kMillisecond);
}

// A bridge with a port to a "LAN": a namespace behind a veth, whose inhabitant has addresses of its own choice.
class ProbeTest : public BridgeTest {
 protected:
  void SetUp() override {
    BridgeTest::SetUp();
    if (HasFatalFailure()) return;
    ASSERT_TRUE(driver_->EnsureNetwork(network_).ok());
  }

  void AddLan(std::string_view port, const std::vector<std::string>& squatted) {
    auto lan = NetworkNamespace::Create();
    ASSERT_TRUE(lan.ok());
    ASSERT_TRUE(netlink().CreateVeth({std::string(port), {}}, {"squat0", kOther}, 0).ok());
    const Link bridge = *netlink().FindLink("fl-0a1b2c3d");
    ASSERT_TRUE(Change(port, {.up = true, .master = bridge.index}).ok());
    ASSERT_TRUE(Change("squat0", {.namespace_fd = lan->fd()}).ok());
    const Status filled = lan->Run([&]() -> Status {
      ASSIGN_OR_RETURN(const auto inside, Netlink::Open());
      ASSIGN_OR_RETURN(const Link link, inside->FindLink("squat0"));
      RETURN_IF_ERROR(inside->ChangeLink(link, {.up = true}));
      for (const std::string& address : squatted)
        RETURN_IF_ERROR(inside->AddAddress(link, {*InterfaceAddress::Parse(address), 0}));
      return OkStatus();
    });
    ASSERT_TRUE(filled.ok()) << filled;
    lans_.push_back(*std::move(lan));
  }

  std::optional<MacAddress> Probe(std::string_view address) {
    auto found = driver_->Probe(network_, Ip(address));
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : std::nullopt;
  }

  // The LAN's inhabitant answers once its carrier is up and its IPv6 groups are joined.
  std::optional<MacAddress> ProbeUntilFound(std::string_view address) {
    std::optional<MacAddress> found;
    for (int tries = 0; tries < 50 && !found; ++tries) found = Probe(address);
    return found;
  }

  std::vector<NetworkNamespace> lans_;
};

TEST_F(ProbeTest, FindsASquatterOnTheLanWithItsMacInBothFamilies) {
  AddLan("uplink", {"10.40.0.9/24", "fd00:40::9/64"});
  EXPECT_EQ(ProbeUntilFound("10.40.0.9"), kOther);
  EXPECT_EQ(ProbeUntilFound("fd00:40::9"), kOther);
  EXPECT_EQ(Probe("10.40.0.10"), std::nullopt);
  EXPECT_EQ(Probe("fd00:40::10"), std::nullopt);
}

TEST_F(ProbeTest, AsksOnEveryPortThatIsNotOurs) {
  AddLan("uplink", {"10.40.0.9/24"});
  AddLan("vm-tap", {"10.40.0.8/24"});
  EXPECT_EQ(ProbeUntilFound("10.40.0.9"), kOther);
  EXPECT_EQ(ProbeUntilFound("10.40.0.8"), kOther);
}

TEST_F(ProbeTest, OwnContainersAreNoSquatters) {
  const Container ours = Start(7);
  AddLan("uplink", {"10.40.0.9/24"});
  ASSERT_EQ(ProbeUntilFound("10.40.0.9"), kOther);
  EXPECT_EQ(Probe("10.40.0.7"), std::nullopt);
  EXPECT_EQ(Probe("fd00:40::7"), std::nullopt);
  EXPECT_EQ(Probe("10.40.0.1"), std::nullopt) << "the bridge's own address";
}

TEST_F(ProbeTest, AnswersAtOnceWithoutAPortToALan) {
  const Container ours = Start(7);
  const SystemClock clock;
  const Nanos start = clock.Now();
  EXPECT_EQ(Probe("10.40.0.9"), std::nullopt);
  EXPECT_LT(clock.Now() - start, kProbeFor);
  network_.id = "never-made";
  EXPECT_EQ(Probe("10.40.0.9"), std::nullopt);
}

TEST_F(ProbeTest, PassesOverAPortThatIsDown) {
  AddLan("uplink", {"10.40.0.9/24"});
  ASSERT_TRUE(Change("uplink", {.up = false}).ok());
  EXPECT_EQ(Probe("10.40.0.9"), std::nullopt);
}

}  // namespace
}  // namespace fairlead::dataplane
