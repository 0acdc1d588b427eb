#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead {
namespace {

using testing::HasSubstr;

TEST(Metrics, GivesTheSameCounterForTheSameNameAndLabels) {
  Metrics metrics;
  Counter& a = metrics.counter("x_total", "help", {{"k", "1"}});
  EXPECT_EQ(&a, &metrics.counter("x_total", "help", {{"k", "1"}}));
  EXPECT_NE(&a, &metrics.counter("x_total", "help", {{"k", "2"}}));
}

TEST(Metrics, AddsUpTheWorkers) {
  Metrics one, two;
  one.counter("requests_total", "Requests").Add(2);
  two.counter("requests_total", "Requests").Add(3);
  two.gauge("open", "Open").Set(1.5);
  std::string text = RenderPrometheus({&one, &two});
  EXPECT_THAT(text, HasSubstr("# HELP requests_total Requests\n# TYPE requests_total counter\nrequests_total 5\n"));
  EXPECT_THAT(text, HasSubstr("open 1.5\n"));
}

TEST(Metrics, EscapesLabelValues) {
  Metrics metrics;
  metrics.counter("x_total", "help", {{"path", "a\"b\\c\nd"}}).Add();
  EXPECT_THAT(RenderPrometheus({&metrics}), HasSubstr("x_total{path=\"a\\\"b\\\\c\\nd\"} 1"));
}

TEST(Metrics, HistogramCountsCumulativelyInSeconds) {
  Metrics metrics;
  DurationHistogram& h = metrics.histogram("t_seconds", "Time");
  h.Observe(1);               // below the first bound, 4.096 µs
  h.Observe(5'000);           // second bucket
  h.Observe(60'000'000'000);  // above all
  std::string text = RenderPrometheus({&metrics});
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"4.096e-06\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"8.192000000000001e-06\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_count 3\n"));
}

}  // namespace
}  // namespace fairlead
