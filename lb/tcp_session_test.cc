// Connections of bytes, end to end over loopback sockets: a worker, backends and a client on one proactor.
#include "lb/tcp_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lb/proxy_header.h"

namespace fairlead::lb {
namespace {

using io::IoResult;
using io::Stream;
using io::Task;
using testing::HasSubstr;
using testing::StartsWith;

// Both ends of all connections are steered by the test, one step after the other.
class TcpSessionTest : public testing::TestWithParam<io::IoBackend> {
 protected:
  TcpSessionTest()
      : proactor_(*io::MakeProactor(GetParam(), clock_, nullptr)), random_(7), worker_(*proactor_, random_, metrics_, *passwords_) {
    settings_.protocol = ServiceProtocol::kTcp;
    settings_.connect = 2 * kSecond;
  }
  ~TcpSessionTest() override {
    worker_.Stop();
    group_.Drain(*proactor_);
    streams_.clear();
    accepted_.clear();
    backends_.clear();
    while (proactor_->stats.orphans > 0) proactor_->Turn(kMillisecond);
  }

  static SocketAddress Loopback() { return *SocketAddress::Parse("127.0.0.1:0"); }
  ListenerSpec Spec(ListenerProtocol protocol) {
    ListenerSpec spec;
    spec.name = "in";
    spec.bind = Loopback();
    spec.protocol = protocol;
    if (protocol == ListenerProtocol::kTcp) spec.service = "db.demo";
    return spec;
  }
  void Listen(const ListenerSpec& spec) { CHECK(worker_.Listen(spec).ok()); }
  void Serve(std::vector<SocketAddress> addresses, std::string host = "") {
    ChangeSet changes;
    ClusterChange cluster{.service = "db.demo", .removed = false, .settings = settings_, .endpoints = {}};
    for (size_t i = 0; i < addresses.size(); i++)
      cluster.Add({Cat("uid-", i), Cat("db-", i), addresses[i], 1});
    changes.clusters.push_back(cluster);
    if (!host.empty()) changes.hosts.push_back({host, {{"/", "db.demo"}}});
    worker_.Apply(changes);
  }
  // A listener whose connections Accepted() gives.
  SocketAddress AddBackend() {
    backends_.push_back(std::make_unique<io::Listener>(*io::Listener::Open(*proactor_, Loopback())));
    group_.Spawn([](TcpSessionTest* test, io::Listener* listener) -> Task<void> {
      for (;;) {
        IoResult fd = co_await listener->Accept();
        if (!fd.ok()) co_return;
        test->accepted_.push_back(std::make_unique<Stream>(*test->proactor_, fd.value(), io::BufferGroup::kLarge));
      }
    }(this, backends_.back().get()));
    return backends_.back()->address();
  }
  SocketAddress Refusing() { return io::Listener::Open(*proactor_, Loopback())->address(); }

