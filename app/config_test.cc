#include "app/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/config_reader.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

using testing::HasSubstr;

std::string FaultOf(const std::string& text) {
  auto config = ParseConfig(text, "f.yaml");
  return config.ok() ? "" : std::string(Message(config.status()));
}

std::string Listener(const std::string& rest) { return Cat("listeners: [{name: db, bind: \"0.0.0.0:3306\", ", rest, "}]\n"); }

TEST(Config, ReadsListenersAndServicesOfBytes) {
  auto parsed = ParseConfig(Listener("protocol: tcp, service: mysql, proxy_protocol: accept") + R"(
services:
  mysql: {endpoints: [{address: 10.0.0.5:3306}], protocol: tcp, proxy_protocol: v2, timeouts: {tunnel: 8h}}
)", "f.yaml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const lb::ListenerSpec& listener = parsed->lb.listeners[0];
  EXPECT_EQ(listener.protocol, lb::ListenerProtocol::kTcp);
  EXPECT_EQ(listener.service, "mysql.default");
  EXPECT_TRUE(listener.accept_proxy);
  const lb::ServiceSettings& settings = parsed->lb.services[0].settings;
  EXPECT_EQ(settings.protocol, lb::ServiceProtocol::kTcp);
  EXPECT_EQ(settings.proxy_header, lb::ProxyHeader::kV2);
  EXPECT_EQ(settings.tunnel, 8 * kHour);
  EXPECT_EQ(FaultOf(Listener("protocol: tcp, service: of-the-catalog.shop")), "");
}

TEST(Config, SaysHowBytesAndHttpMeet) {
  EXPECT_THAT(FaultOf(Listener("protocol: tcp")), HasSubstr("service: is missing: a tcp listener"));
  EXPECT_THAT(FaultOf(Listener("service: x")), HasSubstr("finds its services by routes"));
  EXPECT_THAT(FaultOf(Listener("protocol: tls, service: x")), HasSubstr("finds its services by routes"));
  EXPECT_THAT(FaultOf(Listener("protocol: udp")), HasSubstr("udp: not yet"));
  std::string http = "services: {s: {endpoints: [{address: 10.0.0.5:80}]}}\n";
  std::string tcp = "services: {s: {endpoints: [{address: 10.0.0.5:80}], protocol: tcp}}\n";
  EXPECT_THAT(FaultOf(Listener("protocol: tcp, service: s") + http), HasSubstr("give the service protocol: tcp"));
  std::string route = "routes: [{host: [a.example.com], service: s, listeners: [db]}]\n";
  EXPECT_THAT(FaultOf(Listener("protocol: tls") + http + route), HasSubstr("the service needs protocol: tcp"));
  EXPECT_EQ(FaultOf(Listener("protocol: tls") + tcp + route), "");
  EXPECT_THAT(FaultOf(Listener("protocol: http") + tcp + route), HasSubstr("speaks HTTP, the service tcp"));
  EXPECT_THAT(FaultOf(Listener("protocol: tcp, service: s") + tcp + route), HasSubstr("and no routes"));
  EXPECT_THAT(FaultOf(tcp + "routes: [{host: [a], path_prefix: /x, service: s}]\n"), HasSubstr("has no paths"));
}

TEST(Config, ReadsHowEndpointsOfTheFileAreChecked) {
  auto parsed = ParseConfig(R"(
services:
  web: {endpoints: [{address: 10.0.0.5:80}], health_check: {http: /healthz, interval: 5s, timeout: 500ms, rise: 1, fall: 4, port: 81, host: shop}}
  db: {endpoints: [{address: 10.0.0.5:3306}], protocol: tcp, proxy_protocol: v2, health_check: {tcp: true}}
  cart: {endpoints: [{address: 10.0.0.5:50051}], health_check: {grpc: shop.Cart}}
  safe: {endpoints: [{address: 10.0.0.5:443}], tls: {}, health_check: {http: /}}
  own: {endpoints: [{address: 10.0.0.5:443}], tls: {}, health_check: {http: /, tls: false}}
  cart-safe: {endpoints: [{address: 10.0.0.5:50051}], health_check: {grpc: shop.Cart, tls: true}}
)", "f.yaml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  using discovery::CheckKind;
  using discovery::HealthCheck;
  std::map<std::string, HealthCheck> checks;
  for (const lb::ServiceSpec& service : parsed->lb.services) checks[service.name] = service.health_check;
  EXPECT_EQ(checks["web.default"], (HealthCheck{CheckKind::kHttp, "/healthz", "shop", 81, 5 * kSecond, 500 * kMillisecond, 1, 4}));
  EXPECT_EQ(checks["db.default"], (HealthCheck{.kind = CheckKind::kTcp}));
  EXPECT_EQ(checks["cart.default"], (HealthCheck{.kind = CheckKind::kGrpc, .target = "shop.Cart"}));
  EXPECT_EQ(checks["safe.default"], (HealthCheck{.kind = CheckKind::kHttp, .target = "/", .tls = true}));
  EXPECT_EQ(checks["own.default"], (HealthCheck{.kind = CheckKind::kHttp, .target = "/"}));
  EXPECT_EQ(checks["cart-safe.default"], (HealthCheck{.kind = CheckKind::kGrpc, .target = "shop.Cart", .tls = true}));
}

