// What one change costs: applied to the catalog, put on the wire, taken off it, applied to a consumer's copy.
#include <benchmark/benchmark.h>

#include "discovery/frame.h"
#include "discovery/replica.h"
#include "discovery/row_codec.h"
#include "discovery/subscriber.h"
#include "discovery/test_rows.h"

namespace fairlead::discovery {
namespace {

void Fill(Catalog& catalog, int64_t rows) {
  for (int64_t i = 0; i < rows; i++) catalog.Upsert(Endpoint(std::to_string(i), "s" + std::to_string(i / 10)));
}

// A snapshot is held meanwhile, as a reader would: nothing may be changed in place.
void CatalogUpsert(benchmark::State& state) {
  Catalog catalog("n1", 1);
  Fill(catalog, state.range(0));
  int64_t i = 0;
  int32_t pid = 0;
  for (auto _ : state) {
    const PackedRows snapshot = catalog.rows();
    const int64_t id = i++ % state.range(0);
    EndpointRow row = Endpoint(std::to_string(id), "s" + std::to_string(id / 10));
    row.pid = ++pid;
    catalog.Upsert(std::move(row));
    benchmark::DoNotOptimize(snapshot);
  }
}
BENCHMARK(CatalogUpsert)->Arg(1'000)->Arg(100'000);

void MapWith(benchmark::State& state) {
  Catalog catalog("n1", 1);
  Fill(catalog, state.range(0));
  std::vector<std::shared_ptr<const PackedRow>> rows;
  catalog.rows().ForEach([&](const std::shared_ptr<const PackedRow>& row) { rows.push_back(row); });
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(catalog.rows().With(rows[i++ % rows.size()]));
}
BENCHMARK(MapWith)->Arg(1'000)->Arg(100'000);

PackedUpdate OneChange(const Catalog& catalog) {
  PackedUpdate update;
  update.position = {"n1", 1, catalog.revision()};
  update.upserts = {*catalog.rows().Find("endpoint/n1/7")};
  return update;
}

void Encode(benchmark::State& state) {
  Catalog catalog("n1", 1);
  Fill(catalog, 10);
  const PackedUpdate update = OneChange(catalog);
  std::string bytes;
  for (auto _ : state) {
    bytes.clear();
    EncodeFrame(update, bytes);
  }
  state.counters["bytes"] = static_cast<double>(bytes.size());
}
BENCHMARK(Encode);

void Decode(benchmark::State& state) {
  Catalog catalog("n1", 1);
  Fill(catalog, 10);
  std::string bytes;
  EncodeFrame(OneChange(catalog), bytes);
  const std::string_view message = std::string_view(bytes).substr(kFrameHeaderBytes);
  for (auto _ : state) benchmark::DoNotOptimize(DecodeUpdate(message));
}
BENCHMARK(Decode);

// The whole path of one change: catalog, subscriber, wire, replica.
void ChangeToReplica(benchmark::State& state) {
  Catalog catalog("n1", 1);
  Fill(catalog, state.range(0));
  catalog.MarkSynced();
  Subscriber subscriber(catalog);
  Replica replica;
  benchmark::DoNotOptimize(subscriber.OnSubscribe({"bench", {}}));
  int32_t pid = 0;
  while (auto update = subscriber.Next()) benchmark::DoNotOptimize(replica.Apply(Received(*update)));
  for (auto _ : state) {
    EndpointRow row = Endpoint("7", "s0");
    row.pid = ++pid;
    catalog.Upsert(std::move(row));
    benchmark::DoNotOptimize(replica.Apply(Received(*subscriber.Next())));
  }
}
BENCHMARK(ChangeToReplica)->Arg(1'000)->Arg(100'000);

}  // namespace
}  // namespace fairlead::discovery
