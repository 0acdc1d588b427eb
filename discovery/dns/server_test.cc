// Over real sockets: what dig sees, and how TCP behaves with pieces, pipelines and peers that do not read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <thread>

#include "base/io/offload.h"
#include "discovery/dns/dns.h"
#include "discovery/dns/server.h"
#include "discovery/dns/tcp_test_client.h"
#include "discovery/dns/test_client.h"
#include "discovery/dns/test_rows.h"

namespace fairlead::dns {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ServerTest : public ::testing::TestWithParam<io::IoBackend> {
 protected:
  ServerTest() {
    std::string note;
    auto proactor = io::MakeProactor(GetParam(), clock_, &note);
    if (!proactor.ok()) return;
    proactor_ = std::move(*proactor);
    Config config;
    config.listen = {*SocketAddress::Parse("127.0.0.1:0")};
    config.zone.node = "host1";
    server_ = std::make_unique<NameServer>(*proactor_, config, clock_, random_, metrics_);
    started_ = server_->Start();
    discovery::EndpointRow row = Serving("web-1", "host1", "web", "demo", "10.40.0.10");
    row.services.push_back(Service("web", "demo", "fd00::10"));
    server_->OnChanges({Put("host1", row), Put("host1", Lease("web-1", "demo", "10.40.0.10"))});
  }
  void SetUp() override {
    if (proactor_ == nullptr) GTEST_SKIP() << "this kernel has no such proactor";
    ASSERT_TRUE(started_.ok()) << started_;
  }
  ~ServerTest() override {
    if (server_ != nullptr) server_->Stop();
  }

  SocketAddress address() const { return server_->addresses()[0]; }

  // Turns the loop until `done`; a bound on turns instead of a bound on time.
  template <class Done>
  void Turn(Done done) {
    for (int i = 0; i < 100000 && !done(); i++) proactor_->Turn(10 * kMillisecond);
  }
  void Run(io::Task<void> task) {
    io::TaskGroup group;
    group.Spawn(std::move(task));
    Turn([&] { return group.live() == 0; });
    ASSERT_EQ(group.live(), 0u);
  }

  std::string Dig(const std::string& arguments) {
    std::string command = Cat("dig +tries=1 +time=5 +norecurse @127.0.0.1 -p ", address().port(), " ", arguments, " 2>&1");
    FILE* pipe = popen(command.c_str(), "r");
    std::string output;
    auto offload = io::MakeThreadOffload("dig");
    Run(ReadPipe(*offload, *proactor_, pipe, &output));
    pclose(pipe);
    return output;
  }
  static io::Task<void> ReadPipe(io::Offload& offload, io::Proactor& proactor, FILE* pipe, std::string* output) {
    *output = co_await io::OffloadTo(offload, proactor, [pipe] {
      std::string text;
      char piece[4096];
      while (size_t n = fread(piece, 1, sizeof piece, pipe)) text.append(piece, n);
      return text;
    });
  }