TEST(Config, SaysWhatACheckCannotBe) {
  auto check = [](const std::string& text, const std::string& more = "") {
    return FaultOf(Cat("services: {s: {endpoints: [{address: 10.0.0.5:80}], health_check: {", text, "}", more, "}}\n"));
  };
  EXPECT_THAT(check("interval: 1s"), HasSubstr("health_check.http: is missing: a health_check needs one of"));
  EXPECT_THAT(check("http: healthz"), HasSubstr("begins with no /"));
  EXPECT_THAT(check("http: /, tcp: true"), HasSubstr("health_check.tcp: beside http"));
  EXPECT_THAT(check("tcp: false"), HasSubstr("leave health_check out"));
  EXPECT_THAT(check("http: /a b"), HasSubstr("has blanks"));
  EXPECT_THAT(check("tcp: true, interval: 10ms"), HasSubstr("interval: is shorter than 100ms"));
  EXPECT_THAT(check("tcp: true, timeout: 0"), HasSubstr("timeout: is no time"));
  EXPECT_THAT(check("tcp: true, fall: 0"), HasSubstr("fall"));
  EXPECT_THAT(check("tcp: true, retries: 3"), HasSubstr("health_check.retries: unknown key"));
  EXPECT_THAT(check("http: /", ", proxy_protocol: v1"), HasSubstr("write tcp: true"));
  EXPECT_EQ(check("http: /", ", tls: {}"), "");
  EXPECT_THAT(check("tcp: true, tls: true"), HasSubstr("says nothing beside tcp: true"));
  EXPECT_EQ(check("tcp: true", ", tls: {}"), "");
}

TEST(Config, ADurationMayBeForeverWhereThatIsSaid) {
  EXPECT_EQ(*ParseDuration("1m30s"), 90 * kSecond);
  EXPECT_EQ(*ParseDuration("forever", true), kNever);
  EXPECT_THAT(Message(ParseDuration("5x", true).status()), HasSubstr("write 500ms, 10s, 1m30s or 168h, or forever"));
  EXPECT_FALSE(ParseDuration("forever").ok());
}

TEST(Config, HasTheContractsDefaultsWithoutAFile) {
  Config config = *ParseConfig("", "none");
  EXPECT_EQ(config.api_socket, "/run/fairlead/api.sock");
  EXPECT_EQ(config.api_listen.ToString(), "127.0.0.1:7853");
  EXPECT_EQ(config.dns_listen[0].ToString(), "169.254.53.53:53");
  EXPECT_EQ(config.dns_zone, "fl.internal");
  EXPECT_EQ(config.lb_agents[0].ToString(), "unix:/run/fairlead/discovery.sock");
}

TEST(Config, ReadsPoolsListenersServicesAndRoutes) {
  auto parsed = ParseConfig(R"(
pools:
  - name: shop-prod
    project: shop
    retain: forever
    prefixes:
      - {cidr: 10.40.0.0/24, gateway: 10.40.0.1, ranges: [10.40.0.10-10.40.0.199], exclude: [10.40.0.53]}
networks:
  - {name: shopnet, mode: bridge, pool: shop-prod, bridge: br100}
lb: {agents: [], workers: 2, io: epoll}
listeners:
  - {name: web, bind: "0.0.0.0:80", protocol: http, timeouts: {keep_alive: 5s}}
services:
  legacy: {endpoints: [{address: 10.0.0.5:8080, weight: 3}], timeouts: {connect: 2s}, retries: {on: [connect_failure], max: 1}}
routes:
  - {host: [Legacy.example.com, "*.legacy.example.com"], service: legacy, listeners: [web]}
)", "f.yaml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->pools[0].retain, kNever);
  EXPECT_EQ(parsed->pools[0].prefixes[0].ranges[0].second.ToString(), "10.40.0.199");
  EXPECT_TRUE(parsed->lb_agents.empty());
  EXPECT_EQ(parsed->lb.listeners[0].keep_alive, 5 * kSecond);
  EXPECT_EQ(parsed->lb.services[0].name, "legacy.default");
  EXPECT_EQ(parsed->lb.services[0].settings.max_retries, 1);
  EXPECT_FALSE(parsed->lb.services[0].settings.retry_reset_before_response);
  EXPECT_EQ(parsed->lb.routes[0].hosts[0], "legacy.example.com");
}

