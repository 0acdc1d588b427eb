#include "discovery/registrator.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/strings.h"

namespace fairlead::discovery {

namespace {

constexpr std::string_view kPrefix = "SERVICE_";
constexpr std::string_view kVariable = "variable or label";

// What makes a container one of registrator's: others write SERVICE_… into environments too.
constexpr std::array<std::string_view, 4> kKeys = {"NAME", "TAGS", "ID", "IGNORE"};
constexpr std::array<std::string_view, 8> kChecks = {"CHECK_HTTP", "CHECK_HTTPS", "CHECK_TCP", "CHECK_GRPC", "CHECK_GRPC_USE_TLS",
                                                     "CHECK_TLS_SKIP_VERIFY", "CHECK_INTERVAL", "CHECK_TIMEOUT"};
constexpr std::array<std::string_view, 6> kLater = {
    "ID", "CHECK_HTTP_METHOD", "CHECK_HTTPS_METHOD", "CHECK_TTL", "CHECK_INITIAL_STATUS", "CHECK_DEREGISTER_AFTER"};

bool IsRegistrators(std::string_view key) {
  return In(kKeys, key) || In(kChecks, key) || In(kLater, key) || key == "CHECK_SCRIPT";
}

// SERVICE_[<port>_]KEY. The port is 0 without one.
struct Key {
  uint16_t port = 0;
  std::string_view key;
};

Key Parse(std::string_view name) {
  name.remove_prefix(kPrefix.size());
  const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  const auto port = PortOf(name.substr(0, digits));
  if (!port || digits == name.size() || name[digits] != '_') return {0, name};
  return {*port, name.substr(digits + 1)};
}

// "a,b\,c" is two tags.
std::vector<std::string> TagsOf(std::string_view value) {
  std::vector<std::string> tags(1);
  for (size_t i = 0; i < value.size(); i++) {
    if (value[i] == '\\' && i + 1 < value.size() && value[i + 1] == ',') {
      tags.back() += value[++i];
    } else if (value[i] == ',') {
      tags.emplace_back();
    } else {
      tags.back() += value[i];
    }
  }
  for (std::string& tag : tags) tag = std::string(Trim(tag));
  std::erase(tags, "");
  return tags;
}

using Values = std::map<std::string_view, std::string_view>;  // by key without port

// The keys of one port, those without port standing in for what is missing.
struct PortReader {
  uint16_t port = 0;
  const Values& own;
  const Values& common;
  DialectService service = {};

  const std::string_view* Find(std::string_view key) const {
    if (auto at = own.find(key); at != own.end()) return &at->second;
    auto at = common.find(key);
    return at != common.end() ? &at->second : nullptr;
  }
  std::string Named(std::string_view key) const {
    return own.contains(key) ? Cat(kPrefix, port, "_", key) : Cat(kPrefix, key);
  }
  void Complain(std::string_view key, std::string_view why) { service.problems.push_back(Bad(kVariable, Named(key), why)); }

  // fabio: urlprefix-[host]/path; what has options asks for more than a route can say.
  void ReadTag(const std::string& tag) {
    constexpr std::string_view kRoute = "urlprefix-";
    if (!tag.starts_with(kRoute)) return Complain("TAGS", Cat("tag \"", Shown(tag), "\" is not yet supported: it has no effect"));
    const std::string_view target = std::string_view(tag).substr(kRoute.size());
    const size_t slash = target.find('/');
    if (slash == target.npos || target.find(' ') != target.npos)
      return Complain("TAGS", Cat("tag \"", Shown(tag), "\" is not yet supported: only urlprefix-HOST/PATH without options is"));
    std::string host = slash == 0 ? "*" : LowerAscii(target.substr(0, slash));
    if (!IsHost(host)) return Complain("TAGS", Cat("\"", Shown(host), "\" is no host name"));
    service.routes.push_back({.hosts = {std::move(host)}, .path_prefix = std::string(target.substr(slash)), .listeners = {}});
  }

  void ReadTime(std::string_view key, Nanos& time) {
    const std::string_view* text = Find(key);
    if (text == nullptr) return;
    if (const auto value = DurationOf(*text)) {
      time = *value;
    } else {
      Complain(key, Cat("\"", Shown(*text), "\" is no duration (15s)"));
    }
  }

