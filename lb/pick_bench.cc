// What a request costs before a byte is sent: finding its route, and whose turn it is.
#include <benchmark/benchmark.h>

#include "base/strings.h"
#include "lb/cluster.h"
#include "lb/route_table.h"

namespace fairlead::lb {
namespace {

void BM_FindRouteAmongHosts(benchmark::State& state) {
  RouteTable<int> table;
  for (int i = 0; i < state.range(0); i++) table.Set(Cat("service-", i, ".demo.example"), {{"/", ~uint64_t{0}, i}});
  int64_t i = 0;
  std::vector<std::string> hosts;
  for (int h = 0; h < 1024; h++) hosts.push_back(Cat("Service-", h * 7919 % state.range(0), ".Demo.Example:8080"));
  for (auto _ : state) benchmark::DoNotOptimize(table.Find(hosts[static_cast<size_t>(i++ & 1023)], "/index.html", 0));
}
BENCHMARK(BM_FindRouteAmongHosts)->Arg(10)->Arg(10'000);

void BM_PickAmongEndpoints(benchmark::State& state) {
  SystemClock clock;
  auto proactor = *io::MakeProactor(io::IoBackend::kEpoll, clock, nullptr);
  ClusterChange change{.service = "web.demo", .removed = false, .settings = {}, .endpoints = {}};
  for (int i = 0; i < state.range(0); i++)
    change.endpoints.push_back({Cat("uid-", i), Cat("web-", i), SocketAddress(IpAddress::V4(0x0a280000u + static_cast<uint32_t>(i)), 80),
                                state.range(1) == 0 ? 1u : static_cast<uint32_t>(1 + i % 3)});
  LocalRef<Cluster> cluster(new Cluster(*proactor, "web.demo"));
  cluster->Apply(change);
  for (auto _ : state) benchmark::DoNotOptimize(cluster->Pick(1, nullptr));
  cluster->Retire();
}
BENCHMARK(BM_PickAmongEndpoints)->ArgNames({"endpoints", "weighted"})->Args({3, 0})->Args({1000, 0})->Args({20, 1});

}  // namespace
}  // namespace fairlead::lb