TEST(Config, ReadsWhatIsForwardedAndTheLimitsOfListeners) {
  auto parsed = ParseConfig(R"(
lb: {forwarded: {x_forwarded_for: set, x_forwarded_proto: keep, x_request_id: off, forwarded: append, trace: w3c, via: off}}
listeners:
  - {name: old, bind: "0.0.0.0:80", lenient: true, normalize_path: merge_and_resolve,
     limits: {head: 16KiB, fields: 50, target: 2048, body: 10MiB}}
  - {name: web, bind: "0.0.0.0:81"}
)", "f.yaml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const lb::ListenerSpec& old = parsed->lb.listeners[0];
  const lb::ListenerSpec& web = parsed->lb.listeners[1];
  lb::ForwardOptions options = {.x_forwarded_for = lb::ForwardOptions::For::kSet,
                                .x_forwarded_proto = lb::ForwardOptions::Proto::kKeep,
                                .x_request_id = lb::ForwardOptions::RequestId::kOff,
                                .forwarded = true,
                                .trace = lb::ForwardOptions::Trace::kW3c,
                                .via = false};
  EXPECT_EQ(old.forward, options);
  EXPECT_EQ(web.forward, options);
  EXPECT_TRUE(old.lenient && old.normalize_path);
  EXPECT_FALSE(web.lenient || web.normalize_path);
  EXPECT_EQ(old.limits.head_bytes, 16u << 10);
  EXPECT_EQ(old.limits.fields, 50);
  EXPECT_EQ(old.limits.target_bytes, 2048u);
  EXPECT_EQ(old.limits.body_bytes, 10 << 20);
  EXPECT_EQ(web.limits.head_bytes, 64u << 10);
  EXPECT_EQ(web.limits.body_bytes, 0);
}

TEST(Config, SaysWhatASizeShouldBe) {
  auto limit = [](const char* text) {
    return FaultOf(Cat("listeners: [{name: a, bind: \"0.0.0.0:80\", limits: {head: ", text, "}}]"));
  };
  EXPECT_THAT(limit("64kb"), HasSubstr("write 65536, 64KiB"));
  EXPECT_THAT(limit("0"), HasSubstr("no size from 1024 to 1048576 bytes"));
  EXPECT_THAT(limit("9GiB"), HasSubstr("no size from"));
}

TEST(Config, TellsWhichEnginesAreNamed) {
  auto none = ParseConfig("node: {name: h}", "f.yaml"), both = ParseConfig("engines: {docker: {}, podman: {}}", "f.yaml"),
       podman = ParseConfig("engines: {podman: {socket: /run/p.sock}}", "f.yaml");
  ASSERT_TRUE(none.ok() && both.ok() && podman.ok());
  EXPECT_EQ(none->podman_socket, "");
  EXPECT_FALSE(none->docker_wanted);
  EXPECT_EQ(both->podman_socket, "/run/podman/podman.sock");
  EXPECT_TRUE(both->docker_wanted);
  EXPECT_EQ(podman->podman_socket, "/run/p.sock");
  EXPECT_FALSE(podman->docker_wanted);
}

TEST(Config, NamesFileLineAndTheNearestKeyOfAnUnknownOne) {
  EXPECT_EQ(FaultOf("node: {name: a}\nlisteneres: []\n"), "f.yaml:2: listeneres: unknown key; did you mean listeners?");
  EXPECT_THAT(FaultOf("dns:\n  ttll: 5s\n"), HasSubstr("f.yaml:2: dns.ttll: unknown key; did you mean ttl?"));
}

TEST(Config, SaysWhatABadValueShouldBe) {
  EXPECT_THAT(FaultOf("dns: {ttl: soon}"), HasSubstr("write 500ms, 10s"));
  EXPECT_THAT(FaultOf("lb: {io: aio}"), HasSubstr("\"aio\" is none of auto, uring, epoll"));
  EXPECT_THAT(FaultOf("api: {listen: localhost:80}"), HasSubstr("write 10.0.0.1:80"));
  EXPECT_THAT(FaultOf("lb: {workers: 0}"), HasSubstr("no number from 1 to 1024"));
  EXPECT_THAT(FaultOf("pools: {}"), HasSubstr("must be a list"));
  EXPECT_THAT(FaultOf("a: [b"), HasSubstr("this is no YAML"));
}

