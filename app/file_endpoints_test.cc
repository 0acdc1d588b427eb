// In virtual time: the file's endpoints while its host names come, change and fail.
#include "app/file_endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/config.h"
#include "base/dns/scripted_resolver.h"
#include "base/sim/sim_proactor.h"
#include "base/sim/sim_world.h"
#include "base/strings.h"
#include "lb/picture.h"

namespace fairlead::app {
namespace {

using dns::Found;
using dns::Says;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FileEndpointsTest : public testing::Test {
 protected:
  FileEndpointsTest() { tasks_.Spawn(hosts_.Run()); }
  void TearDown() override { tasks_.Drain(proactor_); }
  void Load(const std::string& text) {
    StatusOr<Config> config = ParseConfig(text, "test.yaml");
    ASSERT_TRUE(config.ok()) << config.status();
    picture_.Reload(endpoints_.Expand(config->lb));
    endpoints_.Adopt(config->lb);
  }
  // "ADDRESS" of those that take traffic, "NAME: REASON" of the others; what there is to note behind.
  std::vector<std::string> Endpoints(std::string_view service) {
    std::vector<std::string> texts;
    for (const lb::Picture::EndpointInfo& info : picture_.Endpoints(service)) {
      std::string text = info.ready ? info.view->address.ToString() : Cat(info.view->name, ": ", info.why_not);
      if (info.ready && !info.note.empty()) text += Cat(" (", info.note, ")");
      texts.push_back(std::move(text));
    }
    return texts;
  }
  HostPort At(std::string_view text) { return *HostPort::Parse(text); }

  sim::SimWorld world_{1};
  sim::SimProactor proactor_{world_, *IpAddress::Parse("10.0.0.1")};
  Metrics metrics_;
  dns::ScriptedResolver resolver_{proactor_};
  dns::HostBook hosts_{proactor_, resolver_, metrics_};
  int applied_ = 0;
  lb::Picture picture_{lb::Config{}};
  FileEndpoints endpoints_{hosts_, [this](const std::string& service, std::vector<lb::StaticEndpoint> now) {
    ++applied_;
    picture_.SetFileEndpoints(service, std::move(now));
  }};
  io::TaskGroup tasks_;
};

constexpr char kDb[] = "services: {db: {endpoints: [{address: 'db.example.com:5432', weight: 3}, {address: '10.0.0.9:5432'}]}}";

TEST_F(FileEndpointsTest, ANameBecomesItsAddresses) {
  resolver_.v4["db.example.com"] = Found({"10.0.0.7", "10.0.0.8"}, 5 * kSecond);
  Load(kDb);
  EXPECT_THAT(Endpoints("db.default"), ElementsAre("db.example.com:5432: its name is being asked for", "10.0.0.9:5432"));
  world_.Run(kSecond);
  EXPECT_THAT(Endpoints("db.default"), ElementsAre("10.0.0.7:5432", "10.0.0.8:5432", "10.0.0.9:5432"));
  EXPECT_EQ(picture_.Endpoints("db.default")[1].view->weight, 3u);
  EXPECT_EQ(picture_.Endpoints("db.default")[1].view->name, "db.example.com:5432");
  resolver_.v4["db.example.com"] = Found({"10.0.0.8"}, 5 * kSecond);
  world_.Run(5 * kSecond);
  EXPECT_THAT(Endpoints("db.default"), ElementsAre("10.0.0.8:5432", "10.0.0.9:5432"));
}

TEST_F(FileEndpointsTest, AddressesStayWhileTheResolverFailsAndAfterThatForAWhile) {
  resolver_.v4["db.example.com"] = Found({"10.0.0.7"}, kSecond);
  Load(kDb);
  world_.Run(kSecond);
  resolver_.Both("db.example.com", Says(dns::HostAnswer::Outcome::kFailed, "no name server answered in time"));
  world_.Run(kHour);
  EXPECT_THAT(Endpoints("db.default"), ElementsAre("10.0.0.7:5432 (no name server answered in time)", "10.0.0.9:5432"));
  resolver_.Both("db.example.com", Says(dns::HostAnswer::Outcome::kGone, "there is no such name (NXDOMAIN)"));
  world_.Run(dns::HostBook::kRetry + kSecond);
  EXPECT_THAT(Endpoints("db.default"), ElementsAre("10.0.0.7:5432 (there is no such name (NXDOMAIN))", "10.0.0.9:5432"));
  world_.Run(dns::HostBook::kKeepGone + dns::HostBook::kRetry);
  EXPECT_THAT(Endpoints("db.default"), ElementsAre("db.example.com:5432: there is no such name (NXDOMAIN)", "10.0.0.9:5432"));
}

TEST_F(FileEndpointsTest, AnAddressThatIsWrittenAsWellIsThereOnce) {
  resolver_.v4["db.example.com"] = Found({"10.0.0.9"}, kSecond);
  Load(kDb);
  world_.Run(kSecond);
  EXPECT_THAT(Endpoints("db.default"), ElementsAre("10.0.0.9:5432"));
  EXPECT_EQ(picture_.Endpoints("db.default")[0].view->weight, 3u);
}

TEST_F(FileEndpointsTest, AnotherFileKeepsWhatIsKnownOfItsNames) {
  resolver_.v4["db.example.com"] = Found({"10.0.0.7"}, kHour);
  resolver_.v4["old.example.com"] = Found({"10.0.0.3"}, kHour);
  Load("services: {db: {endpoints: [{address: 'old.example.com:5432'}, {address: 'db.example.com:5432'}]}}");
  world_.Run(kSecond);
  Load(kDb);
  EXPECT_THAT(Endpoints("db.default"), ElementsAre("10.0.0.7:5432", "10.0.0.9:5432"));
  EXPECT_EQ(hosts_.Find("old.example.com"), nullptr);
  EXPECT_EQ(hosts_.size(), 1u);
}

TEST_F(FileEndpointsTest, RemovedOnesStayAwayWhenTheNameChanges) {
  resolver_.v4["db.example.com"] = Found({"10.0.0.7"}, kSecond);
  Load(kDb);
  world_.Run(kSecond);
  EXPECT_THAT(std::string(Message(endpoints_.Remove("db.default", At("10.0.0.7:5432")))), HasSubstr("is an address of db.example.com:5432: remove that"));
  EXPECT_TRUE(endpoints_.Remove("db.default", At("10.0.0.9:5432")).ok());
  EXPECT_THAT(Endpoints("db.default"), ElementsAre("10.0.0.7:5432"));
  EXPECT_TRUE(endpoints_.Remove("db.default", At("db.example.com:5432")).ok());
  resolver_.v4["db.example.com"] = Found({"10.0.0.8"}, kSecond);
  world_.Run(5 * kSecond);
  EXPECT_THAT(Endpoints("db.default"), IsEmpty());
  EXPECT_EQ(endpoints_.Remove("db.default", At("db.example.com:5432")).code(), StatusCode::kNotFound);
  EXPECT_EQ(endpoints_.Remove("other.default", At("10.0.0.9:5432")).code(), StatusCode::kNotFound);
  Load(kDb);
  world_.Run(kSecond);
  EXPECT_THAT(Endpoints("db.default"), ElementsAre("10.0.0.8:5432", "10.0.0.9:5432"));
}

TEST_F(FileEndpointsTest, OneNameInTwoServicesIsAskedForOnce) {
  resolver_.v4["db.example.com"] = Found({"10.0.0.7"}, kHour);
  Load("services: {a: {endpoints: [{address: 'db.example.com:1'}]}, b: {endpoints: [{address: 'db.example.com:2'}]}}");
  world_.Run(kSecond);
  EXPECT_THAT(Endpoints("a.default"), ElementsAre("10.0.0.7:1"));
  EXPECT_THAT(Endpoints("b.default"), ElementsAre("10.0.0.7:2"));
  EXPECT_EQ(resolver_.asked["db.example.com"], 2) << "once for each family";
}

}  // namespace
}  // namespace fairlead::app
