#include "lb/forward_head.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::lb {
namespace {

// The request as a backend gets it; "" when it was refused. The request id is made from a seed and cut off.
std::string Forwarded(std::string_view request, RequestPlan* plan_out = nullptr) {
  static http::RequestHead head;
  if (http::ParseRequest(request, head) != http::ParseResult::kOk) return "";
  SeededRandom random(1);
  RequestIds ids(random);
  char out[4096];
  RequestPlan plan;
  if (!PlanRequest(head, "192.0.2.7", "http", ids, out, sizeof out, plan)) return "";
  if (plan_out != nullptr) *plan_out = plan;
  std::string text(out, plan.out_bytes);
  if (size_t id = text.find("X-Request-Id: "); id != text.npos && (head.seen & http::FieldBit(http::FieldId::kXRequestId)) == 0) {
    EXPECT_EQ(text.find("\r\n", id) - id, 14u + 32u);
    text.erase(id, 14 + 32 + 2);
  }
  return text;
}

TEST(ForwardRequest, AddsTheClientAndKeepsEverythingElseByteForByte) {
  EXPECT_EQ(Forwarded("GET /a%20b?x=\xC3\xA4 HTTP/1.1\r\nHost: h\r\nX-Odd:   v \t\r\nAccept: */*\r\n\r\n"),
            "GET /a%20b?x=\xC3\xA4 HTTP/1.1\r\nHost: h\r\nX-Odd:   v \t\r\nAccept: */*\r\n"
            "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\r\n");
}

TEST(ForwardRequest, RemovesHopByHopFieldsAndWhatConnectionLists) {
  EXPECT_EQ(Forwarded("GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: 5\r\n"
                      "TE: trailers\r\nUpgrade: websocket\r\nAccept: a\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: h\r\nAccept: a\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\r\n");
}

TEST(ForwardRequest, AppendsToForwardedForOfAllLinesAndReplacesForwardedProto) {
  EXPECT_EQ(Forwarded("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
                      "X-Forwarded-For: 2.2.2.2\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\r\n");
}

TEST(ForwardRequest, AForwardedForThatConnectionListsCannotHideTheClient) {
  EXPECT_EQ(Forwarded("GET / HTTP/1.1\r\nHost: h\r\nConnection: X-Forwarded-For\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\r\n");
}

TEST(ForwardRequest, KeepsARequestIdThatTheClientSent) {
  EXPECT_NE(Forwarded("GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: abc\r\n\r\n").find("X-Request-Id: abc\r\n"),
            std::string::npos);
}

TEST(ForwardRequest, TurnsAbsoluteFormAndHttp10IntoOriginFormOfHttp11) {
  EXPECT_EQ(Forwarded("GET http://real.example/p HTTP/1.0\r\nHost: other\r\n\r\n"),
            "GET /p HTTP/1.1\r\nHost: real.example\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\r\n");
}

TEST(ForwardRequest, KnowsWhatMayBeSentTwice) {
  RequestPlan plan;
  Forwarded("GET / HTTP/1.1\r\nHost: h\r\n\r\n", &plan);
  EXPECT_TRUE(plan.idempotent && !plan.has_body() && plan.keep_alive);
  Forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", &plan);
  EXPECT_TRUE(!plan.idempotent && plan.has_body());
  EXPECT_EQ(plan.body_bytes, 3);
}

std::string Answered(std::string_view response, const RequestPlan& request, ResponsePlan* plan_out = nullptr,
                     bool close_client = false) {
  static http::ResponseHead head;
  if (http::ParseResponse(response, request.is_head, head) != http::ParseResult::kOk) return "malformed";
  char out[4096];
  ResponsePlan plan;
  if (!PlanResponse(head, request, close_client, out, sizeof out, plan)) return "too large";
  if (plan_out != nullptr) *plan_out = plan;
  return plan.out_bytes == 0 ? std::string(head.text) : std::string(out, plan.out_bytes);
}

RequestPlan KeepAliveGet() {
  RequestPlan plan;
  plan.keep_alive = true;
  return plan;
}

TEST(ForwardResponse, LeavesAnAnswerWithoutHopByHopFieldsAsItCame) {
  ResponsePlan plan;
  std::string answer = "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX: y \r\n\r\n";
  EXPECT_EQ(Answered(answer, KeepAliveGet(), &plan), answer);
  EXPECT_EQ(plan.out_bytes, 0u);
  EXPECT_TRUE(plan.client_keep_alive && plan.backend_keep_alive);
}

TEST(ForwardResponse, SaysCloseToTheClientWhenTheBodyEndsWithTheConnection) {
  ResponsePlan plan;
  EXPECT_EQ(Answered("HTTP/1.0 200 OK\r\nX: y\r\n\r\n", KeepAliveGet(), &plan),
            "HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\n");
  EXPECT_FALSE(plan.client_keep_alive || plan.backend_keep_alive);
}

TEST(ForwardResponse, SaysKeepAliveToAnHttp10ClientThatAskedForIt) {
  RequestPlan request = KeepAliveGet();
  request.http10 = true;
  EXPECT_EQ(Answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", request),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

TEST(ForwardResponse, TakesTheChunkingAwayFromAnHttp10Client) {
  RequestPlan request = KeepAliveGet();
  request.http10 = true;
  ResponsePlan plan;
  EXPECT_EQ(Answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", request, &plan),
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(plan.dechunk);
}

TEST(ForwardResponse, KeepsItsOwnWordOnTheConnectionWhateverTheBackendSays) {
  ResponsePlan plan;
  EXPECT_EQ(Answered("HTTP/1.1 200 OK\r\nConnection: close, X-B\r\nX-B: 1\r\nContent-Length: 0\r\n\r\n",
                     KeepAliveGet(), &plan),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(plan.client_keep_alive);
  EXPECT_FALSE(plan.backend_keep_alive);
}

TEST(ForwardResponse, AnInterimAnswerSaysNothingOfTheConnection) {
  ResponsePlan plan;
  EXPECT_EQ(Answered("HTTP/1.1 100 Continue\r\n\r\n", KeepAliveGet(), &plan, true), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_TRUE(plan.interim);
}

}  // namespace
}  // namespace fairlead::lb
