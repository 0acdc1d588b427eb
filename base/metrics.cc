#include "base/metrics.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>

namespace fairlead {
namespace {

std::string TextOf(const MetricLabels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    if (!text.empty()) text += ',';
    text.append(name).append("=\"");
    for (const char c : value) {
      if (c == '\\' || c == '"') text += '\\';
      if (c == '\n') {
        text += "\\n";
      } else {
        text += c;
      }
    }
    text += '"';
  }
  return text;
}

template <class Number>
void AppendDigits(std::string& text, Number value) {
  std::array<char, 32> digits;
  text.append(digits.data(), std::to_chars(digits.begin(), digits.end(), value).ptr);
}

void Append(std::string& text, uint64_t value) { AppendDigits(text, value); }

// Whole numbers as such: shorter texts than 1e+05 are not what people search for.
void Append(std::string& text, double value) {
  constexpr double kAllExact = 1ull << 53;
  if (std::trunc(value) == value && std::abs(value) < kAllExact) return AppendDigits(text, static_cast<int64_t>(value));
  AppendDigits(text, value);
}

struct CounterSum {
  uint64_t value = 0;
  void Add(const Counter& counter) { value += counter.value(); }
};
struct GaugeSum {
  double value = 0;
  void Add(const Gauge& gauge) { value += gauge.value(); }
};
struct HistogramSum {
  std::array<uint64_t, DurationHistogram::kBuckets + 1> buckets{};
  uint64_t sum_ns = 0;
  void Add(const DurationHistogram& histogram) {
    for (size_t i = 0; i < buckets.size(); i++) buckets[i] += histogram.bucket(static_cast<int>(i));
    sum_ns += histogram.sum_ns();
  }
};

}  // namespace

void DurationHistogram::Observe(int64_t nanos) {
  auto n = static_cast<uint64_t>(std::max<int64_t>(nanos, 0));
  int bit = std::bit_width(n);  // smallest b with n < 2^b
  bucket_[std::clamp(bit - kFirstBit, 0, kBuckets)].Add();
  sum_ns_.Add(n);
}

template <class T>
std::shared_ptr<T> Metrics::Get(Families<T>& families, std::string_view name, std::string_view help, const MetricLabels& labels,
                                bool stays) {
  std::lock_guard lock(mutex_);
  Family<T>& family = families[std::string(name)];
  family.help = help;
  Member<T>& member = family.members[TextOf(labels)];
  member.stays |= stays;
  return member.metric;
}

Counter& Metrics::counter(std::string_view name, std::string_view help, const MetricLabels& labels) {
  return *Get(counters_, name, help, labels, /*stays=*/true);
}
Gauge& Metrics::gauge(std::string_view name, std::string_view help, const MetricLabels& labels) {
  return *Get(gauges_, name, help, labels, /*stays=*/true);
}
DurationHistogram& Metrics::histogram(std::string_view name, std::string_view help, const MetricLabels& labels) {
  return *Get(histograms_, name, help, labels, /*stays=*/true);
}
std::shared_ptr<Counter> Metrics::hold_counter(std::string_view name, std::string_view help, const MetricLabels& labels) {
  return Get(counters_, name, help, labels, /*stays=*/false);
}
std::shared_ptr<Gauge> Metrics::hold_gauge(std::string_view name, std::string_view help, const MetricLabels& labels) {
  return Get(gauges_, name, help, labels, /*stays=*/false);
}
std::shared_ptr<DurationHistogram> Metrics::hold_histogram(std::string_view name, std::string_view help, const MetricLabels& labels) {
  return Get(histograms_, name, help, labels, /*stays=*/false);
}

void Metrics::ForgetUnheld() {
  std::lock_guard lock(mutex_);  // nobody takes hold meanwhile
  auto forget = [](auto& families) {
    for (auto& [name, family] : families)
      std::erase_if(family.members, [](const auto& member) { return !member.second.stays && member.second.metric.use_count() == 1; });
    std::erase_if(families, [](const auto& family) { return family.second.members.empty(); });
  };
  forget(counters_);
  forget(gauges_);
  forget(histograms_);
}

class PrometheusText {
 public:
  explicit PrometheusText(const std::vector<const Metrics*>& workers) : workers_(workers) {}

  std::string Render() && {
    AddFamilies<CounterSum>("counter", &Metrics::counters_);
    AddFamilies<GaugeSum>("gauge", &Metrics::gauges_);
    AddFamilies<HistogramSum>("histogram", &Metrics::histograms_);
    return std::move(text_);
  }

 private:
  template <class Sum>
  struct SummedFamily {
    std::string_view help;
    std::map<std::string_view, Sum> members;
  };

  // The texts stay where they are, and what they are, once their maps are unlocked: ForgetUnheld() is this thread's.
  template <class Sum, class T>
  void AddFamilies(std::string_view type, Metrics::Families<T> Metrics::* families) {
    std::map<std::string_view, SummedFamily<Sum>> all;
    for (const Metrics* worker : workers_) {
      std::lock_guard lock(worker->mutex_);
      for (const auto& [name, family] : worker->*families) {
        SummedFamily<Sum>& summed = all[name];
        summed.help = family.help;
        for (const auto& [labels, member] : family.members)
          summed.members.try_emplace(summed.members.end(), labels)->second.Add(*member.metric);
      }
    }
    for (const auto& [name, family] : all) {
      text_.append("# HELP ").append(name).append(" ").append(family.help);
      text_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
      for (const auto& [labels, sum] : family.members) AddMember(name, labels, sum);
    }
  }

  void AddMember(std::string_view name, std::string_view labels, const CounterSum& sum) { AddLine(name, "", labels, "", sum.value); }
  void AddMember(std::string_view name, std::string_view labels, const GaugeSum& sum) { AddLine(name, "", labels, "", sum.value); }
  void AddMember(std::string_view name, std::string_view labels, const HistogramSum& sum) {
    uint64_t count = 0;
    for (size_t i = 0; i < sum.buckets.size(); i++) {
      count += sum.buckets[i];
      std::string bound = "le=\"";
      if (i < DurationHistogram::kBuckets) {
        Append(bound, static_cast<double>(uint64_t{1} << (DurationHistogram::kFirstBit + i)) / 1e9);
      } else {
        bound += "+Inf";
      }
      bound += '"';
      AddLine(name, "_bucket", labels, bound, count);
    }
    AddLine(name, "_sum", labels, "", static_cast<double>(sum.sum_ns) / 1e9);
    AddLine(name, "_count", labels, "", count);
  }

  template <class Number>
  void AddLine(std::string_view name, std::string_view suffix, std::string_view labels, std::string_view bound, Number value) {
    text_.append(name).append(suffix);
    if (!labels.empty() || !bound.empty()) {
      text_ += '{';
      text_.append(labels);
      if (!labels.empty() && !bound.empty()) text_ += ',';
      text_.append(bound);
      text_ += '}';
    }
    text_ += ' ';
    Append(text_, value);
    text_ += '\n';
  }

  const std::vector<const Metrics*>& workers_;
  std::string text_;
};

std::string RenderPrometheus(const std::vector<const Metrics*>& workers) { return PrometheusText(workers).Render(); }

}  // namespace fairlead
