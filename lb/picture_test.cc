#include "lb/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"

namespace fairlead::lb {
namespace {

using discovery::Change;
using discovery::EndpointRow;
using discovery::RunState;
using testing::ElementsAre;
using testing::IsEmpty;

EndpointRow Container(std::string name, std::string ip, std::string host = "web.demo.example") {
  EndpointRow row;
  row.uid = Cat(name, "@1");
  row.node = "host1";
  row.engine_id = name;
  row.name = name;
  row.state = RunState::kRunning;
  discovery::ServiceEntry entry;
  entry.service = "web";
  entry.project = "demo";
  entry.ip = *IpAddress::Parse(ip);
  entry.port = 80;
  if (!host.empty()) entry.routes.push_back({.hosts = {host}, .path_prefix = "/", .listeners = {}});
  row.services.push_back(entry);
  return row;
}

Change Up(EndpointRow row) {
  auto shared = std::make_shared<discovery::Row>();
  shared->key = Cat("endpoint/host1/", row.engine_id);
  shared->node = row.node;
  shared->body = std::move(row);
  return {shared->key, shared};
}
Change Gone(std::string id) { return {Cat("endpoint/host1/", id), nullptr}; }

std::vector<std::string> Uids(const ChangeSet& changes, std::string_view service) {
  std::vector<std::string> uids;
  for (const ClusterChange& cluster : changes.clusters)
    if (cluster.service == service)
      for (const EndpointView& endpoint : cluster.endpoints) uids.push_back(endpoint.uid);
  return uids;
}

const HostChange* HostIn(const ChangeSet& changes, std::string_view host) {
  for (const HostChange& change : changes.hosts)
    if (change.host == host) return &change;
  return nullptr;
}

EndpointRow Speaking(std::string protocol, std::string name, std::string ip) {
  EndpointRow row = Container(std::move(name), std::move(ip));
  row.services[0].protocol = std::move(protocol);
  return row;
}
Config HttpAndTls() {
  Config config;
  config.listeners.resize(2);
  config.listeners[0].name = "web";
  config.listeners[1].name = "secure";
  config.listeners[1].protocol = ListenerProtocol::kTls;
  return config;
}

TEST(Picture, RoutesBytesAtTlsListenersAndHttpAtItsOwn) {
  Picture picture(HttpAndTls());
  ChangeSet http = picture.Apply({Up(Speaking("http", "web-1", "10.40.0.10"))});
  ASSERT_NE(HostIn(http, "web.demo.example"), nullptr);
  EXPECT_EQ(HostIn(http, "web.demo.example")->routes[0].listeners & 3, 1u);
  ChangeSet bytes = picture.Apply({Up(Speaking("tcp", "web-1", "10.40.0.10"))});
  EXPECT_THAT(Uids(bytes, "web.demo"), ElementsAre("web-1@1/0"));
  EXPECT_EQ(bytes.clusters[0].settings.protocol, ServiceProtocol::kTcp);
  EXPECT_EQ(HostIn(bytes, "web.demo.example")->routes[0].listeners & 3, 2u);
  EXPECT_EQ(HostIn(bytes, "web.demo.lb.fl.internal")->routes[0].listeners & 3, 2u);
}

TEST(Picture, LeavesOutAContainerThatSpeaksSomethingElseThanItsService) {
  Picture picture(HttpAndTls());
  ChangeSet changes = picture.Apply({Up(Speaking("tcp", "web-1", "10.40.0.10")), Up(Speaking("http", "web-2", "10.40.0.11"))});
  EXPECT_THAT(Uids(changes, "web.demo"), ElementsAre("web-1@1/0"));
  EXPECT_EQ(picture.Endpoints("web.demo")[1].why_not, "speaks http, but its service tcp: give its containers one fairlead.protocol");
  Config file = HttpAndTls();
  file.services.push_back({.name = "web.demo", .settings = {}, .endpoints = {}});
  ChangeSet reloaded = picture.Reload(file);
  EXPECT_THAT(Uids(reloaded, "web.demo"), ElementsAre("web-2@1/0"));
  EXPECT_EQ(HostIn(reloaded, "web.demo.example")->routes[0].listeners & 3, 1u);
  EXPECT_EQ(picture.Endpoints("web.demo")[0].why_not, "speaks tcp, but its service http: change protocol: of the service in the file");
}

TEST(Picture, KeepsOtherProtocolsForLater) {
  Picture picture(HttpAndTls());
  EXPECT_THAT(Uids(picture.Apply({Up(Speaking("udp", "web-1", "10.40.0.10"))}), "web.demo"), IsEmpty());
  EXPECT_EQ(picture.Endpoints("web.demo")[0].why_not, "protocol udp: not yet");
}

TEST(Picture, RoutesALabelledHostAndTheZoneNameOfItsService) {
  Picture picture(Config{});
  ChangeSet changes = picture.Apply({Up(Container("web-1", "10.40.0.10"))});
  EXPECT_THAT(Uids(changes, "web.demo"), ElementsAre("web-1@1/0"));
  ASSERT_NE(HostIn(changes, "web.demo.example"), nullptr);
  EXPECT_EQ(HostIn(changes, "web.demo.example")->routes[0].service, "web.demo");
  ASSERT_NE(HostIn(changes, "web.demo.lb.fl.internal"), nullptr);
}

TEST(Picture, KeepsAHostWhoseLastEndpointStoppedSoThatItAnswers503) {
  Picture picture(Config{});
  picture.Apply({Up(Container("web-1", "10.40.0.10"))});
  EndpointRow stopped = Container("web-1", "10.40.0.10");
  stopped.state = RunState::kExited;
  ChangeSet changes = picture.Apply({Up(stopped)});
  EXPECT_THAT(Uids(changes, "web.demo"), IsEmpty());
  EXPECT_FALSE(changes.clusters[0].removed);
  EXPECT_FALSE(HostIn(changes, "web.demo.example")->routes.empty());
}

TEST(Picture, ForgetsServiceAndHostsWithTheLastRow) {
  Picture picture(Config{});
  picture.Apply({Up(Container("web-1", "10.40.0.10"))});
  ChangeSet changes = picture.Apply({Gone("web-1")});
  EXPECT_TRUE(changes.clusters[0].removed);
  EXPECT_THAT(HostIn(changes, "web.demo.example")->routes, IsEmpty());
  EXPECT_THAT(HostIn(changes, "web.demo.lb.fl.internal")->routes, IsEmpty());
  EXPECT_THAT(picture.Routes(), IsEmpty());
  EXPECT_THAT(picture.All().hosts, IsEmpty());
}

TEST(Picture, AChangeOfOneServiceTouchesNoOther) {
  Picture picture(Config{});
  EndpointRow other = Container("api-1", "10.40.0.20", "api.demo.example");
  other.services[0].service = "api";
  picture.Apply({Up(Container("web-1", "10.40.0.10")), Up(other)});
  ChangeSet changes = picture.Apply({Up(Container("web-2", "10.40.0.11"))});
  ASSERT_EQ(changes.clusters.size(), 1u);
  EXPECT_EQ(changes.clusters[0].service, "web.demo");
  EXPECT_THAT(Uids(changes, "web.demo"), ElementsAre("web-1@1/0", "web-2@1/0"));
  EXPECT_EQ(HostIn(changes, "api.demo.example"), nullptr);
}

TEST(Picture, AddsUpEndpointsOfFileAndLabelsAndTakesSettingsOfTheFile) {
  Config config;
  ServiceSpec spec;
  spec.name = "web.demo";
  spec.settings.connect = 5 * kSecond;
  spec.endpoints.push_back({*SocketAddress::Parse("10.0.0.5:8080"), 3});
  config.services.push_back(spec);
  Picture picture(config);
  ChangeSet changes = picture.Apply({Up(Container("web-1", "10.40.0.10"))});
  EXPECT_THAT(Uids(changes, "web.demo"), ElementsAre("file/10.0.0.5:8080", "web-1@1/0"));
  EXPECT_EQ(changes.clusters[0].settings.connect, 5 * kSecond);
}

TEST(Picture, GivesAHostToTheFileThenToTheFirstClaimAndShowsTheOthers) {
  Config config;
  config.routes.push_back({.hosts = {"web.demo.example"}, .path_prefix = "/", .service = "legacy.default", .listeners = {}});
  Picture picture(config);
  ChangeSet changes = picture.Apply({Up(Container("web-1", "10.40.0.10"))});
  EXPECT_EQ(HostIn(changes, "web.demo.example")->routes[0].service, "legacy.default");
  std::vector<std::string> shadowed;
  for (const Picture::RouteInfo& route : picture.Routes())
    if (route.shadowed) shadowed.push_back(route.service);
  EXPECT_THAT(shadowed, ElementsAre("web.demo"));
}

TEST(Picture, ReloadReplacesTheFileAndKeepsTheRows) {
  Config config;
  config.services.push_back({.name = "old.default", .settings = {}, .endpoints = {{*SocketAddress::Parse("10.0.0.5:1"), 1}}});
  Picture picture(config);
  picture.Apply({Up(Container("web-1", "10.40.0.10"))});
  Config changed;
  changed.services.push_back({.name = "new.default", .settings = {}, .endpoints = {{*SocketAddress::Parse("10.0.0.6:1"), 1}}});
  ChangeSet changes = picture.Reload(changed);
  EXPECT_THAT(picture.Services(), ElementsAre("new.default", "web.demo"));
  EXPECT_THAT(Uids(changes, "web.demo"), ElementsAre("web-1@1/0"));
  bool removed = false;
  for (const ClusterChange& cluster : changes.clusters) removed |= cluster.service == "old.default" && cluster.removed;
  EXPECT_TRUE(removed);
}

TEST(Picture, SaysWhyAnEndpointIsNotReady) {
  Picture picture(Config{});
  EndpointRow row = Container("web-1", "10.40.0.10");
  row.health = discovery::HealthState::kUnhealthy;
  row.health_reason = "exit 1";
  picture.Apply({Up(row)});
  EXPECT_EQ(picture.Endpoints("web.demo")[0].why_not, "unhealthy: exit 1");
}

}  // namespace
}  // namespace fairlead::lb
