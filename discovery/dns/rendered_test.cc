// Rendered answers: nobody can tell them from those that are put together, and no change is missed.
#include "discovery/dns/rendered.h"

#include <gmock/gmock.h>

#include "discovery/dns/answer_fixture.h"

namespace fairlead::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kWeb = "web.demo.svc.fl.internal";
constexpr const char* kWebSrv = "_http._tcp.web.demo.svc.fl.internal";

class RenderedTest : public AnswerTest {
 protected:
  void Serve(int endpoints) {
    for (int i = 1; i <= endpoints; i++) Change({Put("host1", Web(i))});
  }
  static discovery::EndpointRow Web(int i) {
    return Serving(Cat("web-", i), "host1", "web", "demo", i % 3 == 0 ? Cat("fd00::", i) : Cat("10.40.0.", i));
  }
};

TEST_F(RenderedTest, PointsEachAddressAtItsTargetInEveryRotation) {
  Serve(5);
  std::set<std::string> first;
  for (int i = 0; i < 12; i++) {
    Answered a = Dig({.name = kWebSrv, .type = kSrv, .edns_bytes = 1232});
    ASSERT_THAT(a.data(), SizeIs(5));
    ASSERT_THAT(a.additional, SizeIs(5));
    first.insert(a.answer[0].data);
    for (const AnsweredRecord& record : a.additional) {
      std::string label = record.type == kA ? record.data : Cat("fd00-0-0-0-0-0-0-", record.data.substr(6));
      std::replace(label.begin(), label.end(), '.', '-');
      EXPECT_EQ(record.owner, Cat(label, ".", kWeb, "."));
    }
  }
  EXPECT_THAT(first, SizeIs(5));
  EXPECT_EQ(zone_->rendered(), 1u);
}

TEST_F(RenderedTest, EchoesTheQuestionsOwnCase) {
  Serve(1);
  Dig({.name = kWeb});
  Answered a = Dig({.name = "WEB.Demo.svc.FL.internal"});
  EXPECT_EQ(a.answer.at(0).owner, "WEB.Demo.svc.FL.internal.");
  EXPECT_TRUE(a.has(flag::kAuthoritative));
}

TEST_F(RenderedTest, FollowsEveryChangeOfItsRecords) {
  discovery::EndpointRow row = Web(1);
  Change({Put("host1", row)});
  EXPECT_THAT(Dig({.name = kWeb}).data(), ElementsAre("10.40.0.1"));
  EXPECT_THAT(Dig({.name = kWebSrv, .type = kSrv}).data(), ElementsAre(Cat("0 1 8080 10-40-0-1.", kWeb, ".")));
  row.services[0].weight = 7;
  Change({Put("host1", row)});
  EXPECT_THAT(Dig({.name = kWebSrv, .type = kSrv}).data(), ElementsAre(Cat("0 7 8080 10-40-0-1.", kWeb, ".")));
  row.draining = true;
  Change({Put("host1", row)});
  EXPECT_THAT(Dig({.name = kWeb}).data(), IsEmpty());
  Answered srv = Dig({.name = kWebSrv, .type = kSrv});
  EXPECT_THAT(srv.data(), IsEmpty());
  EXPECT_THAT(srv.additional, IsEmpty());
  EXPECT_EQ(zone_->rendered(), 0u);
}

TEST_F(RenderedTest, FollowsTheBalancer) {
  Serve(1);
  for (const char* ip : {"10.0.0.1", "10.0.0.9"}) {
    Change({Put("host1", discovery::NodeRow{"host1", "sh", {Ip(ip)}})});
    for (int i = 0; i < 2; i++) EXPECT_THAT(Dig({.name = "web.demo.lb.fl.internal"}).data(), ElementsAre(ip));
  }
  Load("other A 192.0.2.1\n");
  Change({Gone("host1", Web(1))});
  EXPECT_THAT(Dig({.name = "web.demo.lb.fl.internal"}).data(), IsEmpty());
}

TEST_F(RenderedTest, FollowsTheMasterFile) {
  Load("x A 192.0.2.1\n");
  for (int i = 0; i < 2; i++) EXPECT_THAT(Dig({.name = "x.fl.internal"}).data(), ElementsAre("192.0.2.1"));
  Load("x NS ns.x\nns.x A 192.0.2.53\n");
  EXPECT_THAT(Dig({.name = "x.fl.internal"}).answer, IsEmpty());
  EXPECT_EQ(Dig({.name = "x.fl.internal"}).authority.at(0).type, kNs);
}

TEST_F(RenderedTest, GivesAnAddressOnceHoweverManyPortsItHas) {
  for (uint16_t port : {18080, 18081, 18082}) {
    discovery::EndpointRow row = Endpoint(Cat("web-", port), "host1", "demo", "172.17.0.2");
    row.services = {Service("web", "demo", "10.0.0.1", port)};
    Change({Put("host1", row)});
  }
  for (int i = 0; i < 4; i++) {
    Answered a = Dig({.name = kWebSrv, .type = kSrv});
    EXPECT_THAT(a.data(), SizeIs(3));
    ASSERT_THAT(a.additional, SizeIs(1));
    EXPECT_EQ(a.additional[0].owner, Cat("10-0-0-1.", kWeb, "."));
  }
}

TEST_F(RenderedTest, IsLeftOutWhereTheAskerHasNoRoomForIt) {
  Serve(11);
  for (int i = 0; i < 3; i++) {
    Answered small = Dig({.name = kWebSrv, .type = kSrv});
    EXPECT_TRUE(small.has(flag::kTruncated));
    EXPECT_LE(small.bytes, 512u);
    Answered large = Dig({.name = kWebSrv, .type = kSrv, .edns_bytes = 1232});
    EXPECT_FALSE(large.has(flag::kTruncated));
    EXPECT_THAT(large.data(), SizeIs(11));
    EXPECT_THAT(large.additional, SizeIs(11));
  }
}

TEST_F(RenderedTest, IsNotKeptForNamesThatAskersMakeUp) {
  Load("*.wild A 192.0.2.1\nalias CNAME target\ntarget A 192.0.2.2\n");
  for (int i = 0; i < 50; i++) {
    Dig({.name = Cat("n", i, ".wild.fl.internal")});
    Dig({.name = Cat("n", i, ".fl.internal")});
    Dig({.name = "alias.fl.internal"});
  }
  EXPECT_EQ(zone_->rendered(), 0u);
}

TEST_F(RenderedTest, LooksUpTheTargetsOfMasterFiles) {
  Load("_http._tcp.web.demo.svc SRV 0 1 8080 10-40-0-1.web.demo.svc\n");
  Change({Put("host1", Web(1))});  // says the same record; the target's address is the row's alone
  for (int i = 0; i < 2; i++) EXPECT_THAT(Dig({.name = kWebSrv, .type = kSrv}).additional, SizeIs(1));
  Change({Gone("host1", Web(1))});
  Answered a = Dig({.name = kWebSrv, .type = kSrv});
  EXPECT_THAT(a.answer, SizeIs(1));
  EXPECT_THAT(a.additional, IsEmpty());
}

TEST_F(RenderedTest, SpellsOutTheDelegationBehindAnAlias) {
  Load("alias CNAME www.child\nchild NS ns.child\nns.child A 192.0.2.53\n");
  Answered a = Dig({.name = "alias.fl.internal"});
  EXPECT_THAT(a.data(), ElementsAre("www.child.fl.internal."));
  EXPECT_EQ(a.authority.at(0).owner, "child.fl.internal.");
}

}  // namespace
}  // namespace fairlead::dns