  template <class Condition>
  [[nodiscard]] bool Until(Condition condition) {
    Nanos limit = proactor_->Now() + 30 * kSecond;
    while (!condition() && proactor_->Now() < limit) proactor_->Turn(10 * kMillisecond);
    return condition();
  }
  Stream& Dial() {
    streams_.push_back(std::make_unique<Stream>());
    Stream* made = streams_.back().get();
    group_.Spawn([](io::Proactor* proactor, SocketAddress to, Stream* out) -> Task<void> {
      auto dialled = co_await io::Dial(*proactor, to, proactor->Now() + 5 * kSecond, io::BufferGroup::kLarge);
      CHECK(dialled.ok());
      *out = *std::move(dialled);
    }(proactor_.get(), worker_.address(0), made));
    EXPECT_TRUE(Until([&] { return static_cast<bool>(*made); }));
    return *made;
  }
  // Connects and says nothing. The reset may come before the connect is seen to have succeeded.
  std::string OutcomeOfAConnection() {
    std::optional<std::string> outcome;
    group_.Spawn([](io::Proactor* proactor, SocketAddress to, std::optional<std::string>* out) -> Task<void> {
      auto dialled = co_await io::Dial(*proactor, to, proactor->Now() + 5 * kSecond);
      IoResult got = IoResult::Error(ECONNRESET);
      if (dialled.ok()) got = co_await dialled->Receive();
      *out = got.ok() ? Cat("<", got.value(), " bytes>") : Cat("<error ", got.error(), ">");
    }(proactor_.get(), worker_.address(0), &outcome));
    EXPECT_TRUE(Until([&] { return outcome.has_value(); }));
    return outcome.value_or("");
  }
  Stream& Accepted() {
    EXPECT_TRUE(Until([&] { return !accepted_.empty(); }));
    streams_.push_back(std::move(accepted_.front()));
    accepted_.erase(accepted_.begin());
    return *streams_.back();
  }
  void Send(Stream& to, std::string bytes) {
    group_.Spawn([](Stream* s, std::string b) -> Task<void> { (void)co_await s->Send(b); }(&to, std::move(bytes)));
  }
  // The next bytes; at the end "<end>", else "<error N>".
  std::string Receive(Stream& from, size_t bytes) {
    std::string text;
    bool done = false;
    group_.Spawn([](Stream* s, size_t wanted, std::string* out, bool* finished) -> Task<void> {
      while (out->size() < wanted) {
        IoResult got = co_await s->Receive();
        if (!got.ok()) *out += Cat("<error ", got.error(), ">");
        if (got.ok() && got.is_end()) *out += "<end>";
        if (!got.ok() || got.is_end()) break;
        *out += s->Take().view();
      }
      *finished = true;
    }(&from, bytes, &text, &done));
    EXPECT_TRUE(Until([&] { return done; }));
    return text;
  }
  std::string ReceiveAll(Stream& from) { return Receive(from, SIZE_MAX); }
  std::string Metric(std::string_view name) {
    std::string text = RenderPrometheus({&metrics_});
    size_t at = text.find(Cat("\n", name, " "));
    return at == text.npos ? "" : text.substr(at + name.size() + 2, text.find('\n', at + 1) - at - name.size() - 2);
  }
  const std::string reset_ = Cat("<error ", ECONNRESET, ">");