TEST(Config, ReadsTransfersAndLimitsOfTheNameServer) {
  auto config = ParseConfig("dns: {workers: 2, max_answers: 8, rate_limit: 50, transfer: {allow: [10.0.0.53, 10.1.0.0/16],\n"
                            "  notify: [10.0.0.53, \"10.0.0.54:5353\"], tsig_key_file: /etc/tsig}}", "f.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->dns_workers, 2u);
  EXPECT_EQ(config->dns_max_answers, 8u);
  EXPECT_EQ(config->dns_rate_limit, 50u);
  EXPECT_EQ(config->dns_transfer_allow[0].ToString(), "10.0.0.53/32");
  EXPECT_EQ(config->dns_transfer_allow[1].ToString(), "10.1.0.0/16");
  EXPECT_EQ(config->dns_transfer_notify[0].ToString(), "10.0.0.53:53");
  EXPECT_EQ(config->dns_transfer_notify[1].ToString(), "10.0.0.54:5353");
  EXPECT_EQ(ParseConfig("dns: {forward: [1.1.1.1]}", "f.yaml")->dns_forward.at(0).ToString(), "1.1.1.1:53");
  EXPECT_THAT(FaultOf("dns: {workers: 0}"), HasSubstr("dns.workers"));
  EXPECT_THAT(FaultOf("dns: {forward: [169.254.53.53]}"), HasSubstr("is dns.listen itself"));
  EXPECT_THAT(FaultOf("dns: {transfer: {allow: [10.0.0.1/16]}}"), HasSubstr("dns.transfer.allow"));
  EXPECT_THAT(FaultOf("dns: {transfer: {notify: [secondary]}}"), HasSubstr("dns.transfer.notify"));
}

TEST(Config, ReadsThePortsThatLabelsMayOpen) {
  auto range = [](std::string_view text) {
    return ParseConfig(Cat("lb: {dynamic_ports: \"", text, "\"}"), "f.yaml")->lb.dynamic_ports;
  };
  EXPECT_EQ(range("20000-29999"), (lb::DynamicPortRange{*IpAddress::Parse("0.0.0.0"), 20000, 29999}));
  EXPECT_EQ(range("10.0.0.5:20000-20000"), (lb::DynamicPortRange{*IpAddress::Parse("10.0.0.5"), 20000, 20000}));
  EXPECT_EQ(range("[::]:20000-29999").ip.ToString(), "::");
  EXPECT_EQ(range(""), lb::DynamicPortRange());
  for (const char* bad : {"20000", "20000-", "-20000", "0-9", "29999-20000", "20000-70000", "host:1-2"}) {
    EXPECT_THAT(FaultOf(Cat("lb: {dynamic_ports: \"", bad, "\"}")), HasSubstr("is no range of ports; write 20000-29999")) << bad;
  }
}

TEST(Config, ReadsViews) {
  auto config = ParseConfig("dns: {views: [{env: test, from: [10.50.0.0/16, 10.1.1.1], records: [/etc/test.zone]}, {env: dev}]}", "f.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->dns_views.size(), 2u);
  EXPECT_EQ(config->dns_views[0].env, "test");
  EXPECT_EQ(config->dns_views[0].from[1].ToString(), "10.1.1.1/32");
  EXPECT_EQ(config->dns_views[0].records.at(0), "/etc/test.zone");
  EXPECT_THAT(FaultOf("dns: {views: [{from: [10.0.0.0/8]}]}"), HasSubstr("dns.views[0].env: is missing"));
  EXPECT_THAT(FaultOf("dns: {views: [{env: a}, {env: a}]}"), HasSubstr("dns.views[1].env: a has a view already"));
  EXPECT_THAT(FaultOf("dns: {views: [{env: a, from: [office]}]}"), HasSubstr("dns.views[0].from"));
}

TEST(Config, RefusesFeaturesThatAreNotBuiltButTakesTheirEmptyForms) {
  EXPECT_THAT(FaultOf("lb: {stats_socket: /run/s.sock}"), HasSubstr("lb.stats_socket: not yet"));
  EXPECT_THAT(FaultOf("listeners: [{name: s, bind: \"0.0.0.0:443\", protocol: h2c}]"), HasSubstr("not yet"));
  EXPECT_EQ(FaultOf("dns: {forward: [], views: [], max_answers: 0}\ndiscovery: {listen: \"\", peers: []}"), "");
}

TEST(Config, ReadsTlsOfListenersAndServices) {
  auto config = ParseConfig(R"(
listeners:
  - name: secure
    bind: "0.0.0.0:443"
    protocol: https
    tls: {certificates: [{cert: a.pem, key: a.key, ocsp: a.ocsp}, {cert: b.pem}], client_ca: ca.pem, min_version: "1.3"}
services:
  api: {tls: {ca: ca.pem, server_name: api.internal, cert: me.pem, key: me.key}}
  old: {tls: {verify: false}}
  plain: {}
)", "f.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  const lb::ListenerSpec& listener = config->lb.listeners[0];
  EXPECT_EQ(listener.protocol, lb::ListenerProtocol::kHttps);
  ASSERT_EQ(listener.tls.certificates.size(), 2u);
  EXPECT_EQ(listener.tls.certificates[0].ocsp, "a.ocsp");
  EXPECT_EQ(listener.tls.client_ca, "ca.pem");
  EXPECT_EQ(listener.tls.min_version, "1.3");
  EXPECT_EQ(listener.tls.alpn, std::vector<std::string>{"http/1.1"});
  EXPECT_TRUE(config->lb.services[0].settings.tls.enabled);
  EXPECT_EQ(config->lb.services[0].settings.tls.server_name, "api.internal");
  EXPECT_FALSE(config->lb.services[1].settings.tls.verify);
  EXPECT_FALSE(config->lb.services[2].settings.tls.enabled);
}

TEST(Config, RefusesTlsThatMakesNoSense) {
  auto listener = [](std::string_view rest) {
    return FaultOf(Cat("listeners: [{name: s, bind: \"0.0.0.0:443\", ", rest, "}]"));
  };
  EXPECT_THAT(listener("protocol: https"), HasSubstr("https needs a certificate"));
  EXPECT_THAT(listener("protocol: http, tls: {certificates: [{cert: a}]}"), HasSubstr("is for protocol: https"));
  EXPECT_THAT(listener("protocol: https, tls: {certificates: [{cert: a}], alpn: [h2, http/1.1]}"),
              HasSubstr("h2: not yet"));
  EXPECT_THAT(listener("protocol: https, tls: {certificates: [{key: a}]}"), HasSubstr("cert: is missing"));
  EXPECT_THAT(listener("protocol: https, tls: {certificates: [{cert: a}], min_version: \"1.1\"}"),
              HasSubstr("none of 1.2, 1.3"));
  EXPECT_THAT(FaultOf("services: {api: {tls: {verify: false, ca: ca.pem}}}"), HasSubstr("no meaning with verify: false"));
}

TEST(Config, RefusesWhatAListenersProtocolHasNoUseFor) {
  for (const char* key : {"limits: {head: 8KiB}", "lenient: true", "normalize_path: off", "timeouts: {keep_alive: 1s}"})
    for (const char* protocol : {"tls", "tcp, service: s"})
      EXPECT_THAT(FaultOf(Listener(Cat("protocol: ", protocol, ", ", key))), HasSubstr("is for protocol: http and https"));
  EXPECT_EQ(FaultOf(Listener("protocol: tls, timeouts: {request_header: 1s}")), "");
}

TEST(Config, RefusesTimesInWhichNothingCanBeDone) {
  EXPECT_THAT(FaultOf(Listener("timeouts: {request_header: 0}")), HasSubstr("timeouts.request_header: 0 would end every"));
  EXPECT_THAT(FaultOf("services: {s: {timeouts: {connect: 0s}}}"), HasSubstr("timeouts.connect: 0 would end every"));
  EXPECT_EQ(FaultOf("services: {s: {timeouts: {idle: 0}}}"), "");
}

TEST(Config, RefusesListenersOnOnePort) {
  EXPECT_THAT(FaultOf("listeners: [{name: a, bind: \"[::]:80\"}, {name: b, bind: \"[::]:80\"}]"),
              HasSubstr("listeners[1].bind: [::]:80 is listener a's already"));
  EXPECT_EQ(FaultOf("listeners: [{name: a, bind: \"127.0.0.1:0\"}, {name: b, bind: \"127.0.0.1:0\"}]"), "");
}

TEST(Config, RefusesHostsAndPathsThatNoRequestHas) {
  auto route = [](std::string_view text) { return FaultOf(Cat("routes: [{service: s, ", text, "}]")); };
  EXPECT_THAT(route("host: [\"a:80\"]"), HasSubstr("\"a:80\" is no host; write a name without port"));
  EXPECT_THAT(route("host: [\"\"]"), HasSubstr("is no host"));
  EXPECT_THAT(route("host: [a b]"), HasSubstr("is no host"));
  EXPECT_THAT(route("host: [a], path_prefix: x"), HasSubstr("begins with no /"));
  EXPECT_EQ(route("host: [\"[2001:db8::1]\"]"), "");
}

TEST(Config, ARouteMayBeARule) {
  auto parsed = ParseConfig("routes: [{rule: \"Host(`a`) && !PathPrefix(`/x`)\", priority: -5, service: s}, {host: [b], priority: 7, service: s}]", "f");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->lb.routes[0].rule, "Host(`a`) && !PathPrefix(`/x`)");
  EXPECT_EQ(parsed->lb.routes[0].priority, -5);
  EXPECT_THAT(parsed->lb.routes[0].hosts, testing::IsEmpty());
  EXPECT_EQ(parsed->lb.routes[1].priority, 7);
}

TEST(Config, RefusesARuleThatCannotBeReadOrMet) {
  auto route = [](std::string_view text) { return FaultOf(Cat("routes: [{service: s, ", text, "}]")); };
  EXPECT_THAT(route("rule: \"Host('a')\""), HasSubstr("routes[0].rule: at byte 6: expected `text` or \"text\""));
  EXPECT_THAT(route("rule: \"\""), HasSubstr("routes[0].rule: the rule is empty"));
  EXPECT_THAT(route("rule: \"Host(`a`) && Host(`b`)\""), HasSubstr("no request can meet it: it asks for two hosts at once"));
  EXPECT_THAT(route("rule: \"Host(`a`)\", host: [b]"), HasSubstr("routes[0].host: a rule stands in its place"));
  EXPECT_THAT(route("rule: \"Host(`a`)\", path_prefix: /x"), HasSubstr("routes[0].path_prefix: a rule stands in its place"));
  EXPECT_THAT(route("rule: \"Host(`a`)\", priority: high"), HasSubstr("\"high\" is no priority"));
  EXPECT_THAT(route("rule: \"Host(`a`)\", middlewares: [m]"), HasSubstr("there is no middleware m"));
  EXPECT_THAT(route("host: [a], path_prefix: \"/x?y\""), HasSubstr("holds a ?, where paths end"));
  EXPECT_THAT(route("path_prefix: /x"), HasSubstr("or a rule in its place"));
}

TEST(Config, ARuleIsOfItsServicesProtocol) {
  std::string services = "services: {web: {}, db: {protocol: tcp}}\n";
  EXPECT_THAT(FaultOf(services + "routes: [{rule: \"Host(`a`)\", service: db}]"), HasSubstr("the service speaks tcp: use HostSNI"));
  EXPECT_THAT(FaultOf(services + "routes: [{rule: \"HostSNI(`a`)\", service: web}]"), HasSubstr("the service speaks http: use Host"));
  EXPECT_EQ(FaultOf(services + "routes: [{rule: \"HostSNI(`a`)\", service: db}, {rule: \"Host(`a`)\", service: web}]"), "");
}

TEST(Config, OneRuleLeadsToOneService) {
  auto routes = [](std::string_view second) {
    return FaultOf(Cat("routes: [{rule: \"Host(`a`) && Path(`/`)\", service: a}, {rule: \"", second, "\", service: b}]"));
  };
  EXPECT_THAT(routes("Host(`a`) && (Path(`/`))"), "");  // longer: it goes first
  EXPECT_THAT(routes("host(`A`) && path(`/`)"), HasSubstr("route to b.default: Host(`a`) && Path(`/`) with priority 22 goes to a.default already"));
}

TEST(Config, WarnsOfTraefikV2sRules) {
  auto parsed = ParseConfig("routes: [{rule: \"Host(`a`, `b`)\", service: s}]", "f");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->warnings,
              testing::ElementsAre("routes[0].rule: Host with 2 values is Traefik v2's form: write Host(…) || Host(…)"));
}