  // Consul changes its mind at the first answer.
  void ReadCheck() {
    HealthCheck check{.interval = 10 * kSecond, .timeout = 10 * kSecond, .rise = 1, .fall = 1};
    auto asked = [&](std::string_view key) {
      const std::string_view* text = Find(key);
      return text != nullptr && BoolOf(*text).value_or(false);
    };
    const std::string_view http = Find("CHECK_HTTP") == nullptr ? "CHECK_HTTPS" : "CHECK_HTTP";
    if (const std::string_view* path = Find(http)) {
      if (!IsTarget(*path)) return Complain(http, Cat("\"", Shown(*path), "\" is no path"));
      check.kind = CheckKind::kHttp;
      check.target = *path;
      check.tls = http == "CHECK_HTTPS";
    } else if (asked("CHECK_TCP")) {
      check.kind = CheckKind::kTcp;
    } else if (asked("CHECK_GRPC")) {
      check.kind = CheckKind::kGrpc;
      check.tls = asked("CHECK_GRPC_USE_TLS");
    }
    if (Find("CHECK_TLS_SKIP_VERIFY") != nullptr && !asked("CHECK_TLS_SKIP_VERIFY"))
      Complain("CHECK_TLS_SKIP_VERIFY", "has no effect: a check takes any certificate");
    ReadTime("CHECK_INTERVAL", check.interval);
    ReadTime("CHECK_TIMEOUT", check.timeout);
    if (check.kind != CheckKind::kNone) service.check = check;
  }

  void Read(bool only_port) {
    if (const std::string_view* name = Find("NAME")) service.name = *name;
    if (!own.contains("NAME") && !only_port && port != 0) service.suffix = Cat("-", port);
    if (const std::string_view* tags = Find("TAGS"))
      for (const std::string& tag : TagsOf(*tags)) ReadTag(tag);
    ReadCheck();
    if (Find("CHECK_SCRIPT") != nullptr)
      Complain("CHECK_SCRIPT", "is refused: nothing is run for a check; use SERVICE_CHECK_HTTP or the image's HEALTHCHECK");
  }
};

struct Sorted {
  Values common;
  std::map<uint16_t, Values> by_port;
  std::vector<std::string> problems;
  bool any = false;
};

void Sort(const std::map<std::string, std::string>& from, Sorted& sorted) {
  for (const auto& [name, value] : from) {
    if (!name.starts_with(kPrefix)) continue;
    const Key key = Parse(name);
    // The environment is sorted in first, and stands above labels.
    Values& values = key.port == 0 ? sorted.common : sorted.by_port[key.port];
    if (!values.emplace(key.key, value).second) continue;
    if (IsRegistrators(key.key)) {
      sorted.any = true;
      if (In(kLater, key.key)) sorted.problems.push_back(NotYet(kVariable, name));
    } else {
      sorted.problems.push_back(Cat(kVariable, " ", Shown(name), ": attributes are not yet supported: it has no effect"));
    }
  }
}

bool Ignored(const Values& values) {
  auto at = values.find("IGNORE");
  return at != values.end() && !at->second.empty();
}

}  // namespace

bool IsRegistratorKey(std::string_view key) { return key.starts_with(kPrefix); }

DialectResult DescribeRegistrator(const ContainerFacts& facts) {
  DialectResult result;
  Sorted sorted;
  Sort(facts.environment, sorted);
  Sort(facts.labels, sorted);
  if (!sorted.any) return result;
  if (Ignored(sorted.common)) {
    result.withheld = "not published: SERVICE_IGNORE";
    return result;
  }
  result.problems = std::move(sorted.problems);

  std::map<uint16_t, std::set<std::string>> ports;  // a port of its own key alone is TCP
  for (const auto& [number, protocol] : facts.exposed_ports) ports[number].insert(protocol);
  for (const auto& [number, values] : sorted.by_port)
    if (ports[number].empty()) ports[number].insert("tcp");
  size_t count = 0;
  for (const auto& [number, protocols] : ports) count += protocols.size();
  if (ports.empty()) ports[0].insert("tcp");  // shown, without a port

  for (const auto& [number, protocols] : ports) {
    const Values& own = sorted.by_port[number];
    if (Ignored(own)) {
      if (result.withheld.empty()) result.withheld = Cat("not published: SERVICE_", number, "_IGNORE");
      continue;
    }
    for (const std::string& protocol : protocols) {
      PortReader reader{.port = number, .own = own, .common = sorted.common};
      reader.Read(count <= 1);
      if (number != 0) reader.service.ports = {{"", number, protocol}};
      if (protocol == "udp") reader.service.protocol = "udp";
      if (protocol == "udp" && protocols.size() > 1) reader.service.suffix += "-udp";
      result.services.push_back(std::move(reader.service));
    }
  }
  return result;
}

}  // namespace fairlead::discovery
