// What an answer costs without the kernel: 100 000 records, names in random order (so that the caches miss as in life).
#include <benchmark/benchmark.h>

#include <map>

#include "base/random.h"
#include "discovery/dns/test_client.h"
#include "discovery/dns/test_rows.h"

namespace fairlead::dns {
namespace {

constexpr int kServices = 8000, kEndpoints = 4, kBranches = 1000;

// 8 000 services with 4 endpoints: A, SRV, the targets of SRV, and names of containers; 1 000 branches with a wildcard.
class Fleet {
 public:
  static Fleet& Get() {
    static Fleet fleet;
    return fleet;
  }

  std::vector<Packet> Queries(std::string_view before, int count, std::string_view after, uint16_t type) {
    SeededRandom random(1);
    std::vector<Packet> queries;
    for (int i = 0; i < 1 << 14; i++) {
      queries.push_back(MakeQuery({.name = Cat(before, random.Below(static_cast<uint64_t>(count)), after), .type = type}));
    }
    return queries;
  }
  static discovery::EndpointRow Row(int service, int endpoint) {
    std::string ip = Cat("10.", service >> 8, ".", service & 255, ".", endpoint);
    discovery::EndpointRow row = Serving(Cat("c", service, "-", endpoint), "host1", Cat("web", service), "demo", ip);
    if (service < kBranches && endpoint == 0) row.branch = Cat("b", service);
    return row;
  }

  ManualClock clock;
  Metrics metrics;
  std::unique_ptr<Zone> zone;
  std::unique_ptr<Answerer> answerer;

 private:
  Fleet() {
    ZoneConfig config;
    config.branch_zone = "ns.example.com";
    config.balancer = {Ip("10.0.0.1")};
    zone = *Zone::Make(config, clock);
    answerer = std::make_unique<Answerer>(*zone, metrics);
    for (int s = 0; s < kServices; s++) {
      for (int e = 0; e < kEndpoints; e++) zone->OnChanges({Put("host1", Row(s, e))});
    }
  }
};

void Run(benchmark::State& state, const std::vector<Packet>& queries) {
  Fleet& fleet = Fleet::Get();
  Packet out(kMaxUdpBytes);
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(fleet.answerer->Answer(queries[i++ & (queries.size() - 1)], {}, Transport::kUdp, out));
  }
  state.counters["records"] = static_cast<double>(fleet.zone->records());
}

void BM_A(benchmark::State& state) { Run(state, Fleet::Get().Queries("web", kServices, ".demo.svc.fl.internal", kA)); }
void BM_Wildcard(benchmark::State& state) {
  Run(state, Fleet::Get().Queries("app.b", kBranches, ".demo.ns.example.com", kA));
}
void BM_SrvWithAdditional(benchmark::State& state) {
  Run(state, Fleet::Get().Queries("_http._tcp.web", kServices, ".demo.svc.fl.internal", kSrv));
}
void BM_NxDomain(benchmark::State& state) {
  Run(state, Fleet::Get().Queries("nobody", kServices, ".demo.svc.fl.internal", kA));
}
// One endpoint turns unready and ready again: two changes.
void BM_TwoChanges(benchmark::State& state) {
  Fleet& fleet = Fleet::Get();
  discovery::EndpointRow row = Fleet::Row(4000, 1);
  auto ready = Put("host1", row);
  row.draining = true;
  auto draining = Put("host1", row);
  for (auto _ : state) {
    fleet.zone->OnChanges({draining});
    fleet.zone->OnChanges({ready});
  }
}
// The same in a service of that many endpoints: what a change costs must not grow with it.
void BM_TwoChangesOfAServiceOf(benchmark::State& state) {
  ManualClock clock;
  auto zone = *Zone::Make({}, clock);
  auto row = [](int64_t i) {
    return Serving(Cat("c", i), "host1", "web", "demo", Cat("10.", i >> 16, ".", i >> 8 & 255, ".", i & 255));
  };
  for (int64_t i = 0; i < state.range(0); i++) zone->OnChanges({Put("host1", row(i))});
  discovery::EndpointRow one = row(state.range(0) / 2);
  auto ready = Put("host1", one);
  one.draining = true;
  auto draining = Put("host1", one);
  for (auto _ : state) {
    zone->OnChanges({draining});
    zone->OnChanges({ready});
  }
}
BENCHMARK(BM_TwoChangesOfAServiceOf)->Arg(10)->Arg(1000)->Arg(10000);
BENCHMARK(BM_A);
BENCHMARK(BM_Wildcard);
BENCHMARK(BM_SrvWithAdditional);
BENCHMARK(BM_NxDomain);
BENCHMARK(BM_TwoChanges);

}  // namespace
}  // namespace fairlead::dns
