// Looks at real sockets, under both kernel proactors.
#include "discovery/health/probe.h"

#include <gmock/gmock.h>

#include "base/http/peer_test_util.h"
#include "base/tls/certificate_fixture.h"
#include "base/tls/handshake.h"

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

// A server of TLS with a certificate of nobody's.
class ProbingTls : public Probing {
 protected:
  ProbingTls() {
    const tls::CertificateFiles files = folder_.Issue("web", {"web.test"});
    tls::ServerOptions options;
    options.certificates = {{files.cert, files.key, ""}};
    options.alpn = {"h2", "http/1.1"};
    context_ = *tls::TlsContext::Server(options);
  }
  static io::Task<void> Serve(io::Listener& listener, ProbingTls* test, std::string reply) {
    io::IoResult fd = co_await listener.Accept();
    if (!fd.ok()) co_return;
    io::Stream stream(listener.proactor(), fd.value());
    auto facts = co_await tls::Handshake(stream, test->context_, kNever);
    if (!facts.ok()) co_return;
    test->spoken_ = facts->alpn;
    test->asked_ = co_await ReadUntil(stream, "\r\n\r\n");
    (void)co_await stream.Send(reply);
  }
  ProbeOutcome LookByTls(std::string reply, HealthCheck check) {
    check.tls = true;
    io::Listener listener = Listen();
    group().Spawn(Serve(listener, this, std::move(reply)));
    ProbeOutcome outcome = Run(Probe(proactor(), listener.address(), std::move(check)));
    EXPECT_TRUE(Until([this] { return group().live() == 0; }));
    return outcome;
  }
  tls::CertificateFolder folder_;
  std::shared_ptr<const tls::TlsContext> context_;
  std::string spoken_;
};
INSTANTIATE_TEST_SUITE_P(, ProbingTls, testing::Values(io::IoBackend::kEpoll, io::IoBackend::kUring), http::IoBackendName);

TEST_P(ProbingTls, HttpIsAskedThroughIt) {
  const HealthCheck check{.kind = CheckKind::kHttp, .target = "/healthz", .host = "web.test:8443", .timeout = 20 * kSecond};
  EXPECT_EQ(LookByTls("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", check).answer, Answer::kGood);
  EXPECT_EQ(spoken_, "http/1.1");
  EXPECT_THAT(asked_, testing::StartsWith("GET /healthz HTTP/1.1\r\nHost: web.test:8443\r\n"));
  EXPECT_EQ(LookByTls("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", check).reason, "HTTP 500");
}

TEST_P(ProbingTls, GrpcSpeaksHttp2ThroughIt) {
  const ProbeOutcome outcome = LookByTls("HTTP/1.1 400 Bad Request\r\n\r\n", {.kind = CheckKind::kGrpc, .timeout = 20 * kSecond});
  EXPECT_EQ(spoken_, "h2");
  EXPECT_THAT(asked_, testing::StartsWith("PRI * HTTP/2.0\r\n"));
  EXPECT_THAT(outcome.reason, testing::StartsWith("gRPC: "));
}

TEST_P(ProbingTls, WhatIsNoTlsIsBadAndSaysSo) {
  io::Listener listener = Listen();
  group().Spawn(Answer1(listener, "HTTP/1.1 200 OK\r\n\r\n", &asked_));
  ProbeOutcome outcome = Run(Probe(proactor(), listener.address(), {.kind = CheckKind::kHttp, .timeout = kSecond, .tls = true}));
  group().Cancel();
  EXPECT_TRUE(Until([this] { return group().live() == 0; }));
  EXPECT_EQ(outcome.answer, Answer::kBad);
  EXPECT_THAT(outcome.reason, testing::HasSubstr("TLS"));
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
