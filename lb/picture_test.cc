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
      for (const auto& endpoint : cluster.endpoints) uids.push_back(endpoint->uid);
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
  EXPECT_EQ(HostIn(changes, "web.demo.example"), nullptr);  // its routes stay as they are
  EXPECT_THAT(picture.Routes(), testing::SizeIs(2));
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

TEST(Picture, ARowWhoseKeyIsAnothersAndMoreKeepsItsEndpoints) {
  Picture picture({});
  picture.Apply({Up(Container("a", "10.0.0.1")), Up(Container("a/0", "10.0.0.2")), Up(Container("a/0/0", "10.0.0.3"))});
  EXPECT_THAT(Uids(picture.Apply({Up(Container("a", "10.0.0.4"))}), "web.demo"), ElementsAre("a@1/0", "a/0@1/0", "a/0/0@1/0"));
  EXPECT_THAT(Uids(picture.Apply({Gone("a")}), "web.demo"), ElementsAre("a/0@1/0", "a/0/0@1/0"));
}

TEST(Picture, TellsWorkersNothingWhileTheSameEndpointsMayTakeRequests) {
  Picture picture({});
  picture.Apply({Up(Container("web-1", "10.0.0.1"))});
  EndpointRow starting = Container("web-2", "10.0.0.2");
  starting.services[0].health.state = discovery::HealthState::kStarting;
  ChangeSet changes = picture.Apply({Up(starting)});
  EXPECT_TRUE(changes.empty());
  ASSERT_EQ(changes.counts.size(), 1u);
  EXPECT_EQ(changes.counts[0].all, 2u);
  EXPECT_EQ(changes.counts[0].ready, 1u);
  EXPECT_THAT(Uids(picture.Apply({Up(Container("web-2", "10.0.0.2"))}), "web.demo"), ElementsAre("web-1@1/0", "web-2@1/0"));
}

TEST(Picture, SaysWhetherAChangeTakesSomethingAway) {
  Picture picture({});
  auto up = [&](const char* name, const char* ip) { return picture.Apply({Up(Container(name, ip))}).takes_away; };
  EXPECT_FALSE(up("web-2", "10.0.0.2"));
  EXPECT_FALSE(up("web-1", "10.0.0.1"));  // before the one that is there
  EXPECT_FALSE(up("web-3", "10.0.0.3"));
  EXPECT_TRUE(up("web-2", "10.0.0.4"));   // at another address: what is pooled must go
  EXPECT_TRUE(picture.Apply({Gone("web-1")}).takes_away);
  EndpointRow sticky = Container("web-3", "10.0.0.3");
  sticky.services[0].sticky.enabled = true;
  EXPECT_TRUE(picture.Apply({Up(sticky)}).takes_away);  // other settings
  EXPECT_TRUE(picture.Apply({Gone("web-2"), Gone("web-3")}).takes_away);
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
    if (route.shadowed()) shadowed.push_back(route.service);
  EXPECT_THAT(shadowed, ElementsAre("web.demo"));
}

EndpointRow Ruled(std::string name, std::string service, std::string rule, int64_t priority = 0) {
  EndpointRow row = Container(std::move(name), "10.40.0.10", "");
  row.services[0].service = std::move(service);
  row.services[0].routes.push_back({.hosts = {}, .path_prefix = "/", .listeners = {}, .rule = std::move(rule), .priority = priority});
  return row;
}

// "SERVICE HOST/PATH", "!" before what another one goes before, "fault" behind it.
std::vector<std::string> RoutesOf(const Picture& picture) {
  std::vector<std::string> routes;
  for (const Picture::RouteInfo& route : picture.Routes())
    if (route.source != "zone")
      routes.push_back(Cat(route.shadowed() ? Cat(route.shadowed_by, "!") : "", route.service, " ", route.host, route.path_prefix,
                           route.fault.empty() ? "" : Cat(" ", route.fault)));
  return routes;
}

