#include "lb/trace_context.h"

#include <gtest/gtest.h>

#include <string>

#include "base/strings.h"
#include "lb/forward_head.h"

namespace fairlead::lb {
namespace {

constexpr char kParent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr char kIds[] = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

TEST(TraceContext, KnowsTraceparentsByLevel1) {
  struct {
    const char* why;
    std::string value;
    bool valid;
  } cases[] = {
      {"version 00", kParent, true},
      {"a later version", Cat("cc", kParent + 2), true},
      {"a later version that says more", Cat("cc", kParent + 2, "-more"), true},
      {"more without a dash", Cat("cc", kParent + 2, "x"), false},
      {"version 00 says no more", Cat(kParent, "-more"), false},
      {"version ff", Cat("ff", kParent + 2), false},
      {"upper case", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false},
      {"trace of zeros", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
      {"span of zeros", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
      {"flags of letters", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x", false},
      {"other separators", "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01", false},
      {"short", std::string(kParent).substr(0, 54), false},
      {"empty", "", false},
  };
  for (const auto& c : cases) EXPECT_EQ(IsTraceparent(c.value), c.valid) << c.why;
}

TEST(TraceContext, KnowsB3InOneField) {
  struct {
    std::string value;
    bool valid;
  } cases[] = {
      {kIds, true},
      {Cat(kIds, "-1"), true},
      {Cat(kIds, "-d-05e3ac9a4f6e3b90"), true},
      {"a3ce929d0e0e4736-00f067aa0ba902b7", true},
      {"0", true},
      {"d", true},
      {"", false},
      {"2", false},
      {Cat(kIds, "-"), false},
      {Cat(kIds, "-2"), false},
      {Cat(kIds, "-1-"), false},
      {Cat(kIds, "-1-05e3"), false},
      {"a3ce-00f067aa0ba902b7", false},
      {"0000000000000000-00f067aa0ba902b7", false},
      {"a3ce929d0e0e4736-0000000000000000", false},
  };
  for (const auto& c : cases) EXPECT_EQ(IsB3(c.value), c.valid) << c.value;
}

// What a request with these fields carries on behind Host.
std::string Carried(std::string_view fields, ForwardOptions::Trace kind) {
  ForwardOptions options = {.x_forwarded_for = ForwardOptions::For::kOff,
                            .x_forwarded_proto = ForwardOptions::Proto::kOff,
                            .x_request_id = ForwardOptions::RequestId::kOff,
                            .forwarded = false,
                            .trace = kind,
                            .via = false};
  std::string request = Cat("GET / HTTP/1.1\r\nHost: h\r\n", fields, "\r\n");
  http::RequestHead head;
  EXPECT_EQ(http::ParseRequest(request, head), http::ParseResult::kOk);
  SeededRandom random(1);
  RequestIds ids(random);
  char out[1024];
  RequestPlan plan;
  EXPECT_TRUE(PlanRequest(head, options, {"192.0.2.7", "http"}, ids, out, sizeof out, plan));
  size_t begin = sizeof "GET / HTTP/1.1\r\nHost: h\r\n" - 1;
  return {out + begin, plan.out_bytes - begin - 2};
}

TEST(TraceContext, CarriesAValidOneOnUntouched) {
  using enum ForwardOptions::Trace;
  const std::string w3c = Cat("TraceParent: ", kParent, "\r\ntracestate: a=b\r\n");
  const std::string single = Cat("b3: ", kIds, "\r\n");
  const std::string multiple =
      "X-B3-TraceId: a3ce929d0e0e4736\r\nX-B3-SpanId: 00f067aa0ba902b7\r\nX-B3-ParentSpanId: 05e3ac9a4f6e3b90\r\nX-B3-Sampled: 0\r\n";
  EXPECT_EQ(Carried(w3c, kW3c), w3c);
  EXPECT_EQ(Carried(single, kB3), single);
  EXPECT_EQ(Carried(multiple, kB3), multiple);
  for (const std::string& fields : {w3c, single, multiple}) EXPECT_EQ(Carried(fields, kOff), fields);
  EXPECT_EQ(Carried("traceparent: broken\r\n", kOff), "traceparent: broken\r\n");
}

// The line is a valid traceparent.
void ExpectNewParent(const std::string& sent) {
  ASSERT_TRUE(sent.starts_with("traceparent: ") && sent.ends_with("\r\n")) << sent;
  EXPECT_TRUE(IsTraceparent(std::string_view(sent).substr(13, sent.size() - 15))) << sent;
}

TEST(TraceContext, BeginsATraceInPlaceOfNoneOrABrokenOne) {
  using enum ForwardOptions::Trace;
  ExpectNewParent(Carried("", kW3c));
  ExpectNewParent(Carried("traceparent: broken\r\ntracestate: a=b\r\n", kW3c));
  ExpectNewParent(Carried(Cat("traceparent: ", kParent, "\r\ntraceparent: ", kParent, "\r\n"), kW3c));
  ExpectNewParent(Carried(Cat("Connection: traceparent\r\ntraceparent: ", kParent, "\r\n"), kW3c));
  std::string b3 = Carried("X-B3-TraceId: 1\r\nX-B3-SpanId: 2\r\nX-B3-Sampled: 1\r\n", kB3);
  EXPECT_TRUE(b3.starts_with("X-B3-Sampled: 1\r\nX-B3-TraceId: ")) << b3;
  http::RequestHead head;
  std::string again = Cat("GET / HTTP/1.1\r\nHost: h\r\n", b3, "\r\n");
  ASSERT_EQ(http::ParseRequest(again, head), http::ParseResult::kOk);
  EXPECT_TRUE(CarriesTrace(head, kB3));
}

}  // namespace
}  // namespace fairlead::lb