  SystemClock clock_;
  SystemRandom random_;
  Metrics metrics_;
  std::unique_ptr<io::Proactor> proactor_;
  std::unique_ptr<NameServer> server_;
  Status started_;
};

INSTANTIATE_TEST_SUITE_P(Backends, ServerTest, ::testing::Values(io::IoBackend::kUring, io::IoBackend::kEpoll));

TEST_P(ServerTest, AnswersDigOverUdpAndTcp) {
  EXPECT_TRUE(server_->ready());
  EXPECT_EQ(Dig("+short web.demo.svc.fl.internal A"), "10.40.0.10\n");
  EXPECT_EQ(Dig("+short +tcp web.demo.svc.fl.internal A"), "10.40.0.10\n");
  EXPECT_EQ(Dig("+short web.demo.svc.fl.internal AAAA"), "fd00::10\n");
  EXPECT_EQ(Dig("+short -x 10.40.0.10"), "web-1.host1.ct.fl.internal.\n");
  std::string srv = Dig("_http._tcp.web.demo.svc.fl.internal SRV");
  EXPECT_THAT(srv, HasSubstr("0 1 8080 10-40-0-10.web.demo.svc.fl.internal."));
  EXPECT_THAT(srv, HasSubstr("ADDITIONAL: 3"));  // A, AAAA and OPT
}

TEST_P(ServerTest, SatisfiesDigAboutHeadersAndEdns) {
  std::string answer = Dig("web.demo.svc.fl.internal A");
  EXPECT_THAT(answer, HasSubstr("status: NOERROR"));
  EXPECT_THAT(answer, HasSubstr("flags: qr aa;"));
  EXPECT_THAT(answer, HasSubstr("EDNS: version: 0, flags:; udp: 1232"));
  EXPECT_THAT(answer, Not(HasSubstr("WARNING")));
  EXPECT_THAT(Dig("+noedns web.demo.svc.fl.internal A"), Not(HasSubstr("EDNS")));
  EXPECT_THAT(Dig("+edns=1 +noednsnegotiation web.demo.svc.fl.internal"), HasSubstr("status: BADVERS"));
  EXPECT_THAT(Dig("nobody.fl.internal"), HasSubstr("status: NXDOMAIN"));
  EXPECT_THAT(Dig("example.org"), HasSubstr("status: REFUSED"));
}

TEST_P(ServerTest, AnswersAChangeWithTheNextQuery) {
  server_->OnChanges({Put("host1", Serving("web-2", "host1", "api", "demo", "10.40.0.11"))});
  EXPECT_EQ(Dig("+short api.demo.svc.fl.internal"), "10.40.0.11\n");
  server_->OnChanges({Gone("host1", Serving("web-2", "host1", "api", "demo", "10.40.0.11"))});
  EXPECT_THAT(Dig("api.demo.svc.fl.internal"), HasSubstr("NXDOMAIN"));
}

struct TcpResult {
  std::vector<Answered> answers;
  bool ended = false;
};

// Sends the pieces one by one, then reads.
io::Task<void> Talk(io::Proactor& proactor, SocketAddress address, std::vector<std::string> pieces, size_t count,
                    bool half_close, TcpResult* result) {
  auto stream = co_await io::Dial(proactor, address, proactor.Now() + 5 * kSecond);
  if (!stream.ok()) co_return;
  for (const std::string& piece : pieces) {
    if (!(co_await stream->Send(piece)).ok()) co_return;
    (void)co_await io::Sleep(proactor, 1);  // lets the server read this piece by itself
  }
  if (half_close) stream->ShutdownWrite();
  co_await ReadAnswers(*stream, count, &result->answers, &result->ended);
}

TEST_P(ServerTest, AnswersPipelinedQueriesAfterHalfClose) {
  std::string queries;
  for (uint16_t id = 0; id < 50; id++) queries += Framed({.name = "web.demo.svc.fl.internal"}, id);
  TcpResult result;
  Run(Talk(*proactor_, address(), {queries}, 50, true, &result));
  ASSERT_EQ(result.answers.size(), 50u);
  for (uint16_t id = 0; id < 50; id++) EXPECT_EQ(result.answers[id].id, id);
}

TEST_P(ServerTest, PutsAQueryTogetherFromSingleBytes) {
  std::vector<std::string> pieces;
  for (char c : Framed({.name = "web.demo.svc.fl.internal"}, 7)) pieces.emplace_back(1, c);
  TcpResult result;
  Run(Talk(*proactor_, address(), pieces, 1, false, &result));
  ASSERT_EQ(result.answers.size(), 1u);
  EXPECT_EQ(result.answers[0].data(), std::set<std::string>{"10.40.0.10"});
}

TEST_P(ServerTest, ClosesOnBadFraming) {
  for (std::string bad : {std::string("\0\0", 2), std::string("\0\5hello", 7), std::string("\xff\xff", 2)}) {
    TcpResult result;
    Run(Talk(*proactor_, address(), {bad}, 1, false, &result));
    EXPECT_TRUE(result.ended);
    EXPECT_TRUE(result.answers.empty());
  }
}

io::Task<void> Hold(io::Proactor& proactor, SocketAddress address, size_t* connected, size_t* closed) {
  auto stream = co_await io::Dial(proactor, address, proactor.Now() + 5 * kSecond);
  if (!stream.ok()) co_return;
  ++*connected;
  if ((co_await stream->Receive()).cancelled()) co_return;
  ++*closed;
}

TEST_P(ServerTest, LimitsConnectionsOfOneSource) {
  io::TaskGroup group;
  size_t connected = 0, closed = 0;
  for (size_t i = 0; i < kMaxTcpPerSource + 3; i++) group.Spawn(Hold(*proactor_, address(), &connected, &closed));
  Turn([&] { return closed == 3; });
  EXPECT_EQ(connected, kMaxTcpPerSource + 3);
  EXPECT_EQ(closed, 3u);
  EXPECT_EQ(metrics_.counter("fairlead_dns_tcp_limit_total", "").value(), 3u);
  EXPECT_EQ(metrics_.gauge("fairlead_dns_tcp_connections", "").value(), static_cast<double>(kMaxTcpPerSource));
  group.Drain(*proactor_);
}

// Longer than any query needs to be; the rest of it is not waited for.
TEST_P(ServerTest, AnswersFormatErrorToADatagramOfMoreThan1500Bytes) {
  Packet query = MakeQuery({.name = "web.demo.svc.fl.internal", .edns_bytes = 1232});
  Store16(&query[query.size() - 2], 1496);  // OPT's data: one option that fills the rest
  for (uint16_t field : {12, 1492}) {       // padding, RFC 7830
    query.push_back(static_cast<uint8_t>(field >> 8));
    query.push_back(static_cast<uint8_t>(field));
  }
  query.resize(query.size() + 1492);
  auto socket = io::UdpSocket::Open(*proactor_, *SocketAddress::Parse("127.0.0.1:0"));
  ASSERT_TRUE(socket.ok());
  io::Datagram datagram{address(), {}, query};
  ASSERT_EQ(socket->SendBatch({&datagram, 1}), 1);
  Packet room(2000);
  io::Datagram answer{.bytes = room};
  Turn([&] { return socket->ReceiveBatch({&answer, 1}) == 1; });
  Answered got = ReadAnswer(answer.bytes);
  EXPECT_EQ(got.rcode, static_cast<uint16_t>(Rcode::kFormErr));
  EXPECT_EQ(got.id, 0x1234);
}

TEST_P(ServerTest, NamesAnAddressThatIsInUse) {
  Config config;
  config.listen = {address()};
  NameServer second(*proactor_, config, clock_, random_, metrics_);
  Status status = second.Start();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(Message(status), HasSubstr(address().ToString()));
}

TEST_P(ServerTest, StartsAheadOfAnAddressThatIsNotThereYet) {
  Config config;
  config.listen = {*SocketAddress::Parse("127.0.0.1:0"), *SocketAddress::Parse("192.0.2.53:5353")};
  NameServer early(*proactor_, config, clock_, random_, metrics_);
  Status status = early.Start();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_FALSE(early.ready());
  early.Stop();
}

TEST_P(ServerTest, NamesTheMasterFileThatCannotBeRead) {
  Config config;
  config.listen = {*SocketAddress::Parse("127.0.0.1:0")};
  config.records = {"/nonexistent/records.zone"};
  NameServer server(*proactor_, config, clock_, random_, metrics_);
  EXPECT_THAT(Message(server.Start()), HasSubstr("dns.records: read /nonexistent/records.zone"));
}

}  // namespace
}  // namespace fairlead::dns
