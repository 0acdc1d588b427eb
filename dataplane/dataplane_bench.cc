// Attach and detach of one endpoint, beside the `ip` commands that do the same. Each in a network namespace of its own;
// needs root.
//
//   build/release/bin/dataplane_bench --benchmark_repetitions=50 --benchmark_report_aggregates_only=true
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "base/net/netns.h"
#include "dataplane/dataplane.h"

namespace fairlead::dataplane {
namespace {

NetworkSpec Network() {
  NetworkSpec network;
  network.id = "0a1b2c3d4e5f";
  return network;
}

EndpointSpec Endpoint(int n) {
  EndpointSpec endpoint;
  endpoint.id = Cat("endpoint-", n);
  endpoint.mac = MacAddress({0x02, 0, 0, 0, static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)});
  return endpoint;
}

void OrSkip(benchmark::State& state, const Status& status) {
  if (!status.ok()) state.SkipWithError(std::string(Message(status)).c_str());
}

// Runs `body` with the calling thread in a fresh namespace.
template <class Body>
void InNamespace(benchmark::State& state, const Body& body) {
  auto outside = NetworkNamespace::Current();
  auto inside = NetworkNamespace::Create();
  if (!outside.ok() || !inside.ok()) return OrSkip(state, inside.status());
  OrSkip(state, inside->Enter());
  body();
  OrSkip(state, outside->Enter());
}

enum class Timed { kAttach, kDetach };

void Driven(benchmark::State& state, Timed timed) {
  InNamespace(state, [&] {
    const auto driver = MakeBridgeDriver();
    OrSkip(state, driver->EnsureNetwork(Network()));
    int n = 0;
    for (auto _ : state) {
      const EndpointSpec endpoint = Endpoint(++n);
      if (timed == Timed::kDetach) state.PauseTiming();
      OrSkip(state, driver->Attach(Network(), endpoint).status());
      timed == Timed::kDetach ? state.ResumeTiming() : state.PauseTiming();
      OrSkip(state, driver->Detach(endpoint.id));
      if (timed == Timed::kAttach) state.ResumeTiming();
    }
  });
}

// One after the other without a pause: attach meets the reaper at work.
void DrivenBackToBack(benchmark::State& state) {
  InNamespace(state, [&] {
    const auto driver = MakeBridgeDriver();
    OrSkip(state, driver->EnsureNetwork(Network()));
    int n = 0;
    for (auto _ : state) {
      const EndpointSpec endpoint = Endpoint(++n);
      OrSkip(state, driver->Attach(Network(), endpoint).status());
      OrSkip(state, driver->Detach(endpoint.id));
    }
  });
}

void Shell(benchmark::State& state, const std::string& command) {
  if (std::system(command.c_str()) != 0) state.SkipWithError(command.c_str());
}

void ByIpCommands(benchmark::State& state, Timed timed) {
  InNamespace(state, [&] {
    Shell(state, "ip link add br0 type bridge && ip link set br0 up");
    for (auto _ : state) {
      if (timed == Timed::kDetach) state.PauseTiming();
      Shell(state, "ip link add h0 address fe:00:00:00:00:01 type veth peer name c0 address 02:00:00:00:00:01 && "
                   "ip link set h0 alias e0 master br0 up");
      timed == Timed::kDetach ? state.ResumeTiming() : state.PauseTiming();
      Shell(state, "ip link del h0");
      if (timed == Timed::kAttach) state.ResumeTiming();
    }
  });
}

BENCHMARK_CAPTURE(Driven, attach, Timed::kAttach)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Driven, detach, Timed::kDetach)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(DrivenBackToBack)->Iterations(50)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(ByIpCommands, attach, Timed::kAttach)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(ByIpCommands, detach, Timed::kDetach)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace fairlead::dataplane