TEST(Picture, PutsARuleAtEachOfItsHosts) {
  Picture picture(Config{});
  ChangeSet changes = picture.Apply({Up(Ruled("web-1", "web", "(Host(`a`) || Host(`b`)) && PathPrefix(`/x`) && Method(`GET`)"))});
  for (const char* host : {"a", "b"}) {
    ASSERT_NE(HostIn(changes, host), nullptr);
    const HostChange::Route& route = HostIn(changes, host)->routes.at(0);
    EXPECT_EQ(route.path_prefix, "/x");
    EXPECT_EQ(route.priority, 61);  // bytes of the rule
    EXPECT_TRUE(route.condition->Holds({.method = "GET"}));
    EXPECT_FALSE(route.condition->Holds({.method = "PUT"}));
  }
  EXPECT_THAT(RoutesOf(picture), ElementsAre("web.demo a/x", "web.demo b/x"));
  changes = picture.Apply({Gone("web-1")});
  EXPECT_THAT(HostIn(changes, "a")->routes, IsEmpty());
  EXPECT_THAT(picture.Routes(), IsEmpty());
}

TEST(Picture, LeavesARuleWithTheServiceThatClaimedItFirst) {
  Picture picture(Config{});
  picture.Apply({Up(Ruled("a", "old", "Host(`h`) && Method(`GET`)"))});
  ChangeSet changes = picture.Apply({Up(Ruled("b", "new", "Method(`GET`)  &&  Host(`h`)")), Up(Ruled("c", "new", "Host(`h`)&&Method(`GET`)", 26))});
  EXPECT_EQ(HostIn(changes, "h")->routes[0].service, "old.demo");
  EXPECT_THAT(RoutesOf(picture), ElementsAre("old.demo h/", "new.demo h/", "old.demo!new.demo h/"));
  picture.Apply({Gone("a")});
  EXPECT_THAT(RoutesOf(picture), ElementsAre("new.demo h/", "new.demo h/"));
}

TEST(Picture, ShowsWhomAHigherPriorityGoesBefore) {
  Picture picture(Config{});
  picture.Apply({Up(Ruled("a", "old", "Host(`h`)")), Up(Ruled("b", "new", "Host(`h`)", 100))});
  EXPECT_THAT(RoutesOf(picture), ElementsAre("new.demo!old.demo h/", "new.demo h/"));
}

TEST(Picture, ANewStateOfAContainerDoesNotMakeItsClaimYounger) {
  Picture picture(Config{});
  EndpointRow first = Container("a", "10.40.0.10"), second = Container("b", "10.40.0.11");
  second.services[0].service = "other";
  picture.Apply({Up(first), Up(second)});
  first.health = discovery::HealthState::kUnhealthy;
  ChangeSet changes = picture.Apply({Up(first)});
  EXPECT_EQ(HostIn(changes, "web.demo.example"), nullptr);  // what it claims is as it was: no worker need hear of it
  EXPECT_THAT(RoutesOf(picture), ElementsAre("web.demo web.demo.example/", "web.demo!other.demo web.demo.example/"));
}

// The hosts that two services want must not change hands when a balancer starts anew and hears of them in another order.
TEST(Picture, OfTwoClaimsTheOneOfTheOlderContainerHoldsInWhateverOrderTheyAreHeardOf) {
  EndpointRow older = Container("b", "10.40.0.10"), younger = Container("a", "10.40.0.11");
  older.created_wall = 1 * kSecond;
  younger.created_wall = 2 * kSecond;
  younger.services[0].service = "other";
  for (bool older_first : {true, false}) {
    Picture picture(Config{});
    picture.Apply({Up(older_first ? older : younger)});
    picture.Apply({Up(older_first ? younger : older)});
    EXPECT_THAT(RoutesOf(picture), ElementsAre("web.demo web.demo.example/", "web.demo!other.demo web.demo.example/"));
    picture.Apply({Gone("b")});
    EXPECT_THAT(RoutesOf(picture), ElementsAre("other.demo web.demo.example/"));
  }
}

TEST(Picture, AClaimIsAsOldAsItsRowSaysThoughItsContainerIsYounger) {
  Picture picture(Config{});
  EndpointRow other = Container("b", "10.40.0.11"), heir = Container("a-9", "10.40.0.10");
  other.services[0].service = "other";
  other.created_wall = 2 * kSecond;
  heir.created_wall = 3 * kSecond;
  heir.services[0].claimed_wall = 1 * kSecond;
  picture.Apply({Up(other), Up(heir)});
  EXPECT_THAT(RoutesOf(picture), ElementsAre("web.demo web.demo.example/", "web.demo!other.demo web.demo.example/"));
}

