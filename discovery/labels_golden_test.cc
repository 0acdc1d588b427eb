// The tables of golden/: what a container says of itself, and below it what becomes of that. A case:
//
//   == its title
//   label KEY = VALUE           env KEY = VALUE             what is not given: a container shop-web-1, exposed 80/tcp,
//   name NAME                   expose 80/tcp 53/udp        at 172.17.0.2 on Docker's bridge
//   host_network
//   --
//   service NAME.PROJECT PROTOCOL PORT weight 1 check …     or "not published"
//     route …
//     ! a complaint
//
// FAIRLEAD_GOLDEN_UPDATE=1 writes what is found into the files, to be read before it is committed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/strings.h"
#include "discovery/labels.h"

namespace fairlead::discovery {
namespace {

constexpr size_t kCases = 60;  // a table that went missing would pass in silence
constexpr std::string_view kKinds[] = {"none", "reachable", "tcp", "http", "grpc"};

std::string Print(const HealthCheck& check) {
  std::string text(kKinds[static_cast<size_t>(check.kind)]);
  if (check.kind == CheckKind::kNone || check.kind == CheckKind::kReachable) return text;
  if (!check.target.empty()) text += Cat(" ", check.target);
  if (check.tls) text += " tls";
  if (!check.host.empty()) text += Cat(" host ", check.host);
  if (check.port != 0) text += Cat(" port ", check.port);
  return Cat(text, " every ", check.interval / kMillisecond, "ms within ", check.timeout / kMillisecond, "ms rise ", check.rise,
             " fall ", check.fall);
}

std::string Print(const RouteRule& route) {
  std::string text = route.rule.empty() ? Cat("host ", Join(route.hosts, ","), " path ", route.path_prefix) : Cat("rule ", route.rule);
  if (route.priority != 0) text += Cat(" priority ", route.priority);
  if (!route.listeners.empty()) text += Cat(" listeners ", Join(route.listeners, ","));
  if (!route.middlewares.empty()) text += Cat(" middlewares ", Join(route.middlewares, ","));
  return text;
}

std::string Print(const StickyCookie& cookie) {
  return Cat("name=", cookie.name, " path=", cookie.path, " domain=", cookie.domain, " maxage=", cookie.max_age, " samesite=",
             cookie.same_site, cookie.secure ? " secure" : "", cookie.http_only ? " httponly" : "");
}

std::string Print(const ContainerServices& all) {
  std::string text;
  for (const ServiceEntry& entry : all.services) {
    text += Cat("service ", entry.service, ".", entry.project, " ", entry.protocol, " ");
    text += entry.published() ? Cat(entry.port, " weight ", entry.weight, " check ", Print(entry.check)) : "not published";
    if (entry.listen != 0) text += Cat(" listen ", entry.listen);
    if (entry.sticky.enabled) text += Cat(" sticky ", Print(entry.sticky));
    text += "\n";
    for (const RouteRule& route : entry.routes) text += Cat("  route ", Print(route), "\n");
    for (const std::string& problem : entry.problems) text += Cat("  ! ", problem, "\n");
  }
  for (const Middleware& middleware : all.middlewares) {
    text += Cat("middleware ", middleware.id, " ", middleware.kind, "\n");
    for (const auto& [key, value] : middleware.options) text += Cat("  ", key, " = ", value, "\n");
  }
  return text;
}

void Read(std::string_view line, ContainerFacts& facts) {
  const size_t blank = line.find(' ');
  const std::string_view word = line.substr(0, blank), rest = blank == line.npos ? "" : line.substr(blank + 1);
  const size_t equals = rest.find(" =");
  auto set = [&](std::map<std::string, std::string>& into) {
    ASSERT_NE(equals, rest.npos) << line;
    into[std::string(rest.substr(0, equals))] = Trim(rest.substr(equals + 2));
  };
  if (word == "label") {
    set(facts.labels);
  } else if (word == "env") {
    set(facts.environment);
  } else if (word == "name") {
    facts.name = rest;
  } else if (word == "expose") {
    facts.exposed_ports.clear();
    for (std::string_view port : Split(rest, ' ')) {
      const size_t slash = port.find('/');
      if (slash != port.npos) facts.exposed_ports.emplace_back(*ParseNumber<uint16_t>(port.substr(0, slash)), port.substr(slash + 1));
    }
  } else if (word == "host_network") {
    facts.where.addresses.clear();
    facts.where.host_network = true;
  } else {
    FAIL() << "no such line in a golden table: " << line;
  }
}

// The table with what is found in place of what was expected.
std::string Answer(const std::string& table) {
  std::string out;
  ContainerFacts facts;
  bool asking = true;
  for (std::string_view line : Split(table, '\n')) {
    if (line.starts_with("==") || line.starts_with("#")) {
      asking = true;
      facts = {.name = "shop-web-1", .labels = {}, .exposed_ports = {{80, "tcp"}}, .where = {}};
      facts.where.addresses = {{*IpAddress::Parse("172.17.0.2"), {}, "bridge", false}};
      facts.where.node_addresses = {*IpAddress::Parse("192.0.2.1")};
      if (!out.empty() && !out.ends_with("\n\n") && line.starts_with("==")) out += "\n";
    }
    if (!asking) continue;
    if (!line.empty()) out += Cat(line, "\n");
    if (line == "--") {
      NameTables names;
      out += Print(DescribeServices(facts, names));
      asking = false;
    } else if (!line.empty() && !line.starts_with("==") && !line.starts_with("#")) {
      Read(line, facts);
    }
  }
  return out;
}

TEST(LabelsGolden, EveryDialectSaysWhatItsTableSays) {
  size_t cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FAIRLEAD_LABELS_GOLDEN)) {
    std::ifstream file(entry.path());
    const std::string table{std::istreambuf_iterator<char>(file), {}};
    const std::string answer = Answer(table);
    for (size_t at = 0; (at = answer.find("\n--\n", at)) != answer.npos; at++) ++cases;
    if (std::getenv("FAIRLEAD_GOLDEN_UPDATE") != nullptr) {
      std::ofstream(entry.path()) << answer;
    } else {
      EXPECT_EQ(table, answer) << entry.path();
    }
  }
  EXPECT_GE(cases, kCases);
}

}  // namespace
}  // namespace fairlead::discovery
