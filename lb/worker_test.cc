// Sessions end to end over loopback sockets: a worker, scripted backends and a client on one proactor.
#include "lb/head_buffer.h"
#include "lb/route_rule.h"
#include "lb/worker_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fairlead::lb {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST_F(WorkerTest, ForwardsARequestAndItsAnswer) {
  Backend& backend = AddBackend(Answering(kOk));
  Route({backend.address()});
  EXPECT_EQ(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, "\r\n\r\nok"), kOk);
}

TEST_F(WorkerTest, ReusesTheBackendConnectionForTheNextRequest) {
  Backend& backend = AddBackend(Answering(kOk));
  Route({backend.address()});
  std::string get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(Talk({get, get, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"}),
            Cat(kOk, kOk, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"));
  EXPECT_EQ(backend.connections, 1);
}

TEST_F(WorkerTest, ServesPipelinedRequestsInOrder) {
  Backend& backend = AddBackend(Answering(kOk));
  Route({backend.address()});
  std::string get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(Talk({get + get + "GET / HTTP/1.0\r\nHost: h\r\n\r\n"}),
            Cat(kOk, kOk, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"));
}

TEST_F(WorkerTest, JoinsAHeadThatComesInPieces) {
  Backend& backend = AddBackend(Answering(kOk));
  Route({backend.address()});
  EXPECT_EQ(Talk({"GE", "T / HTTP/1.1\r\nHos", "t: h\r\n", "\r\n"}, "\r\n\r\nok"), kOk);
}

TEST_F(WorkerTest, GoesRoundTheEndpoints) {
  Backend& a = AddBackend(Answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"));
  Backend& b = AddBackend(Answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"));
  Route({a.address(), b.address()});
  std::string get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  std::string both = Talk({get, get, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"});
  EXPECT_THAT(both, HasSubstr("\r\n\r\na"));
  EXPECT_THAT(both, HasSubstr("\r\n\r\nb"));
}

TEST_F(WorkerTest, AnswersAnUnknownHostWith404AndKeepsTheConnection) {
  Route({});
  std::string answer = Talk({"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n"}, "path\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("Connection: close")));
}

TEST_F(WorkerTest, AsksRulesOfAllThatARequestSays) {
  Backend& backend = AddBackend(Answering(kOk));
  Route({backend.address()});
  auto status = [&](const std::string& rule, const std::string& request) {
    RuleBook book;
    auto placed = book.Get(rule);
    ChangeSet changes;
    for (const RulePlace& place : placed->places)
      changes.hosts.push_back({place.host, {{place.path_prefix, "web.demo", ~uint64_t{0}, 7, place.condition}}});
    worker_.Apply(changes);
    std::string answer = Talk({request + "Connection: close\r\n\r\n"});
    changes.hosts.clear();
    for (const RulePlace& place : placed->places) changes.hosts.push_back({place.host, {}});
    worker_.Apply(changes);
    return answer.substr(0, 12);
  };
  const std::string yes = "HTTP/1.1 200", no = "HTTP/1.1 404";
  const std::string get = "GET /a/b?x=1&y HTTP/1.1\r\nHost: R.example:8080\r\nX-Version: 2\r\n";
  EXPECT_EQ(status("Host(`r.example`) && Method(`GET`)", get), yes);
  EXPECT_EQ(status("Host(`r.example`) && Method(`PUT`)", get), no);
  EXPECT_EQ(status("Path(`/a/b`)", get), yes);
  EXPECT_EQ(status("PathRegexp(`b$`) && Query(`x`, `1`) && Query(`y`)", get), yes);
  EXPECT_EQ(status("Query(`x`, `2`)", get), no);
  EXPECT_EQ(status("Header(`x-version`, `2`)", get), yes);
  EXPECT_EQ(status("HeaderRegexp(`X-Version`, `[3-9]`)", get), no);
  EXPECT_EQ(status("ClientIP(`127.0.0.0/8`)", get), yes);
  EXPECT_EQ(status("!ClientIP(`127.0.0.1`)", get), no);
  EXPECT_EQ(status("Host(`abs.example`) && Path(`/`) && Query(`q`)", "GET http://abs.example?q HTTP/1.1\r\nHost: other\r\n"), yes);
  EXPECT_EQ(status("Host(`*`)", "GET / HTTP/1.0\r\n"), yes);  // even without a host
  EXPECT_EQ(status("Host(`r.example`)", "GET / HTTP/1.0\r\n"), no);
}

TEST_F(WorkerTest, AnswersAKnownServiceWithoutEndpointWith503AndRetryAfter) {
  Route({});
  std::string answer = Talk({"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"});
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(answer, HasSubstr("web.demo has no endpoint that is ready"));
}

TEST_F(WorkerTest, TriesAnotherEndpointWhenOneRefusesTheConnection) {
  SocketAddress refusing;
  {
    auto gone = *io::Listener::Open(*proactor_, *SocketAddress::Parse("127.0.0.1:0"));
    refusing = gone.address();
  }
  Backend& backend = AddBackend(Answering(kOk));
  Route({refusing, backend.address()});
  for (int i = 0; i < 4; i++)
    EXPECT_THAT(Talk({"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"}, "\r\n\r\nok"), StartsWith("HTTP/1.1 200"));
}

TEST_F(WorkerTest, SendsAGetAgainWhenAPooledConnectionHadEnded) {
  int served = 0;
  Backend& backend = AddBackend([&served](io::Proactor&, Stream stream) -> Task<void> {
    return [](Stream connection, int* count) -> Task<void> {
      co_await ReadUntil(connection, "\r\n\r\n");
      if (++*count == 2) co_return;  // the second request on this connection's sibling dies unanswered
      (void)co_await connection.Send(kOk);
      co_await ReadUntil(connection, "\r\n\r\n");  // reads the next request and closes without an answer
    }(std::move(stream), &served);
  });
  Route({backend.address()});
  std::string get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(Talk({get, get}, Cat(kOk, kOk)), Cat(kOk, kOk));
  EXPECT_GE(backend.connections, 2);
}

TEST_F(WorkerTest, NeverSendsAPostTwice) {
  int requests = 0;
  Backend& backend = AddBackend([&requests](io::Proactor&, Stream stream) -> Task<void> {
    return [](Stream connection, int* count) -> Task<void> {
      co_await ReadUntil(connection, "body");
      ++*count;
      connection.Reset();
    }(std::move(stream), &requests);
  });
  Route({backend.address(), backend.address()});
  EXPECT_THAT(Talk({"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"}, "answer\n"),
              StartsWith("HTTP/1.1 502 Bad Gateway"));
  EXPECT_EQ(requests, 1);
}

TEST_F(WorkerTest, PassesChunkedBodiesBothWays) {
  Backend& backend = AddBackend(OneShot("0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
  Route({backend.address()});
  EXPECT_THAT(Talk({"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "llo\r\n0\r\n\r\n"}, "0\r\n\r\n"),
              testing::EndsWith("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
}

TEST_F(WorkerTest, TakesChunkingOffForAnHttp10Client) {
  Backend& backend = AddBackend(OneShot("\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  Route({backend.address()});
  EXPECT_EQ(Talk({"GET / HTTP/1.0\r\nHost: h\r\n\r\n"}), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde");
}

TEST_F(WorkerTest, EndsABodyWithoutLengthByClosing) {
  Backend& backend = AddBackend(OneShot("\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nuntil the end"));
  Route({backend.address()});
  EXPECT_EQ(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
}

TEST_F(WorkerTest, PassesInterimAnswers) {
  Backend& backend = AddBackend(OneShot("\r\n\r\n", Cat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", kOk)));
  Route({backend.address()});
  EXPECT_EQ(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, "\r\n\r\nok"), Cat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", kOk));
}

TEST_F(WorkerTest, ForwardsAnAnswerThatComesBeforeTheBodyHasGone) {
  Backend& backend = AddBackend(OneShot("\r\n\r\n", "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"));
  Route({backend.address()});
  EXPECT_THAT(Talk({"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nfirst"}),
              StartsWith("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"));
}

TEST_F(WorkerTest, ResetsTheClientWhenTheBackendBreaksOffInTheBody) {
  Backend& backend = AddBackend(OneShot("\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
  Route({backend.address()});
  EXPECT_THAT(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}), HasSubstr(Cat("<error ", ECONNRESET, ">")));
}

TEST_F(WorkerTest, RefusesNonsenseFromAClientWith400) {
  Route({});
  EXPECT_THAT(Talk({"GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n"}), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(Talk({"GET / HTTP/1.1\r\n\r\n"}), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Talk({"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"}), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Talk({"GET / HTTP/3.0\r\nHost: h\r\n\r\n"}), StartsWith("HTTP/1.1 505"));
}

TEST_F(WorkerTest, AnswersNonsenseFromABackendWith502) {
  Backend& backend = AddBackend(OneShot("\r\n\r\n", "HELLO\r\n\r\n"));
  Route({backend.address()});
  EXPECT_THAT(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, "malformed answer\n"), StartsWith("HTTP/1.1 502 Bad Gateway"));
}

TEST_F(WorkerTest, MovesALargeBodyWhole) {
  std::string body(3'000'000, 'x');
  Backend& backend = AddBackend(OneShot("\r\n\r\n", Cat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body)));
  Route({backend.address()});
  std::string answer = Talk({"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"});
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, body.size());
}

TEST_F(WorkerTest, KeepsHeadsLargerThanTheirPooledBuffer) {
  std::string big(20'000, 'v');
  Backend& backend = AddBackend(OneShot("\r\n\r\n", Cat("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Big: ", big, "\r\n\r\nok")));
  Route({backend.address()});
  std::string answer = Talk({Cat("GET / HTTP/1.1\r\nHost: h\r\nCookie: ", big, "\r\n\r\n")}, "\r\n\r\nok");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, HasSubstr(big));
}

TEST_F(WorkerTest, RefusesAHeadAboveItsLimitWith431) {
  Route({});
  EXPECT_THAT(Talk({Cat("GET / HTTP/1.1\r\nHost: h\r\nCookie: ", std::string(kMaxHeadBytes + 10'000, 'v'), "\r\n\r\n")}),
              StartsWith("HTTP/1.1 431"));
}

TEST_F(WorkerTest, ClientsThatReadNothingDoNotStopTheOthers) {
  std::string body(8'000'000, 'x');
  Backend& large = AddBackend(OneShot("\r\n\r\n", Cat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body)));
  Backend& small = AddBackend(Answering(kOk));
  ChangeSet changes;
  changes.clusters.push_back({"large.demo", false, settings_, {}});
  changes.clusters.back().Add({"uid-l", "large", large.address(), 1});
  changes.clusters.push_back({"small.demo", false, settings_, {}});
  changes.clusters.back().Add({"uid-s", "small", small.address(), 1});
  changes.hosts.push_back({"large", {{"/", "large.demo"}}});
  changes.hosts.push_back({"h", {{"/", "small.demo"}}});
  worker_.Apply(changes);
  // More than there are large buffers, each asking for a body and reading none of it.
  std::vector<Stream> stuck;
  for (int i = 0; i < 100; i++) {
    bool sent = false;
    group_.Spawn([](io::Proactor* proactor, SocketAddress to, std::vector<Stream>* all, bool* done) -> Task<void> {
      auto client = co_await io::Dial(*proactor, to, proactor->Now() + kSecond);
      CHECK(client.ok());
      (void)co_await client->Send("GET / HTTP/1.1\r\nHost: large\r\n\r\n");
      all->push_back(*std::move(client));
      *done = true;
    }(proactor_.get(), worker_.address(0), &stuck, &sent));
    while (!sent) proactor_->Turn(10 * kMillisecond);
  }
  while (large.connections < 100) proactor_->Turn(10 * kMillisecond);
  for (int i = 0; i < 100; i++) proactor_->Turn(kMillisecond);  // lets every body run into its stuck client
  for (int i = 0; i < 20; i++) EXPECT_EQ(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, "\r\n\r\nok"), kOk);
  stuck.clear();
}

TEST_F(WorkerTest, ClosesIdleConnectionsOfAnEndpointThatLeft) {
  Backend& backend = AddBackend(Answering(kOk));
  Route({backend.address()});
  Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, "\r\n\r\nok");
  size_t live = group_.live();
  Route({});
  for (int i = 0; i < 20 && group_.live() == live; i++) proactor_->Turn(10 * kMillisecond);
  EXPECT_LT(group_.live(), live);  // the backend's connection task saw the end
}

TEST_F(WorkerTest, PooledConnectionWithoutAProxyHeaderIsNotUsedOnceTheServiceWantsOne) {
  Backend& backend = AddBackend(Answering(kOk));
  Route({backend.address()});
  EXPECT_EQ(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, "\r\n\r\nok"), kOk);
  settings_.proxy_header = ProxyHeader::kV1;
  Route({backend.address()});
  EXPECT_EQ(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, "\r\n\r\nok"), kOk);
  EXPECT_EQ(backend.connections, 2);
}

TEST_F(WorkerTest, ClosesAPooledConnectionThatBringsBytesNobodyAskedFor) {
  Backend& backend = AddBackend([](io::Proactor& proactor, Stream stream) -> Task<void> {
    return [](io::Proactor& loop, Stream connection) -> Task<void> {
      co_await ReadUntil(connection, "\r\n\r\n");
      (void)co_await connection.Send(kOk);
      (void)co_await io::Sleep(loop, 5 * kMillisecond);
      (void)co_await connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
      co_await ReadUntil(connection, "never");
    }(proactor, std::move(stream));
  });
  Route({backend.address()});
  std::string get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(Talk({get}, "\r\n\r\nok"), kOk);
  size_t live = group_.live();
  for (int i = 0; i < 100 && group_.live() == live; i++) proactor_->Turn(10 * kMillisecond);
  EXPECT_EQ(Talk({get}, "\r\n\r\nok"), kOk);
  EXPECT_EQ(backend.connections, 2);
}

TEST_F(WorkerTest, AnswersAHeadThatDoesNotComeToItsEndWith408) {
  listener_ = 1;
  EXPECT_THAT(Talk({"GET / HTTP/1.1\r\nHo"}), StartsWith("HTTP/1.1 408 "));
}

TEST_F(WorkerTest, EndsAConnectionThatStaysIdleWithoutAWord) {
  Backend& backend = AddBackend(Answering(kOk));
  Route({backend.address()});
  listener_ = 1;
  EXPECT_EQ(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}), kOk);
}

TEST_F(WorkerTest, AnswersABodyThatDoesNotComeWith408) {
  Backend& backend = AddBackend(OneShot("never", ""));
  Route({backend.address()});
  listener_ = 1;
  EXPECT_THAT(Talk({"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"}), StartsWith("HTTP/1.1 408 "));
}

TEST_F(WorkerTest, AnswersForASilentBackendWith504AndAsksItOnce) {
  Backend& backend = AddBackend(OneShot("never", ""));
  settings_.response = 50 * kMillisecond;
  Route({backend.address(), backend.address()});
  EXPECT_THAT(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, "in time\n"), StartsWith("HTTP/1.1 504 "));
  EXPECT_EQ(backend.connections, 1);
}

TEST_F(WorkerTest, CountsRequestsByServiceListenerAndClass) {
  Backend& backend = AddBackend(Answering(kOk));
  Route({backend.address()});
  Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, "\r\n\r\nok");
  EXPECT_THAT(RenderPrometheus({&metrics_}),
              HasSubstr("fairlead_lb_requests_total{service=\"web.demo\",listener=\"web\",code_class=\"2xx\"} 1\n"));
}

TEST_F(WorkerTest, TheSeriesOfARemovedServiceGoAfterItsLastRequest) {
  settings_.response = 50 * kMillisecond;
  Backend& backend = AddBackend(OneShot("never", ""));
  Route({backend.address()});
  ChangeSet gone;
  gone.clusters.push_back({.service = "web.demo", .removed = true, .settings = {}, .endpoints = {}});
  gone.hosts.push_back({"h", {}});
  group_.Spawn([](io::Proactor& proactor, Worker& worker, const Backend& asked, const ChangeSet& change) -> Task<void> {
    while (asked.connections == 0) (void)co_await io::Sleep(proactor, kMillisecond);
    worker.Apply(change);
  }(*proactor_, worker_, backend, gone));
  EXPECT_THAT(Talk({"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"}), StartsWith("HTTP/1.1 504 "));
  while (worker_.sessions() > 0) proactor_->Turn(kMillisecond);
  EXPECT_THAT(RenderPrometheus({&metrics_}), HasSubstr("fairlead_lb_requests_total{service=\"web.demo\",listener=\"web\",code_class=\"5xx\"} 1\n"));
  metrics_.ForgetUnheld();
  EXPECT_THAT(RenderPrometheus({&metrics_}), testing::Not(HasSubstr("web.demo")));
}

// --- limits and leniency of a listener

class LimitsTest : public WorkerTest {
 protected:
  // Talks to a listener with these settings from now on.
  void Use(ListenerSpec spec) {
    spec.name = "narrow";
    spec.bind = *SocketAddress::Parse("127.0.0.1:0");
    CHECK(worker_.Listen(spec).ok());
    listener_ = 2;
    Route({AddBackend(Answering(kOk)).address()});
  }
  uint64_t refused(const char* reason) {
    return metrics_.counter("fairlead_lb_refused_total", "Requests refused before any backend was asked",
                            {{"listener", "narrow"}, {"reason", reason}}).value();
  }
};

TEST_F(LimitsTest, EachHasItsStatusAndItsReason) {
  ListenerSpec spec;
  spec.limits = {.head_bytes = 1000, .fields = 4, .target_bytes = 100, .body_bytes = 10};
  Use(spec);
  const std::string host = " HTTP/1.1\r\nHost: h\r\n", post = Cat("POST /", host);
  struct {
    std::string request;
    const char* status;
    const char* reason;
  } cases[] = {
      {Cat("GET /", std::string(100, 'x'), host, "\r\n"), "414 URI Too Long", "target_too_long"},
      {Cat("GET /", host, "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n"), "431 ", "head_too_large"},
      {Cat("GET /", host, "A: ", std::string(1000, 'x'), "\r\n\r\n"), "431 ", "head_too_large"},
      {Cat(post, "Content-Length: 11\r\n\r\n"), "413 ", "body_too_large"},
      {Cat(post, "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\n"), "413 ", "body_too_large"},
      {Cat(post, "Transfer-Encoding: chunked\r\n\r\nx"), "400 ", "bad_request"},
      {"GET / HTTP/1.1\r\n\r\n", "400 ", "no_host"},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 ", "no_host"},
      {"GET / HTTP/1.1\nHost: h\n\n", "400 ", "bad_request"},
      {"GET / HTTP/2.0\r\n\r\n", "505 ", "bad_version"},
      {Cat(post, "Transfer-Encoding: gzip\r\n\r\n"), "501 ", "unsupported_coding"},
      {Cat("TRACE /", host, "Max-Forwards: 0\r\nConnection: close\r\n\r\n"), "501 ", "max_forwards"},
      {Cat("OPTIONS *", host, "Max-Forwards: 0\r\nConnection: close\r\n\r\n"), "200 OK", "max_forwards"},
  };
  for (const auto& c : cases) {
    uint64_t before = refused(c.reason);
    EXPECT_THAT(Talk({c.request}), StartsWith(Cat("HTTP/1.1 ", c.status))) << c.request;
    EXPECT_EQ(refused(c.reason), before + 1) << c.request;
  }
  EXPECT_EQ(Talk({Cat(post, "Content-Length: 10\r\n\r\n0123456789")}, "\r\n\r\nok"), kOk);
  EXPECT_EQ(Talk({Cat("OPTIONS *", host, "\r\n")}, "\r\n\r\nok"), kOk);
}

TEST_F(LimitsTest, ALenientListenerServesOldClientsAlsoInPieces) {
  ListenerSpec spec;
  spec.lenient = true;
  Use(spec);
  std::string old = "GET / HTTP/1.1\nHost: h\nX: a\n b\n\n";
  EXPECT_EQ(Talk({old}, "\r\n\r\nok"), kOk);
  EXPECT_EQ(Talk({"GET / HTTP/1.1\nHos", "t: h\nX: a\n", " b\n", "\n"}, "\r\n\r\nok"), kOk);
  EXPECT_EQ(Talk({old + old}, Cat("ok", kOk)), Cat(kOk, kOk));
  EXPECT_THAT(Talk({"POST / HTTP/1.1\nHost: h\nContent-Length: 1\nContent-Length: 2\n\n"}), StartsWith("HTTP/1.1 400 "));
}

TEST_F(LimitsTest, ANormalizedPathIsRoutedAndSent) {
  ListenerSpec spec;
  spec.normalize_path = true;
  Use(spec);
  std::string seen;
  Backend& echo = AddBackend([&seen](io::Proactor&, Stream stream) -> Task<void> {
    return [](Stream connection, std::string* out) -> Task<void> {
      *out = co_await ReadUntil(connection, "\r\n\r\n");
      (void)co_await connection.Send(std::string(kOk));
    }(std::move(stream), &seen);
  });
  Route({echo.address()});
  EXPECT_EQ(Talk({"GET /a//%2e%2e/b?x=/../y HTTP/1.1\r\nHost: h\r\n\r\n"}, "\r\n\r\nok"), kOk);
  EXPECT_THAT(seen, StartsWith("GET /b?x=/../y HTTP/1.1\r\n"));
}

}  // namespace
}  // namespace fairlead::lb