TEST(Picture, AClaimBecomesAsOldAsAnOlderContainerThatMakesItToo) {
  Picture picture(Config{});
  EndpointRow other = Container("b", "10.40.0.11"), first = Container("a-1", "10.40.0.10"), second = Container("a-2", "10.40.0.12");
  other.services[0].service = "other";
  other.created_wall = 2 * kSecond;
  second.created_wall = 3 * kSecond;
  first.created_wall = 1 * kSecond;
  picture.Apply({Up(other), Up(second)});
  EXPECT_THAT(RoutesOf(picture), ElementsAre("other.demo web.demo.example/", "other.demo!web.demo web.demo.example/"));
  ChangeSet changes = picture.Apply({Up(first)});
  EXPECT_EQ(HostIn(changes, "web.demo.example")->routes[0].service, "web.demo");
}

TEST(Picture, AClaimIsAsOldAsTheFirstContainerThatMadeIt) {
  Picture picture(Config{});
  EndpointRow other = Container("b", "10.40.0.11");
  other.services[0].service = "other";
  picture.Apply({Up(Container("a-1", "10.40.0.10")), Up(other), Up(Container("a-2", "10.40.0.12"))});
  picture.Apply({Gone("a-1")});
  EXPECT_THAT(RoutesOf(picture), ElementsAre("web.demo web.demo.example/", "web.demo!other.demo web.demo.example/"));
}

TEST(Picture, ShowsClaimsOfOneServiceAtOtherListenersToo) {
  Picture picture(HttpAndTls());
  EndpointRow row = Container("a", "10.40.0.10");
  row.services[0].routes.push_back({.hosts = {"web.demo.example"}, .path_prefix = "/", .listeners = {"web"}});
  picture.Apply({Up(row)});
  EXPECT_THAT(RoutesOf(picture), ElementsAre("web.demo web.demo.example/", "web.demo web.demo.example/"));
}

TEST(Picture, SaysWhyARuleIsNotInUse) {
  Picture picture(HttpAndTls());
  ChangeSet changes = picture.Apply({Up(Ruled("a", "web", "Host(")), Up(Ruled("b", "web", "HostSNI(`h`)"))});
  EXPECT_THAT(HostIn(changes, "h")->routes, IsEmpty());
  EXPECT_THAT(RoutesOf(picture),
              ElementsAre("web.demo / at byte 6: expected `text` or \"text\", found the end",
                          "web.demo h/ it asks for connections of TLS, and web.demo speaks http: use Host"));
}