TEST(Config, RefusesARouteThatAnEarlierOneHides) {
  auto routes = [](std::string_view services, std::string_view text) {
    return FaultOf(Cat("listeners: [{name: l, bind: \"[::]:80\"}, {name: m, bind: \"[::]:81\"}]\nservices: ", services,
                       "\nroutes: ", text));
  };
  std::string http = "{a: {}, b: {}}";
  EXPECT_THAT(routes(http, "[{host: [x], service: a}, {host: [y, X], service: b}]"),
              HasSubstr("route to b.default: x with path_prefix / goes to a.default already"));
  EXPECT_THAT(routes(http, "[{host: [x], service: a, listeners: [l]}, {host: [x], service: b}]"), HasSubstr("already"));
  EXPECT_EQ(routes(http, "[{host: [x], service: a, listeners: [l]}, {host: [x], service: b, listeners: [m]}]"), "");
  EXPECT_EQ(routes(http, "[{host: [x], service: a, path_prefix: /a}, {host: [x], service: b}]"), "");
  EXPECT_EQ(routes("{a: {}, b: {protocol: tcp}}", "[{host: [x], service: a}, {host: [x], service: b}]"), "");
}

TEST(Config, ContainerdIsFollowedWhereItIsGiven) {
  EXPECT_EQ(ParseConfig("{}", "f")->containerd_socket, "");
  EXPECT_EQ(ParseConfig("engines: {containerd: {}}", "f")->containerd_socket, kDefaultContainerdSocket);
  auto config = ParseConfig("engines: {containerd: {socket: /x.sock, namespaces: [default, web]}}", "f");
  EXPECT_EQ(config->containerd_socket, "/x.sock");
  EXPECT_EQ(config->containerd_namespaces, (std::vector<std::string>{"default", "web"}));
  EXPECT_THAT(FaultOf("engines: {containerd: {namespaces: [moby]}}"), HasSubstr("moby is Docker's own"));
  EXPECT_THAT(FaultOf("engines: {containerd: {namespaces: []}}"), HasSubstr("namespaces: is empty"));
}

