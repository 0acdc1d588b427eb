// HTTPS end to end over loopback sockets: a worker whose listener and backends speak TLS, and clients, on one proactor.
#include "lb/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/tls/certificate_fixture.h"

namespace fairlead::lb {
namespace {

using io::IoResult;
using io::Stream;
using io::Task;
using testing::HasSubstr;
using testing::StartsWith;

const char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const char kGet[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

// What came until `mark` was seen, or the stream ended; an error is appended as "<error N>".
Task<std::string> ReadUntil(Stream& stream, std::string mark) {
  std::string text;
  while (mark.empty() || text.find(mark) == text.npos) {
    IoResult got = co_await stream.Receive();
    if (!got.ok()) text += Cat("<error ", got.error(), ">");
    if (!got.ok() || got.is_end()) break;
    text += stream.Take().view();
  }
  co_return text;
}

std::shared_ptr<const tls::TlsContext> ServerContext(const tls::CertificateFiles& files) {
  tls::ServerOptions options;
  options.certificates = {{files.cert, files.key, ""}};
  return *tls::TlsContext::Server(options);
}

// Answers every request with what `answer` gives for the request's head; closes where that is "".
using Answer = std::function<std::string(const std::string& head)>;

class Backend {
 public:
  Backend(io::Proactor& proactor, io::TaskGroup& group, std::shared_ptr<const tls::TlsContext> context, Answer answer)
      : listener_(*io::Listener::Open(proactor, *SocketAddress::Parse("127.0.0.1:0"))) {
    group.Spawn(io::AcceptLoop(listener_, group, [this, &proactor, context, answer](int fd) {
      ++connections;
      return Serve(Stream(proactor, fd, io::BufferGroup::kLarge), context, answer, &heads);
    }));
  }
  SocketAddress address() const { return listener_.address(); }
  int connections = 0;
  std::vector<std::string> heads;

 private:
  static Task<void> Serve(Stream stream, std::shared_ptr<const tls::TlsContext> context, Answer answer,
                          std::vector<std::string>* heads) {
    if (context != nullptr) {
      auto shaken = co_await tls::Handshake(stream, context, kNever);
      if (!shaken.ok()) co_return;
    }
    for (;;) {
      std::string head = co_await ReadUntil(stream, "\r\n\r\n");
      if (head.empty() || head.find("<error ") != head.npos) co_return;
      if (head.starts_with("POST") && head.find("the end") == head.npos) head += co_await ReadUntil(stream, "the end");
      heads->push_back(head);
      std::string text = answer(head);
      if (text.empty()) co_return;
      if (!(co_await stream.Send(text)).ok()) co_return;
      if (text.find("Content-Length") == text.npos) {
        stream.socket()->proactor().ShutdownWrite(stream.socket()->fd());  // a FIN past the record layer
        (void)co_await ReadUntil(stream, "");
        co_return;
      }
    }
  }
  io::Listener listener_;
};

class HttpsTest : public testing::Test {
 protected:
  HttpsTest() : proactor_(*io::MakeProactor(io::IoBackend::kAuto, clock_, nullptr)), random_(7),
                worker_(*proactor_, random_, metrics_, *passwords_), web_(folder_.Issue("web", {"web.test"})) {
    Config config;
    ListenerSpec spec;
    spec.name = "secure";
    spec.bind = *SocketAddress::Parse("127.0.0.1:0");
    spec.protocol = ListenerProtocol::kHttps;
    spec.tls.certificates = {{web_.cert, web_.key, ""}};
    spec.request_header = kSecond / 2;
    config.listeners.push_back(spec);
    CHECK(LoadTls(config, nullptr).ok());
    CHECK(worker_.Listen(config.listeners[0]).ok());
    settings_.connect = 2 * kSecond;
    client_ = *tls::TlsContext::Client({.ca = folder_.ca(), .server_name = "web.test", .verify = true, .cert = "",
                                        .key = "", .alpn = {"http/1.1"}});
  }
  ~HttpsTest() override {
    worker_.Stop();
    group_.Drain(*proactor_);
    backends_.clear();
    while (proactor_->stats.orphans > 0) proactor_->Turn(kMillisecond);
  }

  Backend& AddBackend(Answer answer, std::shared_ptr<const tls::TlsContext> context = nullptr) {
    backends_.push_back(std::make_unique<Backend>(*proactor_, group_, std::move(context), std::move(answer)));
    return *backends_.back();
  }
  // Host "h" goes to this backend, as `settings_` say.
  void Route(const Backend& backend) {
    Config config;
    config.services.push_back({"web.demo", settings_, {}});
    Status loaded = LoadTls(config, nullptr);
    CHECK(loaded.ok());
    ChangeSet changes;
    changes.clusters.push_back({.service = "web.demo", .removed = false, .settings = config.services[0].settings, .endpoints = {}});
    changes.clusters.back().Add({"uid", "web-1", backend.address(), 1});
    changes.hosts.push_back({"h", {{"/", "web.demo"}}});
    worker_.Apply(changes);
  }
  template <class Condition>
  [[nodiscard]] bool Until(Condition condition) {
    Nanos limit = proactor_->Now() + 30 * kSecond;
    while (!condition() && proactor_->Now() < limit) proactor_->Turn(10 * kMillisecond);
    return condition();
  }
  void Run(Task<void> task) {
    bool done = false;
    group_.Spawn([](Task<void> inner, bool* out) -> Task<void> {
      co_await std::move(inner);
      *out = true;
    }(std::move(task), &done));
    ASSERT_TRUE(Until([&] { return done; }));
  }
  Stream Connect() {
    Stream client;
    Run([](HttpsTest* test, Stream* out) -> Task<void> {
      auto dialled = co_await io::Dial(*test->proactor_, test->worker_.address(0), test->proactor_->Now() + kSecond);
      CHECK(dialled.ok());
      *out = *std::move(dialled);
      auto shaken = co_await tls::Handshake(*out, test->client_, test->proactor_->Now() + kSecond);
      EXPECT_TRUE(shaken.ok()) << shaken.status();
      if (shaken.ok()) test->facts_ = *shaken;
    }(this, &client));
    return client;
  }
  std::string Ask(Stream& client, const std::string& request, const std::string& until = "\r\n\r\nok") {
    std::string answer;
    Run([](Stream& to, std::string sent, std::string mark, std::string* out) -> Task<void> {
      EXPECT_TRUE((co_await to.Send(sent)).ok());
      *out = co_await ReadUntil(to, mark);
    }(client, request, until, &answer));
    return answer;
  }
  // Sends bytes without TLS and gives what came until the end.
  std::string AskPlain(const std::string& bytes) {
    std::string answer = "pending";
    Run([](HttpsTest* test, std::string sent, std::string* out) -> Task<void> {
      auto dialled = co_await io::Dial(*test->proactor_, test->worker_.address(0), test->proactor_->Now() + kSecond);
      CHECK(dialled.ok());
      EXPECT_TRUE((co_await dialled->Send(sent)).ok());
      *out = co_await ReadUntil(*dialled, "");
    }(this, bytes, &answer));
    return answer;
  }
  uint64_t BackendFailures() {
    return metrics_.counter("fairlead_lb_backend_tls_failures_total", "", {{"service", "web.demo"}}).value();
  }
  uint64_t Failures() {
    return metrics_.counter("fairlead_lb_tls_handshake_failures_total", "", {{"listener", "secure"}}).value();
  }

  SystemClock clock_;
  std::unique_ptr<io::Proactor> proactor_;
  SeededRandom random_;
  Metrics metrics_;
  ServiceSettings settings_;
  io::TaskGroup group_;
  std::unique_ptr<io::Offload> passwords_ = io::MakeThreadOffload("passwords");
  Worker worker_;
  tls::CertificateFolder folder_;
  tls::CertificateFiles web_;
  std::shared_ptr<const tls::TlsContext> client_;
  tls::TlsFacts facts_;  // of the last Connect()
  std::vector<std::unique_ptr<Backend>> backends_;
};

Answer Ok() {
  return [](const std::string&) { return kOk; };
}

TEST_F(HttpsTest, ServesRequestsOverOneConnection) {
  Backend& backend = AddBackend(Ok());
  Route(backend);
  Stream client = Connect();
  EXPECT_EQ(facts_.alpn, "http/1.1");
  EXPECT_EQ(Ask(client, kGet), kOk);
  EXPECT_EQ(Ask(client, kGet), kOk);
  EXPECT_EQ(backend.connections, 1);
  EXPECT_THAT(backend.heads[0], HasSubstr("\r\nX-Forwarded-Proto: https\r\n"));
}

TEST_F(HttpsTest, CarriesBodiesBothWays) {
  std::string body(3 << 20, 'x');
  Backend& backend = AddBackend([body](const std::string&) {
    return Cat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body.substr(4), "done");
  });
  Route(backend);
  Stream client = Connect();
  std::string answer = Ask(client, kGet, "done");
  EXPECT_TRUE(answer.ends_with(body.substr(4) + "done"));
  std::string post = Cat("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ", body.size() + 7, "\r\n\r\n", body, "the end");
  EXPECT_TRUE(Ask(client, post, "done").ends_with("done"));
  EXPECT_TRUE(backend.heads[1].ends_with(body + "the end"));
}

TEST_F(HttpsTest, EndsAConnectionThatSaysNothingAndCountsIt) {
  EXPECT_EQ(AskPlain("\x16\x03\x01"), "");  // the beginning of a record
  EXPECT_EQ(Failures(), 1u);
}

TEST_F(HttpsTest, PlainHttpIsRefusedAndCounted) {
  EXPECT_EQ(AskPlain(kGet), "");
  EXPECT_EQ(Failures(), 1u);
}

TEST_F(HttpsTest, NewCertificateIsForNewConnectionsAndEndsNone) {
  Backend& backend = AddBackend(Ok());
  Route(backend);
  Stream before = Connect();
  EXPECT_EQ(facts_.peer_subject, "/CN=web");
  ChangeSet changes;
  ListenerSpec renewed;
  renewed.name = "secure";
  renewed.protocol = ListenerProtocol::kHttps;
  renewed.tls_context = ServerContext(folder_.Issue("renewed", {"web.test"}));
  changes.listeners.push_back({0, renewed});
  worker_.Apply(changes);
  EXPECT_EQ(Ask(before, kGet), kOk);
  Stream after = Connect();
  EXPECT_EQ(facts_.peer_subject, "/CN=renewed");
  EXPECT_EQ(Ask(after, kGet), kOk);
}

TEST_F(HttpsTest, BrokenAnswerDoesNotLookWholeToTheClient) {
  Backend& backend = AddBackend(
      [](const std::string&) { return "HTTP/1.1 200 OK\r\n\r\nhalf of it"; }, ServerContext(web_));
  settings_.tls = {.enabled = true, .verify = true, .ca = folder_.ca(), .server_name = "web.test", .cert = "", .key = ""};
  Route(backend);
  Stream client = Connect();
  EXPECT_THAT(Ask(client, kGet, ""), HasSubstr("<error "));
}

TEST_F(HttpsTest, ReusesAVerifiedBackendConnection) {
  Backend& backend = AddBackend(Ok(), ServerContext(web_));
  settings_.tls = {.enabled = true, .verify = true, .ca = folder_.ca(), .server_name = "web.test", .cert = "", .key = ""};
  Route(backend);
  Stream client = Connect();
  for (int i = 0; i < 5; i++) EXPECT_EQ(Ask(client, kGet), kOk);
  EXPECT_EQ(backend.connections, 1);
}

TEST_F(HttpsTest, BackendOfAnotherAuthorityGetsNoRequest) {
  tls::CertificateFolder others("another authority");
  Backend& backend = AddBackend(Ok(), ServerContext(others.Issue("web", {"web.test"})));
  settings_.tls = {.enabled = true, .verify = true, .ca = folder_.ca(), .server_name = "web.test", .cert = "", .key = ""};
  Route(backend);
  Stream client = Connect();
  EXPECT_THAT(Ask(client, kGet, "\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(backend.heads, testing::IsEmpty());
}

TEST_F(HttpsTest, BackendWithAnotherNameGetsNoRequest) {
  Backend& backend = AddBackend(Ok(), ServerContext(web_));
  settings_.tls = {.enabled = true, .verify = true, .ca = folder_.ca(), .server_name = "", .cert = "", .key = ""};
  Route(backend);  // by the service's name, then
  Stream client = Connect();
  EXPECT_THAT(Ask(client, kGet, "\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(backend.heads, testing::IsEmpty());
}

// How often the log says this.
size_t Times(std::string_view log, std::string_view what) {
  size_t times = 0;
  for (size_t at = log.find(what); at != log.npos; at = log.find(what, at + 1)) times++;
  return times;
}

TEST_F(HttpsTest, WhyABackendsTlsFailsIsLoggedOnceAndCounted) {
  Backend& backend = AddBackend(Ok(), ServerContext(folder_.Issue("old", {"web.test"}, -1)));
  settings_.tls = {.enabled = true, .verify = true, .ca = folder_.ca(), .server_name = "web.test", .cert = "", .key = ""};
  settings_.max_retries = 0;
  Route(backend);
  Stream client = Connect();
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; i++) EXPECT_THAT(Ask(client, kGet, "connections\n"), StartsWith("HTTP/1.1 503 "));
  std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(BackendFailures(), 3u);
  EXPECT_EQ(Times(log, "no TLS to an endpoint"), 1u);
  EXPECT_THAT(log, HasSubstr("service=web.demo endpoint=web-1"));
  EXPECT_THAT(log, HasSubstr("certificate has expired; renew it at the server"));
}

TEST_F(HttpsTest, UnverifiedBackendIsServedWhereTheFileSaysSo) {
  Backend& backend = AddBackend(Ok(), ServerContext(web_));
  settings_.tls = {.enabled = true, .verify = false, .ca = "", .server_name = "", .cert = "", .key = ""};
  Route(backend);
  Stream client = Connect();
  EXPECT_EQ(Ask(client, kGet), kOk);
}

TEST_F(HttpsTest, PooledPlainConnectionIsNotUsedOnceTheServiceWantsTls) {
  Backend& backend = AddBackend(Ok());
  Route(backend);
  Stream client = Connect();
  EXPECT_EQ(Ask(client, kGet), kOk);
  settings_.tls = {.enabled = true, .verify = false, .ca = "", .server_name = "", .cert = "", .key = ""};
  settings_.connect = 100 * kMillisecond;
  Route(backend);  // it speaks no TLS: the request cannot reach it
  EXPECT_THAT(Ask(client, kGet, "\r\n\r\n"), StartsWith("HTTP/1.1 50"));
  for (const std::string& head : backend.heads) EXPECT_THAT(head, testing::AnyOf(StartsWith("GET"), StartsWith("\x16")));
  EXPECT_EQ(std::ranges::count_if(backend.heads, [](const auto& h) { return h.starts_with("GET"); }), 1);
}

TEST(TlsFault, IsNewsOnceUntilItChangesOrComesAgainAndNeverMoreOftenThanOnceASecond) {
  TlsFault fault;
  EXPECT_TRUE(fault.IsNews("expired", 10 * kSecond));
  EXPECT_FALSE(fault.IsNews("expired", 99 * kSecond));
  EXPECT_TRUE(fault.IsNews("another name", 100 * kSecond));
  EXPECT_FALSE(fault.IsNews("expired", 100 * kSecond + kSecond / 2));
  EXPECT_TRUE(fault.IsNews("expired", 101 * kSecond));
  fault.Clear();
  EXPECT_FALSE(fault.IsNews("expired", 101 * kSecond + kSecond / 2));
  EXPECT_TRUE(fault.IsNews("expired", 102 * kSecond));
}

TEST(LoadTls, NamesListenerFileAndService) {
  Config config;
  ListenerSpec spec;
  spec.name = "secure";
  spec.protocol = ListenerProtocol::kHttps;
  spec.tls.certificates = {{"/nowhere/a.pem", "", ""}};
  config.listeners.push_back(spec);
  EXPECT_THAT(std::string(Message(LoadTls(config, nullptr))), StartsWith("listener secure: read /nowhere/a.pem"));
  config.listeners.clear();
  ServiceSettings settings;
  settings.tls.enabled = true;
  settings.tls.ca = "/nowhere/ca.pem";
  config.services.push_back({"api.demo", settings, {}});
  EXPECT_THAT(std::string(Message(LoadTls(config, nullptr))), StartsWith("service api.demo: read /nowhere/ca.pem"));
}

}  // namespace
}  // namespace fairlead::lb