TEST(Picture, RoutesRulesOfTlsConnectionsAtTlsListeners) {
  Picture picture(HttpAndTls());
  EndpointRow row = Ruled("a", "db", "HostSNI(`h`) && ALPN(`h2`)");
  row.services[0].protocol = "tcp";
  ChangeSet changes = picture.Apply({Up(row)});
  EXPECT_EQ(HostIn(changes, "h")->routes.at(0).listeners & 3, 2u);
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
  EXPECT_THAT(Uids(changes, "web.demo"), IsEmpty());  // workers have it
  EXPECT_THAT(Uids(picture.All(), "web.demo"), ElementsAre("web-1@1/0"));
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

TEST(Picture, FailsOpenByHealthcheckAndBelowTheShareOfTheFile) {
  Config config;
  config.services.push_back({.name = "web.demo", .settings = {}, .endpoints = {}, .fail_open_below = 60});
  Picture picture(config);
  auto ill = [](std::string name, std::string ip) {
    EndpointRow row = Container(std::move(name), std::move(ip));
    row.health = discovery::HealthState::kUnhealthy;
    row.was_healthy = true;
    row.health_reason = "exit 1";
    return row;
  };
  picture.Apply({Up(Container("a", "10.40.0.10")), Up(ill("b", "10.40.0.11"))});
  EXPECT_FALSE(picture.Endpoints("web.demo")[1].ready) << "one alone";
  picture.Apply({Up(ill("c", "10.40.0.12"))});
  EXPECT_TRUE(picture.Endpoints("web.demo")[1].fails_open);
  EXPECT_TRUE(picture.Endpoints("web.demo")[2].ready);
  EXPECT_EQ(picture.Endpoints("web.demo")[1].why_not, "");
  picture.Apply({Up(Container("d", "10.40.0.13")), Up(Container("e", "10.40.0.14"))});
  EXPECT_EQ(picture.Endpoints("web.demo")[1].why_not, "unhealthy: exit 1");
}

EndpointRow Guarded(std::string name, std::string ip, std::vector<discovery::Middleware> definitions) {
  EndpointRow row = Container(std::move(name), std::move(ip));
  row.services[0].routes[0].middlewares = {"lan@docker"};
  row.middlewares = std::move(definitions);
  return row;
}
const discovery::Middleware kLan = {"lan", "ipallowlist", {{"sourcerange", "10.0.0.0/8"}}};
const discovery::Middleware kAll = {"lan", "ipallowlist", {{"sourcerange", "0.0.0.0/0"}}};

// What the route of the host does to requests: "" nothing, "shut", or its steps.
std::string Middlewares(const ChangeSet& changes, std::string_view host) {
  const HostChange* change = HostIn(changes, host);
  if (change == nullptr || change->routes.empty()) return "no route";
  const auto& chain = change->routes[0].middlewares;
  if (chain == nullptr) return "";
  return chain->steps()[0].what;
}

TEST(Picture, ARouteWithoutItsMiddlewareStaysAndAnswers503) {
  Picture picture(Config{});
  EXPECT_EQ(Middlewares(picture.Apply({Up(Guarded("a", "10.0.0.1", {}))}), "web.demo.example"), "answers 503");
  EXPECT_EQ(picture.Routes().front().resolved.fault, "middleware lan@docker is not defined");
}

TEST(Picture, ADefinitionAtAnotherContainerOpensTheRouteAndItsEndShutsIt) {
  Picture picture(Config{});
  picture.Apply({Up(Guarded("a", "10.0.0.1", {}))});
  EndpointRow other = Container("b", "10.0.0.2", "");
  other.services[0].service = "other";
  other.middlewares = {kLan};
  EXPECT_EQ(Middlewares(picture.Apply({Up(other)}), "web.demo.example"), "ipallowlist 10.0.0.0/8, else 403");
  EXPECT_EQ(Middlewares(picture.Apply({Gone("b")}), "web.demo.example"), "answers 503");
}

TEST(Picture, AYoungerDefinitionThatDiffersChangesNothing) {
  Picture picture(Config{});
  picture.Apply({Up(Guarded("a", "10.0.0.1", {kLan}))});
  const ChangeSet changes = picture.Apply({Up(Guarded("b", "10.0.0.2", {kAll}))});
  EXPECT_EQ(HostIn(changes, "web.demo.example"), nullptr);
  ASSERT_EQ(picture.Middlewares().size(), 2u);
  EXPECT_EQ(picture.Middlewares()[1].fault, "rejected: differs from container a's");
  EXPECT_EQ(Middlewares(picture.Apply({Gone("a")}), "web.demo.example"), "ipallowlist 0.0.0.0/0, else 403");
}

TEST(Picture, AReloadedFileChangesTheRoutesThatReferToIt) {
  Config config;
  config.middlewares = {kLan};
  config.routes.push_back({.hosts = {"f.example"}, .service = "web.demo", .middlewares = {"lan@file"}});
  Picture picture(config);
  EXPECT_EQ(Middlewares(picture.All(), "f.example"), "ipallowlist 10.0.0.0/8, else 403");
  config.middlewares = {kAll};
  EXPECT_EQ(Middlewares(picture.Reload(config), "f.example"), "ipallowlist 0.0.0.0/0, else 403");
}

TEST(Picture, MiddlewaresKeepBytesOut) {
  Picture picture(Config{});
  EndpointRow row = Guarded("a", "10.0.0.1", {kLan});
  row.services[0].protocol = "tcp";
  EXPECT_EQ(Middlewares(picture.Apply({Up(row)}), "web.demo.example"), "answers 503");
}

}  // namespace
}  // namespace fairlead::lb