TEST(Config, RefusesEndpointsThatNobodyCanReachOrTellApart) {
  auto endpoints = [](std::string_view text) { return FaultOf(Cat("services: {s: {endpoints: [", text, "]}}")); };
  EXPECT_THAT(endpoints("{address: \"10.0.0.5:0\"}"), HasSubstr("10.0.0.5:0 has no port"));
  EXPECT_THAT(endpoints("{address: \"10.0.0.5:1\"}, {address: \"10.0.0.5:1\"}"), HasSubstr("is there twice; give it a weight"));
  EXPECT_THAT(endpoints("{address: \"DB.x:1\"}, {address: \"db.x:1\"}"), HasSubstr("db.x:1 is there twice; give it a weight"));
  EXPECT_THAT(endpoints("{address: db.example.com}"), HasSubstr("\"db.example.com\" has no port to connect to"));
  EXPECT_THAT(FaultOf("resolver: {nameservers: [ns.example.com]}"), HasSubstr("\"ns.example.com\" is no address of a name server"));
  EXPECT_THAT(FaultOf("services: {s: {}, s.default: {}}"), HasSubstr("service s.default is there twice"));
}

TEST(Config, MissesAServiceOnlyWhereNoAgentCouldTellOfIt) {
  std::string route = "routes: [{host: [a], service: s.shop}]\n", alone = "lb: {agents: []}\n";
  EXPECT_EQ(FaultOf(route), "");
  EXPECT_THAT(FaultOf(alone + route), HasSubstr("route of a: there is no service s.shop, and no agent"));
  EXPECT_THAT(FaultOf(alone + Listener("protocol: tcp, service: s")), HasSubstr("listener db: there is no service s.default"));
  EXPECT_EQ(FaultOf(Listener("protocol: tls")), "");
  EXPECT_THAT(FaultOf(alone + Listener("protocol: tls")), HasSubstr("listener db: no service has protocol: tcp"));
}