  SystemClock clock_;
  std::unique_ptr<io::Proactor> proactor_;
  SeededRandom random_;
  Metrics metrics_;
  ServiceSettings settings_;
  io::TaskGroup group_;
  std::unique_ptr<io::Offload> passwords_ = io::MakeThreadOffload("passwords");
  Worker worker_;
  std::vector<std::unique_ptr<io::Listener>> backends_;
  std::vector<std::unique_ptr<Stream>> accepted_, streams_;
};

TEST_P(TcpSessionTest, PassesBytesBothWaysToAnEndpointOfItsService) {
  Listen(Spec(ListenerProtocol::kTcp));
  Serve({AddBackend()});
  Stream& client = Dial();
  Stream& backend = Accepted();  // before the client has said a word
  Send(backend, "server speaks first");
  EXPECT_EQ(Receive(client, 19), "server speaks first");
  Send(client, "and is answered");
  EXPECT_EQ(Receive(backend, 15), "and is answered");
  EXPECT_EQ(Metric("fairlead_lb_connections{listener=\"in\"}"), "1");
  EXPECT_EQ(Metric("fairlead_lb_tcp_connections_total{service=\"db.demo\",listener=\"in\"}"), "1");
  EXPECT_EQ(Metric("fairlead_lb_tcp_bytes_total{service=\"db.demo\",listener=\"in\",direction=\"in\"}"), "15");
  EXPECT_EQ(Metric("fairlead_lb_tcp_bytes_total{service=\"db.demo\",listener=\"in\",direction=\"out\"}"), "19");
}

TEST_P(TcpSessionTest, KeepsHalfCloseInBothDirections) {
  Listen(Spec(ListenerProtocol::kTcp));
  Serve({AddBackend()});
  Stream& client = Dial();
  Stream& backend = Accepted();
  Send(client, "all");
  EXPECT_EQ(Receive(backend, 3), "all");
  client.ShutdownWrite();
  EXPECT_EQ(ReceiveAll(backend), "<end>");
  Send(backend, "answer");
  EXPECT_EQ(Receive(client, 6), "answer");
  backend.Close();
  EXPECT_EQ(ReceiveAll(client), "<end>");
  EXPECT_TRUE(Until([&] { return worker_.sessions() == 0; }));
}

TEST_P(TcpSessionTest, PassesAResetOnInBothDirections) {
  Listen(Spec(ListenerProtocol::kTcp));
  Serve({AddBackend()});
  for (bool by_backend : {true, false}) {
    Stream& client = Dial();
    Stream& backend = Accepted();
    Send(client, "x");
    EXPECT_EQ(Receive(backend, 1), "x");
    (by_backend ? backend : client).Reset();
    EXPECT_EQ(ReceiveAll(by_backend ? client : backend), reset_);
  }
}

TEST_P(TcpSessionTest, TriesAnotherEndpointWhenOneRefusesTheConnection) {
  Listen(Spec(ListenerProtocol::kTcp));
  Serve({Refusing(), AddBackend()});
  for (int i = 0; i < 3; i++) {
    Stream& client = Dial();
    Stream& backend = Accepted();
    Send(client, "x");
    EXPECT_EQ(Receive(backend, 1), "x");
  }
  EXPECT_NE(Metric("fairlead_lb_connect_failures_total"), "0");
}

TEST_P(TcpSessionTest, ResetsAClientThatNobodyCanServeAndCountsIt) {
  Listen(Spec(ListenerProtocol::kTcp));
  EXPECT_EQ(OutcomeOfAConnection(), reset_);  // the service is not known
  settings_.protocol = ServiceProtocol::kHttp;
  Serve({AddBackend()});
  EXPECT_EQ(OutcomeOfAConnection(), reset_);
  settings_.protocol = ServiceProtocol::kTcp;
  Serve({});
  EXPECT_EQ(OutcomeOfAConnection(), reset_);
  settings_.max_retries = 1;
  Serve({Refusing(), Refusing()});
  EXPECT_EQ(OutcomeOfAConnection(), reset_);
  EXPECT_EQ(Metric("fairlead_lb_connections_refused_total{listener=\"in\",reason=\"no_endpoint\"}"), "3");
  EXPECT_EQ(Metric("fairlead_lb_connections_refused_total{listener=\"in\",reason=\"not_connected\"}"), "1");
}

TEST_P(TcpSessionTest, EndsAfterTheServicesSilence) {
  settings_.tunnel = 50 * kMillisecond;
  Listen(Spec(ListenerProtocol::kTcp));
  Serve({AddBackend()});
  Stream& client = Dial();
  Stream& backend = Accepted();
  EXPECT_EQ(ReceiveAll(client), "<end>");
  EXPECT_EQ(ReceiveAll(backend), "<end>");
}

TEST_P(TcpSessionTest, AnOpenConnectionOutlivesItsServiceAndADrainUntilTheWorkerStops) {
  Listen(Spec(ListenerProtocol::kTcp));
  Serve({AddBackend()});
  Stream& client = Dial();
  Stream& backend = Accepted();
  ChangeSet gone;
  gone.clusters.push_back({.service = "db.demo", .removed = true, .settings = {}, .endpoints = {}});
  worker_.Apply(gone);
  worker_.BeginDrain();
  Send(client, "still");
  EXPECT_EQ(Receive(backend, 5), "still");
  worker_.Stop();
  EXPECT_EQ(ReceiveAll(client), reset_);
  EXPECT_EQ(ReceiveAll(backend), reset_);
}

TEST_P(TcpSessionTest, Moves64MebibytesBothWays) {
  Listen(Spec(ListenerProtocol::kTcp));
  Serve({AddBackend()});
  Stream& client = Dial();
  Stream& backend = Accepted();
  std::string bytes(64 << 20, '\0');
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<char>((i * 2654435761u) >> 13);
  std::string got[2];
  Stream* ends[2] = {&client, &backend};
  for (int i : {0, 1}) {
    group_.Spawn([](Stream* s, const std::string* all) -> Task<void> {
      EXPECT_TRUE((co_await s->Send(*all)).ok());
      s->ShutdownWrite();
    }(ends[i], &bytes));
    group_.Spawn([](Stream* s, std::string* out) -> Task<void> {
      for (;;) {
        IoResult next = co_await s->Receive();
        if (!next.ok() || next.is_end()) co_return;
        out->append(s->Take().view());
      }
    }(ends[i], &got[i]));
  }
  ASSERT_TRUE(Until([&] { return got[0].size() == bytes.size() && got[1].size() == bytes.size(); }));
  EXPECT_TRUE(got[0] == bytes && got[1] == bytes);
  EXPECT_TRUE(Until([&] { return worker_.sessions() == 0; }));
}

// --- PROXY protocol

TEST_P(TcpSessionTest, AnnouncesTheClientByVersion1) {
  settings_.proxy_header = ProxyHeader::kV1;
  Listen(Spec(ListenerProtocol::kTcp));
  Serve({AddBackend()});
  Stream& client = Dial();
  std::string header = Cat("PROXY TCP4 127.0.0.1 127.0.0.1 ", client.local().port(), " ", client.peer().port(), "\r\n");
  Stream& backend = Accepted();
  Send(client, "bytes");
  EXPECT_EQ(Receive(backend, header.size() + 5), header + "bytes");
}

TEST_P(TcpSessionTest, AnnouncesTheClientByVersion2) {
  settings_.proxy_header = ProxyHeader::kV2;
  Listen(Spec(ListenerProtocol::kTcp));
  Serve({AddBackend()});
  Stream& client = Dial();
  auto port = [](uint16_t n) { return std::string{static_cast<char>(n >> 8), static_cast<char>(n)}; };
  std::string header = Cat(std::string_view("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\1", 24),
                           port(client.local().port()), port(client.peer().port()));
  EXPECT_EQ(Receive(Accepted(), header.size()), header);
}

TEST_P(TcpSessionTest, PassesTheAddressesOfAReceivedHeaderOn) {
  settings_.proxy_header = ProxyHeader::kV1;
  ListenerSpec spec = Spec(ListenerProtocol::kTcp);
  spec.accept_proxy = true;
  Listen(spec);
  Serve({AddBackend()});
  std::string header = "PROXY TCP6 2001:db8::7 2001:db8::1 50000 3306\r\n";
  Stream& client = Dial();
  Send(client, header + "bytes");
  EXPECT_EQ(Receive(Accepted(), header.size() + 5), header + "bytes");
  Stream& slow = Dial();  // the same in pieces
  Send(slow, header.substr(0, 20));
  ASSERT_TRUE(Until([&] { return worker_.sessions() == 2; }));
  for (int i = 0; i < 5; i++) proactor_->Turn(kMillisecond);
  Send(slow, header.substr(20) + "bytes");
  EXPECT_EQ(Receive(Accepted(), header.size() + 5), header + "bytes");
}

TEST_P(TcpSessionTest, RefusesAConnectionWithoutTheHeaderItNeeds) {
  ListenerSpec spec = Spec(ListenerProtocol::kTcp);
  spec.accept_proxy = true;
  spec.request_header = 100 * kMillisecond;
  Listen(spec);
  Serve({AddBackend()});
  Stream& rude = Dial();
  Send(rude, "SELECT 1");
  EXPECT_EQ(ReceiveAll(rude), reset_);
  Stream& slow = Dial();
  Send(slow, "PROXY TCP4 ");
  EXPECT_EQ(ReceiveAll(slow), reset_);
  EXPECT_EQ(Metric("fairlead_lb_connections_refused_total{listener=\"in\",reason=\"no_proxy_header\"}"), "2");
  EXPECT_TRUE(accepted_.empty());
  EXPECT_EQ(Metric("fairlead_lb_connections{listener=\"in\"}"), "0");
}

TEST_P(TcpSessionTest, TellsHttpBackendsTheAddressOfTheHeader) {
  ListenerSpec spec = Spec(ListenerProtocol::kHttp);
  spec.accept_proxy = true;
  Listen(spec);
  settings_.protocol = ServiceProtocol::kHttp;
  settings_.proxy_header = ProxyHeader::kV1;
  Serve({AddBackend()}, "h");
  Stream& client = Dial();
  std::string header = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 80\r\n";
  Send(client, header + "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  Stream& backend = Accepted();
  std::string request = Receive(backend, 120);
  EXPECT_THAT(request, StartsWith(header + "GET / HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("X-Forwarded-For: 192.0.2.7\r\n"));
}

TEST_P(TcpSessionTest, NeverSharesAnAnnouncedHttpConnectionAmongClients) {
  Listen(Spec(ListenerProtocol::kHttp));
  settings_.protocol = ServiceProtocol::kHttp;
  settings_.proxy_header = ProxyHeader::kV2;
  Serve({AddBackend()}, "h");
  for (int i = 0; i < 2; i++) {
    Stream& client = Dial();
    Send(client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    Stream& backend = Accepted();
    EXPECT_THAT(Receive(backend, 100), HasSubstr("GET / HTTP/1.1\r\n"));
    Send(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_THAT(Receive(client, 40), testing::EndsWith("ok"));
  }
}

// --- TLS by SNI

std::string CorpusHello(const char* name) {
  std::ifstream file(Cat(FAIRLEAD_LB_CORPUS "/client_hello_fuzz/", name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_P(TcpSessionTest, RoutesByTheNameInTheClientHelloAndPassesItOnUntouched) {
  Listen(Spec(ListenerProtocol::kTls));
  Serve({AddBackend()}, "shop.example.com");
  for (const char* name : {"openssl_tls13", "records_of_100"}) {
    std::string hello = CorpusHello(name);
    Stream& client = Dial();
    Send(client, hello + "more");
    Stream& backend = Accepted();
    EXPECT_TRUE(Receive(backend, hello.size() + 4) == hello + "more") << name;
    Send(backend, "server hello");
    EXPECT_EQ(Receive(client, 12), "server hello");
  }
}

TEST_P(TcpSessionTest, JoinsAClientHelloThatComesInPieces) {
  Listen(Spec(ListenerProtocol::kTls));
  Serve({AddBackend()}, "*.example.com");
  std::string hello = CorpusHello("openssl_tls13");
  Stream& client = Dial();
  for (size_t at = 0; at < hello.size(); at += 200) {
    Send(client, hello.substr(at, 200));
    for (int i = 0; i < 3; i++) proactor_->Turn(kMillisecond);
  }
  EXPECT_TRUE(Receive(Accepted(), hello.size()) == hello);
}

TEST_P(TcpSessionTest, AnswersAnUnknownNameWithTheAlertForIt) {
  Listen(Spec(ListenerProtocol::kTls));
  Serve({AddBackend()}, "other.example.com");
  for (const char* name : {"openssl_tls13", "openssl_no_name"}) {
    Stream& client = Dial();
    Send(client, CorpusHello(name));
    EXPECT_EQ(Receive(client, 7), std::string("\x15\x03\x03\0\2\2\x70", 7));
    EXPECT_EQ(ReceiveAll(client), "<end>");
  }
  EXPECT_EQ(Metric("fairlead_lb_connections_refused_total{listener=\"in\",reason=\"no_route\"}"), "2");
  EXPECT_TRUE(accepted_.empty());
}

TEST_P(TcpSessionTest, RoutesAClientWithoutNameByTheDefault) {
  Listen(Spec(ListenerProtocol::kTls));
  Serve({AddBackend()}, "*");
  std::string hello = CorpusHello("openssl_no_name");
  Send(Dial(), hello);
  EXPECT_TRUE(Receive(Accepted(), hello.size()) == hello);
}

TEST_P(TcpSessionTest, AnswersWhatIsNoClientHelloWithDecodeError) {
  Listen(Spec(ListenerProtocol::kTls));
  Stream& client = Dial();
  Send(client, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(Receive(client, 7), std::string("\x15\x03\x03\0\2\2\x32", 7));
  EXPECT_EQ(Metric("fairlead_lb_connections_refused_total{listener=\"in\",reason=\"no_client_hello\"}"), "1");
}

TEST_P(TcpSessionTest, DoesNotWaitForeverForAClientHello) {
  ListenerSpec spec = Spec(ListenerProtocol::kTls);
  spec.request_header = 50 * kMillisecond;
  Listen(spec);
  Stream& client = Dial();
  Send(client, CorpusHello("cut"));
  EXPECT_EQ(ReceiveAll(client), "<end>");
}

INSTANTIATE_TEST_SUITE_P(Io, TcpSessionTest, testing::Values(io::IoBackend::kUring, io::IoBackend::kEpoll),
                         [](const auto& info) { return info.param == io::IoBackend::kUring ? "uring" : "epoll"; });

}  // namespace
}  // namespace fairlead::lb
