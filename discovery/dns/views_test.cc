// The same name, answered by the asker's environment.
#include <gmock/gmock.h>

#include "discovery/dns/answer_fixture.h"

namespace fairlead::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kProdAsker = "10.40.0.1", kTestAsker = "10.40.0.2", kTestHost = "192.168.7.9";

discovery::EndpointRow InEnv(std::string env, discovery::EndpointRow row) {
  row.env = std::move(env);
  return row;
}

class ViewsTest : public AnswerTest {
 protected:
  ViewsTest() {
    ZoneConfig config;
    config.node = "host1";
    config.views = {{"test", {*Prefix::Parse("192.168.7.0/24")}}, {"dev", {}}};
    zone_ = *Zone::Make(config, clock_);
    answerer_ = std::make_unique<Answerer>(*zone_, metrics_);
    Change({Put("host1", InEnv("prod", Endpoint("p", "host1", "shop", kProdAsker))),
            Put("host1", InEnv("test", Endpoint("t", "host1", "shop", kTestAsker))),
            Put("host1", InEnv("prod", Serving("db-p", "host1", "db", "shop", "10.40.1.1"))),
            Put("host1", InEnv("test", Serving("db-t", "host1", "db", "shop", "10.40.1.2")))});
  }
  void LoadViews(std::string_view all, std::vector<std::string_view> of_views) {
    ASSERT_TRUE(Set(all, of_views).ok());
  }
  Status Set(std::string_view all, std::vector<std::string_view> of_views) {
    const MasterFileDefaults defaults{std::string(zone_->name()), 300};
    std::vector<std::vector<StaticRecord>> views;
    for (std::string_view text : of_views) views.push_back(*ParseMasterFile(text, "view.zone", defaults));
    return zone_->SetRecords(*ParseMasterFile(all, "all.zone", defaults), std::move(views));
  }
  std::set<std::string> A(std::string_view name, std::string_view asker) {
    return Dig({.name = std::string(name)}, asker).data();
  }
};

TEST_F(ViewsTest, AServiceIsThatOfTheAskersEnvironment) {
  EXPECT_THAT(A("db.shop.svc.fl.internal", kTestAsker), ElementsAre("10.40.1.2"));
  EXPECT_THAT(A("db.shop.svc.fl.internal", kTestHost), ElementsAre("10.40.1.2"));
  Answered srv = Dig({.name = "_http._tcp.db.shop.svc.fl.internal", .type = kSrv}, kTestAsker);
  EXPECT_THAT(srv.data(), ElementsAre("0 1 8080 10-40-1-2.db.shop.svc.fl.internal."));
  ASSERT_EQ(srv.additional.size(), 1u);
  EXPECT_EQ(srv.additional[0].data, "10.40.1.2");
}

TEST_F(ViewsTest, ShortNamesToo) {
  EXPECT_THAT(A("db", kTestAsker), ElementsAre("10.40.1.2"));
  EXPECT_THAT(A("db", kProdAsker), ElementsAre("10.40.1.1", "10.40.1.2"));
}

TEST_F(ViewsTest, WhoseEnvironmentHasNoViewIsToldWhatAllAre) {
  for (std::string_view asker : {kProdAsker, std::string_view("172.16.0.1")}) {
    for (int i = 0; i < 2; i++) EXPECT_THAT(A("db.shop.svc.fl.internal", asker), ElementsAre("10.40.1.1", "10.40.1.2"));
  }
}

TEST_F(ViewsTest, TheContainersLabelCountsBeforeItsAddress) {
  Change({Put("host1", InEnv("dev", Endpoint("d", "host1", "shop", "192.168.7.20"))),
          Put("host1", InEnv("dev", Serving("db-d", "host1", "db", "shop", "10.40.1.3")))});
  EXPECT_THAT(A("db.shop.svc.fl.internal", "192.168.7.20"), ElementsAre("10.40.1.3"));
}

TEST_F(ViewsTest, AServiceThatTheEnvironmentDoesNotHaveIsThatOfAll) {
  Change({Put("host1", InEnv("prod", Serving("mail-p", "host1", "mail", "shop", "10.40.1.9")))});
  EXPECT_THAT(A("mail.shop.svc.fl.internal", kTestAsker), ElementsAre("10.40.1.9"));
}

