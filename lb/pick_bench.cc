// What a request costs before a byte is sent: finding its route, and whose turn it is.
#include <benchmark/benchmark.h>

#include "base/strings.h"
#include "lb/cluster.h"
#include "lb/route_rule.h"
#include "lb/route_table.h"

namespace fairlead::lb {
namespace {

void BM_FindRouteAmongHosts(benchmark::State& state) {
  RouteTable<int> table;
  for (int i = 0; i < state.range(0); i++) table.Set(Cat("service-", i, ".demo.example"), {{"/", ~uint64_t{0}, i}});
  int64_t i = 0;
  std::vector<std::string> hosts;
  for (int h = 0; h < 1024; h++) hosts.push_back(Cat("Service-", h * 7919 % state.range(0), ".Demo.Example:8080"));
  for (auto _ : state) {
    const HostKey host(hosts[static_cast<size_t>(i++ & 1023)]);
    benchmark::DoNotOptimize(table.Find({.host = host.view(), .path = "/index.html"}, 0));
  }
}
BENCHMARK(BM_FindRouteAmongHosts)->Arg(10)->Arg(10'000);

std::vector<RouteTable<int>::Entry> PlacesAt(const std::string& text, std::string& host, RuleBook& book) {
  auto rule = book.Get(text);
  host = rule->places.at(0).host;
  return {{rule->places[0].path_prefix, ~uint64_t{0}, 1, static_cast<int64_t>(text.size()), rule->places[0].condition}};
}

// One host with a prefix for each service; by the host form, or by rules.
void BM_FindRouteAmongPrefixes(benchmark::State& state) {
  RouteTable<int> table;
  RuleBook book;
  std::string host = "demo.example";
  std::vector<RouteTable<int>::Entry> entries;
  for (int i = 0; i < state.range(0); i++) {
    if (state.range(1) == 0) {
      entries.push_back({Cat("/service-", i, "/"), ~uint64_t{0}, i});
    } else {
      entries.push_back(PlacesAt(Cat("Host(`demo.example`) && PathPrefix(`/service-", i, "/`)"), host, book)[0]);
    }
  }
  table.Set(host, entries);
  std::vector<std::string> paths;
  for (int p = 0; p < 1024; p++) paths.push_back(Cat("/service-", p * 7919 % state.range(0), "/index.html"));
  int64_t i = 0;
  for (auto _ : state) {
    const HostKey key("Demo.Example:8080");
    benchmark::DoNotOptimize(table.Find({.host = key.view(), .path = paths[static_cast<size_t>(i++ & 1023)]}, 0));
  }
}
BENCHMARK(BM_FindRouteAmongPrefixes)->ArgNames({"routes", "rules"})->Args({10, 0})->Args({10'000, 0})->Args({10'000, 1});

// Rules of a host each; with something left to ask, too.
void BM_FindRouteAmongRules(benchmark::State& state) {
  RouteTable<int> table;
  RuleBook book;
  for (int i = 0; i < state.range(0); i++) {
    std::string host, rule = Cat("Host(`service-", i, ".demo.example`)");
    if (state.range(1) == 1) rule += " && Method(`GET`) && !Header(`X-Canary`, `1`)";
    if (state.range(1) == 2) rule += " && PathRegexp(`^/[a-z]+\\.html$`)";
    auto entries = PlacesAt(rule, host, book);
    table.Set(host, std::move(entries));
  }
  table.Set("*", {{"/", ~uint64_t{0}, 0}});
  std::vector<std::string> hosts;
  for (int h = 0; h < 1024; h++) hosts.push_back(Cat("Service-", h * 7919 % state.range(0), ".Demo.Example:8080"));
  int64_t i = 0;
  for (auto _ : state) {
    const HostKey host(hosts[static_cast<size_t>(i++ & 1023)]);
    benchmark::DoNotOptimize(table.Find({.host = host.view(), .path = "/index.html", .method = "GET"}, 0));
  }
}
BENCHMARK(BM_FindRouteAmongRules)->ArgNames({"routes", "asks"})->Args({10'000, 0})->Args({10'000, 1})->Args({10'000, 2});

// What a worker pays when the routes of one host change, among as many hosts, and with as many prefixes at it.
void BM_ReplaceTheRoutesOfAHost(benchmark::State& state) {
  RouteTable<int> table;
  for (int i = 0; i < state.range(0); i++) table.Set(Cat("service-", i, ".demo.example"), {{"/", ~uint64_t{0}, i}});
  std::vector<RouteTable<int>::Entry> entries;
  for (int i = 0; i < state.range(1); i++) entries.push_back({Cat("/service-", i, "/"), ~uint64_t{0}, i});
  for (auto _ : state) table.Set("service-7.demo.example", entries);
}
BENCHMARK(BM_ReplaceTheRoutesOfAHost)->ArgNames({"hosts", "prefixes"})->Args({10'000, 1})->Args({10'000, 100})->Args({1, 10'000});

void BM_PickAmongEndpoints(benchmark::State& state) {
  SystemClock clock;
  auto proactor = *io::MakeProactor(io::IoBackend::kEpoll, clock, nullptr);
  ClusterChange change{.service = "web.demo", .removed = false, .settings = {}, .endpoints = {}};
  for (int i = 0; i < state.range(0); i++)
    change.Add({Cat("uid-", i), Cat("web-", i), SocketAddress(IpAddress::V4(0x0a280000u + static_cast<uint32_t>(i)), 80),
                state.range(1) == 0 ? 1u : static_cast<uint32_t>(1 + i % 3)});
  LocalRef<Cluster> cluster(new Cluster(*proactor, "web.demo"));
  cluster->Apply(change);
  for (auto _ : state) benchmark::DoNotOptimize(cluster->Pick(1, nullptr));
  cluster->Retire();
}
BENCHMARK(BM_PickAmongEndpoints)->ArgNames({"endpoints", "weighted"})->Args({3, 0})->Args({1000, 0})->Args({20, 1});

}  // namespace
}  // namespace fairlead::lb
