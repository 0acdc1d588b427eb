// What it costs to compare everything on a host with many containers: the engine's list read from its JSON, then the
// comparison; `build/release/bin/verify_bench`
#include <benchmark/benchmark.h>

#include "app/verify.h"
#include "base/strings.h"
#include "runtime-shim/engine_json.h"

namespace fairlead::app {
namespace {

std::string EndpointId(int i) {
  std::string id = Cat(i);
  return std::string(64 - id.size(), '0') + id;
}

std::string IpOf(int i) { return Cat("10.40.", i / 250, ".", i % 250 + 2); }

// A host whose every container runs at its own address.
Snapshot Healthy(int leases) {
  Snapshot snapshot{.node = "host1"};
  snapshot.pools = {{.name = "shop", .prefixes = {{.prefix = *Prefix::Parse("10.40.0.0/16")}}}};
  snapshot.networks = {{.id = "n1", .name = "shopnet", .driver = "fairlead", .subnets = {*Prefix::Parse("10.40.0.0/16")},
                        .ipam_driver = "fairlead", .ipam_options = {{"pool", "shop"}}}};
  snapshot.records.networks = {{.id = "n1", .name = "shopnet"}};
  snapshot.kernel_endpoints.emplace();
  for (int i = 0; i < leases; i++) {
    ipam::Lease lease{.key = {"shopnet", "host1", Cat("web-", i)}, .pool = "shop", .ip = *IpAddress::Parse(IpOf(i)), .attached = true};
    snapshot.leases.push_back(lease);
    snapshot.records.endpoints.push_back({.id = EndpointId(i), .network_id = "n1", .interface_name = "flc"});
    snapshot.kernel_endpoints->push_back(EndpointId(i));
  }
  return snapshot;
}

std::string EngineList(int containers) {
  std::string json = "[";
  for (int i = 0; i < containers; i++)
    json += Cat(i == 0 ? "" : ",", R"({"Id":")", EndpointId(i), R"(","Names":["/web-)", i,
                R"("],"Image":"registry.example/shop/web:1.2.3","Command":"/usr/bin/web --port 80","State":"running","Status":"Up 2 days",)",
                R"("Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web","fairlead.port":"80"},)",
                R"("NetworkSettings":{"Networks":{"shopnet":{"NetworkID":"n1","EndpointID":")", EndpointId(i), R"(","IPAddress":")",
                IpOf(i), R"(","IPPrefixLen":16,"MacAddress":"02:00:00:00:00:07"}}}})");
  return json + "]";
}

void BM_VerifyWithTheEnginesList(benchmark::State& state) {
  const int leases = static_cast<int>(state.range(0));
  Snapshot snapshot = Healthy(leases);
  const std::string json = EngineList(leases);
  for (auto _ : state) {
    snapshot.containers = *runtime::ParseContainerList(json);
    std::vector<Drift> drifts = FindDrifts(snapshot);
    if (!drifts.empty()) state.SkipWithError("a healthy host has no drift");
  }
}
BENCHMARK(BM_VerifyWithTheEnginesList)->Arg(200)->Arg(2000)->Arg(20000)->Unit(benchmark::kMillisecond);

void BM_Verify(benchmark::State& state) {
  const int leases = static_cast<int>(state.range(0));
  Snapshot snapshot = Healthy(leases);
  snapshot.containers = *runtime::ParseContainerList(EngineList(leases));
  for (auto _ : state) benchmark::DoNotOptimize(FindDrifts(snapshot));
}
BENCHMARK(BM_Verify)->Arg(200)->Arg(2000)->Arg(20000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace fairlead::app
