// Counters and gauges without shared cache lines: each worker owns a Metrics and is its only writer; a scrape adds up
// the workers' values and renders Prometheus text. Registering is not for the hot path: keep the returned reference.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fairlead {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Written by one thread, read by any.
class Counter {
 public:
  void Add(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

class Gauge {
 public:
  void Set(double v) { value_.store(v, std::memory_order_relaxed); }
  void Add(double d) { Set(value() + d); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_ = 0;
};

// Durations in buckets of powers of two from 2^12 ns (4 µs) to 2^35 ns (34 s); exposed in seconds.
class DurationHistogram {
 public:
  static constexpr int kFirstBit = 12, kBuckets = 24;
  void Observe(int64_t nanos);
  uint64_t bucket(int i) const { return bucket_[i].value(); }
  uint64_t sum_ns() const { return sum_ns_.value(); }

 private:
  Counter bucket_[kBuckets + 1];  // the last one: longer than all
  Counter sum_ns_;
};

class Metrics {
 public:
  Metrics() = default;
  Metrics(const Metrics&) = delete;

  // The metric of that name and labels, made at the first call. References stay valid as long as the Metrics.
  Counter& counter(std::string_view name, std::string_view help, const MetricLabels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const MetricLabels& labels = {});
  DurationHistogram& histogram(std::string_view name, std::string_view help, const MetricLabels& labels = {});

  // The same of what comes and goes: it is there as long as somebody holds it, and until the next ForgetUnheld().
  std::shared_ptr<Counter> hold_counter(std::string_view name, std::string_view help, const MetricLabels& labels);
  std::shared_ptr<Gauge> hold_gauge(std::string_view name, std::string_view help, const MetricLabels& labels);
  std::shared_ptr<DurationHistogram> hold_histogram(std::string_view name, std::string_view help, const MetricLabels& labels);
  // After a scrape, which has told their last values; by the thread that scrapes.
  void ForgetUnheld();

 private:
  friend class PrometheusText;
  template <class T>
  struct Member {
    std::shared_ptr<T> metric = std::make_shared<T>();
    bool stays = false;                        // somebody has a reference
  };
  template <class T>
  struct Family {
    std::string help;
    std::map<std::string, Member<T>> members;  // by their labels as the text has them: a="b",c="d"
  };
  template <class T>
  using Families = std::map<std::string, Family<T>, std::less<>>;
  template <class T>
  std::shared_ptr<T> Get(Families<T>& families, std::string_view name, std::string_view help, const MetricLabels& labels, bool stays);

  mutable std::mutex mutex_;  // guards the maps; the values are atomics
  Families<Counter> counters_;
  Families<Gauge> gauges_;
  Families<DurationHistogram> histograms_;
};

// The sum over all workers in Prometheus text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). Written here and not by a library: a balancer of 10,000
// services has 100,000 series, and its control thread does nothing else meanwhile.
std::string RenderPrometheus(const std::vector<const Metrics*>& workers);

}  // namespace fairlead
