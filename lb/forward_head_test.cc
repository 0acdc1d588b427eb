#include "lb/forward_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/strings.h"
#include "lb/message_tables.h"

namespace fairlead::lb {
namespace {

// The request as a backend gets it; "" when it was refused. The request id is made from a seed and cut off.
std::string Forwarded(std::string_view request, RequestPlan* plan_out = nullptr, ForwardOptions options = {},
                      ClientText client = {"192.0.2.7", "http"}) {
  static http::RequestHead head;
  if (http::ParseRequest(request, head) != http::ParseResult::kOk) return "";
  auto [plan, text] = Send(head, options, client);
  if (plan_out != nullptr) *plan_out = plan;
  if (size_t id = text.find("X-Request-Id: "); id != text.npos && (head.seen & http::FieldBit(http::FieldId::kXRequestId)) == 0) {
    EXPECT_EQ(text.find("\r\n", id) - id, 14u + 32u);
    text.erase(id, 14 + 32 + 2);
  }
  return text;
}

TEST(ForwardRequest, AddsTheClientAndKeepsEverythingElseByteForByte) {
  EXPECT_EQ(Forwarded("GET /a%20b?x=\xC3\xA4 HTTP/1.1\r\nHost: h\r\nX-Odd:   v \t\r\nAccept: */*\r\n\r\n"),
            "GET /a%20b?x=\xC3\xA4 HTTP/1.1\r\nHost: h\r\nX-Odd:   v \t\r\nAccept: */*\r\n"
            "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nVia: 1.1 fairlead\r\n\r\n");
}

TEST(ForwardRequest, RemovesHopByHopFieldsAndWhatConnectionLists) {
  EXPECT_EQ(Forwarded("GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: 5\r\n"
                      "TE: gzip\r\nUpgrade: websocket\r\nAccept: a\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: h\r\nAccept: a\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nVia: 1.1 fairlead\r\n\r\n");
}

TEST(ForwardRequest, AppendsToForwardedForOfAllLinesAndReplacesForwardedProto) {
  EXPECT_EQ(Forwarded("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
                      "X-Forwarded-For: 2.2.2.2\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.7\r\nX-Forwarded-Proto: http\r\nVia: 1.1 fairlead\r\n\r\n");
}

TEST(ForwardRequest, AForwardedForThatConnectionListsCannotHideTheClient) {
  EXPECT_EQ(Forwarded("GET / HTTP/1.1\r\nHost: h\r\nConnection: X-Forwarded-For\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nVia: 1.1 fairlead\r\n\r\n");
}

TEST(ForwardRequest, KeepsARequestIdThatTheClientSent) {
  EXPECT_NE(Forwarded("GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: abc\r\n\r\n").find("X-Request-Id: abc\r\n"),
            std::string::npos);
}

TEST(ForwardRequest, TurnsAbsoluteFormAndHttp10IntoOriginFormOfHttp11) {
  EXPECT_EQ(Forwarded("GET http://real.example/p HTTP/1.0\r\nHost: other\r\n\r\n"),
            "GET /p HTTP/1.1\r\nHost: real.example\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nVia: 1.0 fairlead\r\n\r\n");
}

// --- what each rule makes of a request: its field lines besides Host in, those that differ from the plain ones out

struct Rule {
  const char* name;
  const char* line;    // without its line end
  const char* fields;
  const char* sent;    // request line and fields behind Host
};

TEST(ForwardRequest, KeepsTheRulesForIntermediaries) {
  const Rule rules[] = {
      {"9110 7.6.1: close and keep-alive end here", "GET / HTTP/1.1", "Connection: close\r\nKeep-Alive: x\r\n", ""},
      {"9110 7.6.1: what Connection lists ends here", "GET / HTTP/1.1", "Connection: x-a,X-B\r\nX-A: 1\r\nx-b: 2\r\nX-C: 3\r\n",
       "X-C: 3\r\n"},
      {"9110 7.6.1: on every Connection line", "GET / HTTP/1.1", "X-A: 1\r\nConnection: y\r\nConnection: X-A\r\n", ""},
      {"9110 7.6.1: Proxy-Connection ends here", "GET / HTTP/1.1", "Proxy-Connection: keep-alive\r\n", ""},
      {"framing cannot be listed away", "POST / HTTP/1.1", "Connection: Content-Length\r\nContent-Length: 3\r\n",
       "Content-Length: 3\r\n"},
      {"nor can Host", "GET / HTTP/1.1", "Connection: Host\r\n", ""},
      {"nor can Transfer-Encoding", "POST / HTTP/1.1", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
       "Transfer-Encoding: chunked\r\n"},
      {"9110 8.6: one of two equal lengths goes on", "POST / HTTP/1.1", "Content-Length: 3\r\nContent-Length: 3\r\n",
       "Content-Length: 3\r\n"},
      {"9110 10.1.4: trailers are welcome", "GET / HTTP/1.1", "TE: trailers\r\nConnection: TE\r\n",
       "TE: trailers\r\nConnection: TE\r\n"},
      {"9110 10.1.4: among codings that end here", "GET / HTTP/1.1", "TE: gzip;q=0.5, Trailers\r\n",
       "TE: trailers\r\nConnection: TE\r\n"},
      {"9110 10.1.4: other codings alone", "GET / HTTP/1.1", "TE: deflate\r\n", ""},
      {"9110 7.8: an upgrade is asked for again", "GET / HTTP/1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
       "Upgrade: websocket\r\nConnection: upgrade\r\n"},
      {"9110 7.8: several protocols on several lines", "GET / HTTP/1.1",
       "Upgrade: a/1\r\nConnection: upgrade, TE\r\nUpgrade: ,b\r\nTE: trailers\r\n",
       "TE: trailers\r\nUpgrade: a/1, b\r\nConnection: TE, upgrade\r\n"},
      {"9110 7.8: not without the word in Connection", "GET / HTTP/1.1", "Upgrade: websocket\r\n", ""},
      {"9110 7.8: not of HTTP/1.0", "GET / HTTP/1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", ""},
      {"not without a protocol", "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: ,\r\n", ""},
      {"not to h2c, which would hide requests", "GET / HTTP/1.1",
       "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", ""},
      {"not to another HTTP or TLS", "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: HTTP/2.0, TLS/1.2, H2c, x\r\n",
       "Upgrade: x\r\nConnection: upgrade\r\n"},
      {"not together with a body (CVE-2026-2833)", "POST / HTTP/1.1",
       "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n", "Content-Length: 3\r\n"},
      {"an empty body is none", "POST / HTTP/1.1", "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n",
       "Content-Length: 0\r\nUpgrade: x\r\nConnection: upgrade\r\n"},
      {"9110 10.1.1: Expect goes on", "POST / HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 3\r\n",
       "Expect: 100-continue\r\nContent-Length: 3\r\n"},
      {"9110 10.1.1: Expect of HTTP/1.0 does not", "POST / HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 3\r\n",
       "Content-Length: 3\r\n"},
      {"9110 7.6.2: Max-Forwards counts down for OPTIONS", "OPTIONS * HTTP/1.1", "Max-Forwards: 10\r\n", "Max-Forwards: 9\r\n"},
      {"9110 7.6.2: and for TRACE", "TRACE / HTTP/1.1", "max-forwards: 1\r\nX: y\r\n", "X: y\r\nMax-Forwards: 0\r\n"},
      {"9110 7.6.2: one that is too large", "TRACE / HTTP/1.1", "Max-Forwards: 99999999999999999999\r\n",
       "Max-Forwards: 999999998\r\n"},
      {"9110 7.6.2: for other methods it is a field like others", "GET / HTTP/1.1", "Max-Forwards: 0\r\n", "Max-Forwards: 0\r\n"},
      {"no count is left alone", "OPTIONS / HTTP/1.1", "Max-Forwards: many\r\n", "Max-Forwards: many\r\n"},
      {"the smallest of several counts", "OPTIONS / HTTP/1.1", "Max-Forwards: 7\r\nMax-Forwards: 3\r\n", "Max-Forwards: 2\r\n"},
      {"Via of earlier proxies stays", "GET / HTTP/1.1", "Via: 1.0 a, 1.1 b\r\n", "Via: 1.0 a, 1.1 b\r\n"},
      {"Trailer goes on", "POST / HTTP/1.1", "Trailer: X\r\nTransfer-Encoding: chunked\r\n",
       "Trailer: X\r\nTransfer-Encoding: chunked\r\n"},
  };
  for (const Rule& rule : rules) {
    std::string line = rule.line;
    std::string sent_line = line.substr(0, line.rfind(' ')) + " HTTP/1.1";
    EXPECT_EQ(Forwarded(Cat(line, "\r\nHost: h\r\n", rule.fields, "\r\n"), nullptr, kNothingAdded),
              Cat(sent_line, "\r\nHost: h\r\n", rule.sent, "\r\n"))
        << rule.name;
  }
}

TEST(ForwardRequest, TellsTheSessionOfAnUpgrade) {
  RequestPlan plan;
  Forwarded("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", &plan);
  EXPECT_FALSE(plan.protocols.empty());
  Forwarded("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", &plan);
  EXPECT_TRUE(plan.protocols.empty());
}

TEST(ForwardRequest, AnswersItselfWhereMaxForwardsIsUsedUp) {
  RequestPlan plan;
  Forwarded("OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n", &plan);
  EXPECT_EQ(plan.answer, 200);
  Forwarded("TRACE / HTTP/1.1\r\nHost: h\r\nConnection: Max-Forwards\r\nMax-Forwards: 00\r\n\r\n", &plan);
  EXPECT_EQ(plan.answer, 501);
  Forwarded("OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 1\r\n\r\n", &plan);
  EXPECT_EQ(plan.answer, 0);
  Forwarded("GET / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n", &plan);
  EXPECT_EQ(plan.answer, 0);
}

// The fields behind Host that are sent with these options for these that came.
std::string Told(std::string_view fields, ForwardOptions options, ClientText client = {"192.0.2.7", "http"}) {
  std::string sent = Forwarded(Cat("GET / HTTP/1.1\r\nHost: h\r\n", fields, "\r\n"), nullptr, options, client);
  size_t begin = sent.find("Host: h\r\n") + 9;
  return sent.substr(begin, sent.size() - 2 - begin);
}

TEST(ForwardOptionsTest, ForwardedForIsAppendedSetOrLeft) {
  ForwardOptions options = kNothingAdded;
  EXPECT_EQ(Told("X-Forwarded-For: 1.1.1.1\r\n", options), "X-Forwarded-For: 1.1.1.1\r\n");
  EXPECT_EQ(Told("", options), "");
  options.x_forwarded_for = ForwardOptions::For::kAppend;
  EXPECT_EQ(Told("X-Forwarded-For: 1.1.1.1\r\n", options), "X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n");
  options.x_forwarded_for = ForwardOptions::For::kSet;
  EXPECT_EQ(Told("X-Forwarded-For: 1.1.1.1\r\n", options), "X-Forwarded-For: 192.0.2.7\r\n");
}

TEST(ForwardOptionsTest, ForwardedProtoIsSetKeptOrLeft) {
  ForwardOptions options = kNothingAdded;
  EXPECT_EQ(Told("X-Forwarded-Proto: https\r\n", options), "X-Forwarded-Proto: https\r\n");
  options.x_forwarded_proto = ForwardOptions::Proto::kSet;
  EXPECT_EQ(Told("X-Forwarded-Proto: https\r\n", options), "X-Forwarded-Proto: http\r\n");
  options.x_forwarded_proto = ForwardOptions::Proto::kKeep;
  EXPECT_EQ(Told("X-Forwarded-Proto: https\r\n", options), "X-Forwarded-Proto: https\r\n");
  EXPECT_EQ(Told("", options), "X-Forwarded-Proto: http\r\n");
  EXPECT_EQ(Told("X-Forwarded-Proto:\r\n", options), "X-Forwarded-Proto: http\r\n");
  EXPECT_EQ(Told("Connection: x-forwarded-proto\r\nX-Forwarded-Proto: https\r\n", options), "X-Forwarded-Proto: http\r\n");
}

TEST(ForwardOptionsTest, RequestIdIsKeptCreatedOrLeft) {
  // The raw text of the request as it is sent, its id with it.
  auto sent = [](const char* fields, ForwardOptions::RequestId mode) {
    http::RequestHead head;
    std::string request = Cat("GET / HTTP/1.1\r\nHost: h\r\n", fields, "\r\n");
    EXPECT_EQ(http::ParseRequest(request, head), http::ParseResult::kOk);
    SeededRandom random(1);
    RequestIds ids(random);
    ForwardOptions options = kNothingAdded;
    options.x_request_id = mode;
    char out[1024];
    RequestPlan plan;
    EXPECT_TRUE(PlanRequest(head, options, {"192.0.2.7", "http"}, ids, out, sizeof out, plan));
    std::string text(out, plan.out_bytes);
    size_t id = text.find("X-Request-Id: ");
    return id == text.npos ? std::string() : text.substr(id + 14, text.find("\r\n", id) - id - 14);
  };
  using enum ForwardOptions::RequestId;
  EXPECT_EQ(sent("X-Request-Id: abc\r\n", kOff), "abc");
  EXPECT_EQ(sent("", kOff), "");
  EXPECT_EQ(sent("X-Request-Id: abc\r\n", kKeepOrCreate), "abc");
  EXPECT_EQ(sent("", kKeepOrCreate).size(), 32u);
  EXPECT_EQ(sent("X-Request-Id:\r\n", kKeepOrCreate).size(), 32u);
  EXPECT_EQ(sent("Connection: X-Request-Id\r\nX-Request-Id: abc\r\n", kKeepOrCreate).size(), 32u);
  EXPECT_EQ(sent("X-Request-Id: abc\r\n", kCreate).size(), 32u);
}

TEST(ForwardOptionsTest, ForwardedOfRfc7239QuotesIpv6) {
  ForwardOptions options = kNothingAdded;
  EXPECT_EQ(Told("Forwarded: for=_x\r\n", options), "Forwarded: for=_x\r\n");
  options.forwarded = true;
  EXPECT_EQ(Told("", options), "Forwarded: for=192.0.2.7;proto=http\r\n");
  EXPECT_EQ(Told("Forwarded: for=_x\r\n", options, {"2001:db8::1", "https"}),
            "Forwarded: for=_x\r\nForwarded: for=\"[2001:db8::1]\";proto=https\r\n");
}

TEST(ForwardOptionsTest, ViaNamesTheVersionThatCame) {
  ForwardOptions options = kNothingAdded;
  options.via = true;
  EXPECT_EQ(Told("Via: 1.1 a\r\nX: y\r\n", options), "Via: 1.1 a\r\nX: y\r\nVia: 1.1 fairlead\r\n");
  EXPECT_EQ(Forwarded("GET / HTTP/1.0\r\nHost: h\r\n\r\n", nullptr, options),
            "GET / HTTP/1.1\r\nHost: h\r\nVia: 1.0 fairlead\r\n\r\n");
}

TEST(ForwardOptionsTest, EverythingAddedAtItsLongestFits) {
  ForwardOptions options;
  options.forwarded = true;
  options.trace = ForwardOptions::Trace::kB3;
  std::string ip = "2001:0db8:aaaa:bbbb:cccc:dddd:192.168.100.100";
  std::string request = "GET http://h?x HTTP/1.1\r\nHost: h\r\nConnection: TE,upgrade\r\nTE: trailers\r\nUpgrade: x\r\n\r\n";
  http::RequestHead head;
  ASSERT_EQ(http::ParseRequest(request, head), http::ParseResult::kOk);
  SeededRandom random(1);
  RequestIds ids(random);
  std::string out(request.size() + head.host.size() + ip.size() + kAddedBytes, '\0');
  RequestPlan plan;
  EXPECT_TRUE(PlanRequest(head, options, {ip, "https"}, ids, out.data(), out.size(), plan));
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

TEST(ForwardResponse, PassesASwitchOfProtocolsThatWasAskedFor) {
  RequestPlan request = KeepAliveGet();
  std::string answer =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";
  EXPECT_EQ(Answered(answer, request), "too large") << "nobody asked";
  request.protocols = "chat/2, websocket";
  ResponsePlan plan;
  EXPECT_EQ(Answered(answer, request, &plan),
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
  EXPECT_TRUE(plan.upgrade);
  EXPECT_FALSE(plan.interim || plan.client_keep_alive || plan.backend_keep_alive);
  EXPECT_EQ(Answered("HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n", request), "too large") << "no protocol";
  EXPECT_EQ(Answered("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", request), "too large") << "not this connection's";
  EXPECT_EQ(Answered("HTTP/1.0 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", request), "too large") << "HTTP/1.0";
  EXPECT_EQ(Answered("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n", request), "too large") << "another";
  EXPECT_EQ(Answered("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: WebSocket, h2c\r\n\r\n", request), "too large")
      << "one that nobody asked for, besides";
  EXPECT_THAT(Answered("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n", request),
              testing::StartsWith("HTTP/1.1 101"));
}

TEST(ForwardResponse, AnUpgradeMayBeDeclined) {
  RequestPlan request = KeepAliveGet();
  request.protocols = "chat/2, websocket";
  ResponsePlan plan;
  EXPECT_EQ(Answered("HTTP/1.1 200 OK\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n", request, &plan),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(!plan.upgrade && plan.client_keep_alive);
}

TEST(ForwardResponse, NamesTheProtocolsThatAreRequired) {
  EXPECT_EQ(Answered("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
                     KeepAliveGet()),
            "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
}

TEST(ForwardResponse, TakesAwayABodyThatCannotBe) {
  ResponsePlan plan;
  EXPECT_EQ(Answered("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX: y\r\n\r\n", KeepAliveGet(), &plan),
            "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n");
  EXPECT_TRUE(plan.client_keep_alive);
  EXPECT_FALSE(plan.backend_keep_alive) << "the body may come all the same";
  EXPECT_EQ(Answered("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", KeepAliveGet()),
            "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(Answered("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", KeepAliveGet()),
            "HTTP/1.1 103 Early Hints\r\n\r\n");
  std::string not_modified = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
  EXPECT_EQ(Answered(not_modified, KeepAliveGet()), not_modified) << "the length of what was not sent (RFC 9110 8.6)";
}

TEST(ForwardResponse, SaysNoCodingToHttp10EvenForHead) {
  RequestPlan request = KeepAliveGet();
  request.http10 = request.is_head = true;
  EXPECT_EQ(Answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n", request),
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
}

TEST(ForwardResponse, EndsFieldsThatConnectionListsButNoFraming) {
  EXPECT_EQ(Answered("HTTP/1.1 200 OK\r\nConnection: X-A, Content-Length\r\nX-A: 1\r\nContent-Length: 0\r\n"
                     "Content-Length: 0\r\nProxy-Connection: x\r\n\r\n", KeepAliveGet()),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

TEST(ForwardResponse, AnInterimAnswerSaysNothingOfTheConnection) {
  ResponsePlan plan;
  EXPECT_EQ(Answered("HTTP/1.1 100 Continue\r\n\r\n", KeepAliveGet(), &plan, true), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_TRUE(plan.interim);
}

}  // namespace
}  // namespace fairlead::lb
