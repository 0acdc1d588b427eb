#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace fairlead {
namespace {

using testing::AllOf;
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

TEST(Metrics, WholeNumbersAreWrittenInFull) {
  Metrics metrics;
  metrics.gauge("memory_bytes", "Memory").Set(100'000'000);
  metrics.gauge("share", "Share").Set(0.1);
  metrics.gauge("never", "Never").Set(std::numeric_limits<double>::infinity());
  metrics.counter("x_total", "X").Add(uint64_t{1} << 63);
  EXPECT_THAT(RenderPrometheus({&metrics}), AllOf(HasSubstr("memory_bytes 100000000\n"), HasSubstr("share 0.1\n"),
                                                  HasSubstr("never inf\n"), HasSubstr("x_total 9223372036854775808\n")));
}

TEST(Metrics, AMemberOfOneWorkerAloneStandsInItsPlace) {
  Metrics one, two;
  one.counter("x_total", "X", {{"service", "b"}}).Add();
  two.counter("x_total", "X", {{"service", "a"}}).Add();
  two.counter("x_total", "X", {{"service", "b"}}).Add();
  EXPECT_EQ(RenderPrometheus({&one, &two}), "# HELP x_total X\n# TYPE x_total counter\nx_total{service=\"a\"} 1\nx_total{service=\"b\"} 2\n");
}

TEST(Metrics, WhatNobodyHoldsAnyMoreIsForgottenAfterItsLastScrape) {
  Metrics metrics;
  auto gone = metrics.hold_counter("x_total", "X", {{"service", "gone"}});
  auto held = metrics.hold_counter("x_total", "X", {{"service", "held"}});
  auto last = metrics.hold_histogram("t_seconds", "Time", {{"service", "gone"}});
  metrics.hold_counter("x_total", "X", {{"service", "referred"}});
  metrics.counter("x_total", "X", {{"service", "referred"}});
  gone->Add(2);
  gone.reset();
  last.reset();
  EXPECT_THAT(RenderPrometheus({&metrics}), HasSubstr("x_total{service=\"gone\"} 2\n"));
  metrics.ForgetUnheld();
  EXPECT_EQ(RenderPrometheus({&metrics}), "# HELP x_total X\n# TYPE x_total counter\nx_total{service=\"held\"} 0\nx_total{service=\"referred\"} 0\n");
}

TEST(Metrics, WhatIsHeldAgainBeforeItIsForgottenGoesOn) {
  Metrics metrics;
  metrics.hold_counter("x_total", "X", {})->Add(2);
  auto again = metrics.hold_counter("x_total", "X", {});
  again->Add();
  metrics.ForgetUnheld();
  EXPECT_THAT(RenderPrometheus({&metrics}), HasSubstr("x_total 3\n"));
}

TEST(Metrics, HistogramCountsCumulativelyInSeconds) {
  Metrics metrics;
  DurationHistogram& h = metrics.histogram("t_seconds", "Time");
  h.Observe(1);               // below the first bound, 4.096 µs
  h.Observe(5'000);           // second bucket
  h.Observe(60'000'000'000);  // above all
  std::string text = RenderPrometheus({&metrics});
  EXPECT_THAT(text, HasSubstr("# TYPE t_seconds histogram\nt_seconds_bucket{le=\"4.096e-06\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"8.192e-06\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_sum 60.000005001\nt_seconds_count 3\n"));
  metrics.histogram("t_seconds", "Time", {{"k", "v"}}).Observe(1);
  EXPECT_THAT(RenderPrometheus({&metrics}), HasSubstr("t_seconds_bucket{k=\"v\",le=\"4.096e-06\"} 1\n"));
}

}  // namespace
}  // namespace fairlead
