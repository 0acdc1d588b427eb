// In virtual time: the name server's side of the file's endpoints.
#include "app/file_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/config.h"
#include "base/dns/scripted_resolver.h"
#include "base/io/listener.h"
#include "base/sim/sim_proactor.h"
#include "base/sim/sim_world.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FileRowsTest : public testing::Test, private discovery::ChangeListener {
 protected:
  FileRowsTest() { tasks_.Spawn(hosts_.Run()); }
  void TearDown() override {
    tasks_.Spawn(rows_.Stop());
    tasks_.Drain(proactor_);
  }
  void Load(const std::string& text) {
    StatusOr<Config> config = ParseConfig(text, "test.yaml");
    ASSERT_TRUE(config.ok()) << config.status();
    rows_.SetFile(config->lb);
  }
  void OnChanges(const std::vector<discovery::Change>& changes) override {
    for (const discovery::Change& change : changes) {
      if (change.row == nullptr) told_.erase(change.key);
      if (change.row != nullptr) told_[change.key] = *change.row->endpoint();
    }
  }
  // "SERVICE.PROJECT ADDRESS" of those that may take traffic.
  std::vector<std::string> Ready() const {
    std::vector<std::string> texts;
    for (const auto& [key, row] : told_) {
      const discovery::ServiceEntry& part = row.services[0];
      if (row.ready(part)) texts.push_back(Cat(part.service, ".", part.project, " ", SocketAddress(part.ip, part.port).ToString()));
    }
    return texts;
  }

  sim::SimWorld world_{1};
  sim::SimProactor proactor_{world_, *IpAddress::Parse("10.0.0.1")};
  Metrics metrics_;
  dns::ScriptedResolver resolver_{proactor_};
  dns::HostBook hosts_{proactor_, resolver_, metrics_};
  std::map<std::string, discovery::EndpointRow> told_;
  FileRows rows_{proactor_, world_.random(), hosts_, "host1", static_cast<discovery::ChangeListener&>(*this)};
  io::TaskGroup tasks_;
};

TEST_F(FileRowsTest, AreWhatTheFileSaysUntilItSaysOtherwise) {
  Load("services: {db: {project: shop, protocol: tcp, endpoints: [{address: '10.0.0.5:80'}, {address: '10.0.0.6:80'}]}, web: {endpoints: [{address: '10.0.0.5:80'}]}}");
  EXPECT_THAT(Ready(), ElementsAre("db.shop 10.0.0.5:80", "web.default 10.0.0.5:80", "db.shop 10.0.0.6:80"));
  Load("services: {db: {project: shop, protocol: tcp, endpoints: [{address: '10.0.0.6:80'}]}}");
  EXPECT_THAT(Ready(), ElementsAre("db.shop 10.0.0.6:80"));
  Load("{}");
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(FileRowsTest, FollowHostNames) {
  resolver_.v4["db.example.com"] = dns::Found({"10.0.0.7", "10.0.0.8"}, 5 * kSecond);
  Load("services: {db: {endpoints: [{address: 'db.example.com:80'}]}}");
  EXPECT_THAT(told_, IsEmpty());
  world_.Run(kSecond);
  EXPECT_THAT(Ready(), ElementsAre("db.default 10.0.0.7:80", "db.default 10.0.0.8:80"));
  resolver_.v4["db.example.com"] = dns::Found({"10.0.0.8"}, 5 * kSecond);
  world_.Run(6 * kSecond);
  EXPECT_THAT(Ready(), ElementsAre("db.default 10.0.0.8:80"));
}

TEST_F(FileRowsTest, AreLookedAtWhereTheFileSaysHow) {
  sim::SimProactor server(world_, *IpAddress::Parse("10.0.0.5"));
  auto listener = io::Listener::Open(server, *SocketAddress::Parse("10.0.0.5:80"), {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  Load("services: {db: {protocol: tcp, endpoints: [{address: '10.0.0.5:80'}, {address: '10.0.0.5:81'}], health_check: {tcp: true}}}");
  tasks_.Spawn(rows_.Run());
  EXPECT_THAT(Ready(), IsEmpty()) << "nobody has looked yet";
  world_.Run(10 * kSecond);
  EXPECT_THAT(Ready(), ElementsAre("db.default 10.0.0.5:80"));
}

}  // namespace
}  // namespace fairlead::app