TEST(Config, NamesTheKeysThereAreWhenNoneIsNear) {
  EXPECT_THAT(FaultOf(Listener("tls: {password: x}")), HasSubstr("tls.password: unknown key; there are alpn, certificates"));
}

TEST(Config, TakesAMapForNoList) {
  EXPECT_THAT(FaultOf("routes: [{service: s, host: {a: b}}]"), HasSubstr("routes[0].host: must be a list of values"));
  EXPECT_THAT(FaultOf("routes: [{service: s, host: [[a]]}]"), HasSubstr("routes[0].host: must be a list of values"));
}

TEST(Config, RefusesPoolsThatOverlap) {
  EXPECT_THAT(FaultOf(R"(
pools:
  - {name: a, prefixes: [{cidr: 10.40.0.0/16}]}
  - {name: b, prefixes: [{cidr: 10.40.7.0/24}]}
)"), HasSubstr("10.40.7.0/24 overlaps 10.40.0.0/16 of pool a"));
}

TEST(Config, GivesAllFaultsAtOnce) {
  std::string faults = FaultOf("dns: {ttl: x, zome: y}\nlb: {io: z}");
  EXPECT_THAT(faults, HasSubstr("dns.ttl"));
  EXPECT_THAT(faults, HasSubstr("dns.zome"));
  EXPECT_THAT(faults, HasSubstr("lb.io"));
}

TEST(Config, TakesTheEnvironmentOverTheFile) {
  setenv("FAIRLEAD_DNS_ZONE", "corp.internal", 1);
  auto config = ParseConfig("dns: {zone: file.internal}", "f.yaml", true);
  unsetenv("FAIRLEAD_DNS_ZONE");
  EXPECT_EQ(config->dns_zone, "corp.internal");
}

TEST(Config, ReadsMiddlewaresInTraefiksWords) {
  auto config = ParseConfig(R"(
middlewares:
  strip: {stripprefix: {prefixes: [/api, "/a,b"]}}
  Fields: {headers: {customRequestHeaders: {X-Script-Name: test}, stsseconds: 60}}
  both: {chain: {middlewares: [strip, fields, auth@docker]}}
routes:
  - {host: [a.example], service: s, middlewares: [both, Strip@file, auth@docker]}
)", "f.yaml");
  ASSERT_TRUE(config.ok()) << Message(config.status());
  EXPECT_EQ(config->lb.routes[0].middlewares, (std::vector<std::string>{"both@file", "strip@file", "auth@docker"}));
  ASSERT_EQ(config->lb.middlewares.size(), 3u);
  EXPECT_EQ(config->lb.middlewares[0], (discovery::Middleware{"strip", "stripprefix", {{"prefixes[0]", "/api"}, {"prefixes[1]", "/a,b"}}}));
  EXPECT_EQ(config->lb.middlewares[1],
            (discovery::Middleware{"fields", "headers", {{"customrequestheaders.X-Script-Name", "test"}, {"stsseconds", "60"}}}));
}

TEST(Config, RefusesMiddlewaresThatCannotBeBuiltOrAreNotThere) {
  EXPECT_THAT(FaultOf("middlewares: {a: {stripprefix: {prefix: /x}}}"), HasSubstr("stripprefix.prefix: is not understood"));
  EXPECT_THAT(FaultOf("middlewares: {a: {addprefix: {prefix: /x}, basicauth: {users: []}}}"), HasSubstr("several kinds"));
  EXPECT_THAT(FaultOf("middlewares: {a: {forwardauth: {address: 'http://x'}}}"), HasSubstr("forwardauth is not yet supported"));
  EXPECT_THAT(FaultOf("middlewares: {a: 5}"), HasSubstr("middlewares[a]"));
  EXPECT_THAT(FaultOf("middlewares: {}\nroutes: [{host: [a], service: s, middlewares: [lan]}]"), HasSubstr("there is no middleware lan"));
  EXPECT_THAT(FaultOf("middlewares: {lan: {chain: {middlewares: [lam]}}}"), HasSubstr("there is no middleware lam (did you mean lan?)"));
  EXPECT_THAT(FaultOf("routes: [{host: [a], service: s, middlewares: [x@consul]}]"), HasSubstr("x@consul"));
}

TEST(Config, PortsThatLabelsMayOpenAreARangeAtOneAddressOrAll) {
  auto range = [](const std::string& text) { return ParseConfig(Cat("lb: {dynamic_ports: \"", text, "\"}"), "f.yaml")->lb.dynamic_ports; };
  EXPECT_EQ(range(""), lb::DynamicPortRange());
  EXPECT_EQ(range("20000-29999"), (lb::DynamicPortRange{*IpAddress::Parse("0.0.0.0"), 20000, 29999}));
  EXPECT_EQ(range("10.0.0.5:20000-20000"), (lb::DynamicPortRange{*IpAddress::Parse("10.0.0.5"), 20000, 20000}));
  EXPECT_EQ(range("[::]:20000-29999").ip, *IpAddress::Parse("::"));
  for (const char* wrong : {"20000", "29999-20000", "0-100", "20000-70000", "a-b", "20000-", "unix:/x-2", "host:1-2"})
    EXPECT_THAT(FaultOf(Cat("lb: {dynamic_ports: \"", wrong, "\"}")), HasSubstr("is no range of ports; write 20000-29999")) << wrong;
}

TEST(Config, AServiceMayFailOpenBelowAShareOfReadyEndpoints) {
  auto below = [](const std::string& text) {
    return ParseConfig(Cat("services: {web: {fail_open_below: ", text, "}}"), "f.yaml")->lb.services[0].fail_open_below;
  };
  EXPECT_EQ(below("50%"), 50u);
  EXPECT_EQ(below("25"), 25u);
  EXPECT_EQ(below("0%"), 0u);
  for (const char* wrong : {"101%", "-1", "half", "%"})
    EXPECT_THAT(FaultOf(Cat("services: {web: {fail_open_below: \"", wrong, "\"}}")), HasSubstr("is no share; write 50%")) << wrong;
}

TEST(Config, DialectsOfLabelsCanBeSwitchedOff) {
  EXPECT_EQ(ParseConfig("{}", "f.yaml")->dialects, discovery::AllDialects());
  EXPECT_EQ(ParseConfig("dialects: [nginx-proxy]", "f.yaml")->dialects, std::vector<std::string>{"nginx-proxy"});
  EXPECT_TRUE(ParseConfig("dialects: []", "f.yaml")->dialects.empty());
  EXPECT_THAT(FaultOf("dialects: [traefic]"), HasSubstr("\"traefic\" is none of traefik, nginx-proxy, registrator"));
}

}  // namespace
}  // namespace fairlead::app
