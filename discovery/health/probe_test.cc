// Looks at real sockets, under both kernel proactors.
#include "discovery/health/probe.h"

#include <gmock/gmock.h>

#include "base/http/peer_test_util.h"

namespace fairlead::health {
namespace {

using discovery::CheckKind;
using discovery::HealthCheck;

class Probing : public http::OnProactor {
 protected:
  static io::Task<void> Answer1(io::Listener& listener, std::string reply, std::string* asked) {
    io::IoResult fd = co_await listener.Accept();
    if (!fd.ok()) co_return;
    io::Stream stream(listener.proactor(), fd.value());
    *asked = co_await ReadUntil(stream, "\r\n\r\n");
    if (!reply.empty()) (void)co_await stream.Send(reply);
    co_await ReadUntil(stream, std::string(1, '\0') + "never");
  }
  ProbeOutcome LookAt(std::string reply, HealthCheck check) {
    io::Listener listener = Listen();
    group().Spawn(Answer1(listener, std::move(reply), &asked_));
    ProbeOutcome outcome = Run(Probe(proactor(), listener.address(), std::move(check)));
    EXPECT_TRUE(Until([this] { return group().live() == 0; }));
    return outcome;
  }
  std::string asked_;
};
INSTANTIATE_TEST_SUITE_P(, Probing, testing::Values(io::IoBackend::kEpoll, io::IoBackend::kUring), http::IoBackendName);

TEST_P(Probing, AnOpenPortIsGood) {
  EXPECT_EQ(LookAt("", {.kind = CheckKind::kTcp}).answer, Answer::kGood);
  EXPECT_EQ(asked_, "|broken") << "nothing was said that a server could log";
}

TEST_P(Probing, AClosedPortRefuses) {
  io::Listener listener = Listen();
  SocketAddress address = listener.address();
  listener = Listen();  // another port: the first is closed
  ProbeOutcome outcome = Run(Probe(proactor(), address, {.kind = CheckKind::kTcp}));
  EXPECT_EQ(outcome.answer, Answer::kRefused);
  EXPECT_EQ(outcome.reason, "connection refused");
}

TEST_P(Probing, HttpIsGoodFrom200To399) {
  HealthCheck check{.kind = CheckKind::kHttp, .target = "/healthz?deep=1", .host = "shop.example"};
  EXPECT_EQ(LookAt("HTTP/1.1 204 No Content\r\n\r\n", check).answer, Answer::kGood);
  EXPECT_THAT(asked_, testing::StartsWith("GET /healthz?deep=1 HTTP/1.1\r\nHost: shop.example\r\n"));
  EXPECT_EQ(LookAt("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", check).answer, Answer::kGood);
  ProbeOutcome outcome = LookAt("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100000\r\n\r\n", check);
  EXPECT_EQ(outcome.answer, Answer::kBad);
  EXPECT_EQ(outcome.reason, "HTTP 503");
}

TEST_P(Probing, AnApplicationThatHangsIsBad) {
  ProbeOutcome outcome = LookAt("", {.kind = CheckKind::kHttp, .timeout = 30 * kMillisecond});
  EXPECT_EQ(outcome.answer, Answer::kBad);
  EXPECT_EQ(outcome.reason, "no HTTP answer within 30ms");
}

TEST_P(Probing, WhatIsNoHttpIsBad) {
  EXPECT_EQ(LookAt("SSH-2.0-OpenSSH_9.2\r\n\r\n", {.kind = CheckKind::kHttp}).answer, Answer::kBad);
}

io::Task<void> AnswerAtOnce(io::Listener& listener, std::string reply) {
  io::IoResult fd = co_await listener.Accept();
  if (!fd.ok()) co_return;
  io::Stream stream(listener.proactor(), fd.value());
  (void)co_await stream.Send(reply);
  for (io::IoResult received = io::IoResult::Ok(1); received.ok() && !received.is_end();) {
    received = co_await stream.Receive();
    if (received.ok() && !received.is_end()) (void)stream.Take();
  }
}

TEST_P(Probing, WhatIsNoHttp2IsBadForGrpc) {
  io::Listener listener = Listen();
  group().Spawn(AnswerAtOnce(listener, "HTTP/1.1 400 Bad Request\r\n\r\n"));
  ProbeOutcome outcome = Run(Probe(proactor(), listener.address(), {.kind = CheckKind::kGrpc, .timeout = 20 * kSecond}));
  EXPECT_TRUE(Until([this] { return group().live() == 0; }));
  EXPECT_EQ(outcome.answer, Answer::kBad);
  EXPECT_THAT(outcome.reason, testing::StartsWith("gRPC: "));
}

}  // namespace
}  // namespace fairlead::health