TEST_F(ViewsTest, AServiceThatIsNotReadyThereIsNotLookedForElsewhere) {
  discovery::EndpointRow stopped = InEnv("test", Serving("db-t", "host1", "db", "shop", "10.40.1.2"));
  stopped.state = discovery::RunState::kExited;
  Change({Put("host1", stopped)});
  Answered answer = Dig({.name = "db.shop.svc.fl.internal"}, kTestAsker);
  EXPECT_EQ(answer.rcode, 0);
  EXPECT_THAT(answer.data(), IsEmpty());
  EXPECT_THAT(answer.authority, ::testing::SizeIs(1)) << "the SOA of the zone";
}

TEST_F(ViewsTest, FollowsChanges) {
  Change({Gone("host1", InEnv("test", Serving("db-t", "host1", "db", "shop", "10.40.1.2")))});
  EXPECT_THAT(A("db.shop.svc.fl.internal", kTestAsker), ElementsAre("10.40.1.1"));
  discovery::EndpointRow moved = InEnv("test", Serving("db-p", "host1", "db", "shop", "10.40.1.1"));
  Change({Put("host1", moved)});
  EXPECT_THAT(A("db.shop.svc.fl.internal", kTestAsker), ElementsAre("10.40.1.1"));
}

TEST_F(ViewsTest, RecordsOfAViewComeBeforeThoseOfAll) {
  constexpr std::string_view kAll = "mysql A 10.0.0.1\nonly A 10.0.0.2\n";
  LoadViews(kAll, {"mysql A 10.9.0.1\n*.mock A 10.9.0.2\nalias CNAME only\nmail MX 1 mysql\n"});
  EXPECT_THAT(A("mysql.fl.internal", kTestHost), ElementsAre("10.9.0.1"));
  EXPECT_THAT(A("mysql.fl.internal", kProdAsker), ElementsAre("10.0.0.1"));
  EXPECT_THAT(A("only.fl.internal", kTestHost), ElementsAre("10.0.0.2"));
  EXPECT_THAT(A("a.mock.fl.internal", kTestHost), ElementsAre("10.9.0.2"));
  EXPECT_EQ(Dig({.name = "a.mock.fl.internal"}, kProdAsker).rcode, 3);
  EXPECT_THAT(A("alias.fl.internal", kTestHost), ElementsAre("10.0.0.2", "only.fl.internal."));
  Answered mail = Dig({.name = "mail.fl.internal", .type = kMx}, kTestHost);
  ASSERT_EQ(mail.additional.size(), 1u);
  EXPECT_EQ(mail.additional[0].data, "10.9.0.1");
  Answered none = Dig({.name = "mysql.fl.internal", .type = kAaaa}, kTestHost);
  EXPECT_EQ(none.rcode, 0);
  EXPECT_THAT(none.authority, ::testing::SizeIs(1));
  EXPECT_THAT(A("db.shop.svc.fl.internal", kTestHost), ElementsAre("10.40.1.2")) << "rows are said again";
}

TEST_F(ViewsTest, TheApexIsThatOfAll) {
  Answered soa = Dig({.name = "fl.internal", .type = kSoa}, kTestHost);
  EXPECT_THAT(soa.answer, ::testing::SizeIs(1));
  EXPECT_THAT(Dig({.name = "fl.internal", .type = kNs}, kTestHost).answer, ::testing::SizeIs(1));
}

TEST_F(ViewsTest, RefusesZonesOfAViewAndNamesOfNobody) {
  EXPECT_THAT(Set("", {"sub NS ns.sub"}).message(),
              ::testing::HasSubstr("view.zone:1: a view has no zones of its own; move SOA and NS records to dns.records"));
  EXPECT_THAT(Set("", {"x.example.org. A 10.0.0.1"}).message(), ::testing::HasSubstr("lies in no zone of this server"));
  EXPECT_THAT(A("db.shop.svc.fl.internal", kTestAsker), ElementsAre("10.40.1.2"));
}

}  // namespace
}  // namespace fairlead::dns
