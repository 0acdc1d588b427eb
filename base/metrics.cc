#include "base/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <bit>

namespace fairlead {

void DurationHistogram::Observe(int64_t nanos) {
  auto n = static_cast<uint64_t>(std::max<int64_t>(nanos, 0));
  int bit = std::bit_width(n);  // smallest b with n < 2^b
  bucket_[std::clamp(bit - kFirstBit, 0, kBuckets)].Add();
  sum_ns_.Add(n);
}

template <class T>
T& Metrics::Get(Families<T>& families, std::deque<T>& storage, std::string_view name, std::string_view help,
                const MetricLabels& labels) {
  std::lock_guard lock(mutex_);
  Family<T>& family = families[std::string(name)];
  family.help = help;
  T*& member = family.members[labels];
  if (!member) member = &storage.emplace_back();
  return *member;
}

Counter& Metrics::counter(std::string_view name, std::string_view help, const MetricLabels& labels) {
  return Get(counters_, counter_storage_, name, help, labels);
}
Gauge& Metrics::gauge(std::string_view name, std::string_view help, const MetricLabels& labels) {
  return Get(gauges_, gauge_storage_, name, help, labels);
}
DurationHistogram& Metrics::histogram(std::string_view name, std::string_view help, const MetricLabels& labels) {
  return Get(histograms_, histogram_storage_, name, help, labels);
}

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Sums {
  std::string help;
  MetricType type;
  std::map<MetricLabels, ClientMetric> members;
};

void AddTo(ClientMetric& sum, const Counter& c) { sum.counter.value += static_cast<double>(c.value()); }
void AddTo(ClientMetric& sum, const Gauge& g) { sum.gauge.value += g.value(); }
void AddTo(ClientMetric& sum, const DurationHistogram& h) {
  auto& out = sum.histogram;
  if (out.bucket.empty()) {
    out.bucket.resize(DurationHistogram::kBuckets);
    for (int i = 0; i < DurationHistogram::kBuckets; i++)
      out.bucket[static_cast<size_t>(i)].upper_bound =
          static_cast<double>(uint64_t{1} << (DurationHistogram::kFirstBit + i)) / 1e9;
  }
  uint64_t cumulative = 0;
  for (int i = 0; i <= DurationHistogram::kBuckets; i++) {
    cumulative += h.bucket(i);
    if (i < DurationHistogram::kBuckets) out.bucket[static_cast<size_t>(i)].cumulative_count += cumulative;
  }
  out.sample_count += cumulative;
  out.sample_sum += static_cast<double>(h.sum_ns()) / 1e9;
}

template <class F>
void Collect(std::map<std::string, Sums>& into, const F& families, MetricType type) {
  for (const auto& [name, family] : families) {
    Sums& sums = into[name];
    sums.help = family.help;
    sums.type = type;
    for (const auto& [labels, metric] : family.members) AddTo(sums.members[labels], *metric);
  }
}

}  // namespace

std::string RenderPrometheus(const std::vector<const Metrics*>& workers) {
  std::map<std::string, Sums> all;
  for (const Metrics* worker : workers) {
    std::lock_guard lock(worker->mutex_);
    Collect(all, worker->counters_, MetricType::Counter);
    Collect(all, worker->gauges_, MetricType::Gauge);
    Collect(all, worker->histograms_, MetricType::Histogram);
  }
  std::vector<MetricFamily> families;
  for (auto& [name, sums] : all) {
    MetricFamily family{name, sums.help, sums.type, {}};
    for (auto& [labels, metric] : sums.members) {
      for (const auto& [key, value] : labels) metric.label.push_back({key, value});
      family.metric.push_back(metric);
    }
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace fairlead
