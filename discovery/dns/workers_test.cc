// Several workers and one zone: whoever answers first with a change, nobody answers without it afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <thread>

#include "base/io/udp_socket.h"
#include "discovery/dns/dns.h"
#include "discovery/dns/test_client.h"
#include "discovery/dns/test_rows.h"

namespace fairlead::dns {
namespace {

// A client with a proactor of its own, whose sockets the kernel spreads over the workers by their ports.
class Client {
 public:
  explicit Client(const SocketAddress& server, size_t sockets = 16) : server_(server) {
    proactor_ = *io::MakeProactor(io::IoBackend::kEpoll, clock_, nullptr);
    for (size_t i = 0; i < sockets; i++) sockets_.push_back(*io::UdpSocket::Open(*proactor_, *SocketAddress::Parse("127.0.0.1:0")));
  }
  size_t sockets() const { return sockets_.size(); }

  void Send(size_t socket, const Ask& ask) {
    Packet query = MakeQuery(ask);
    io::Datagram datagram{server_, {}, query};
    CHECK(sockets_[socket].SendBatch({&datagram, 1}) == 1);
  }
  // Nothing: none has come.
  std::optional<Answered> Receive(size_t socket, int wait_ms) {
    pollfd ready{sockets_[socket].fd(), POLLIN, 0};
    if (poll(&ready, 1, wait_ms) != 1) return std::nullopt;
    Packet room(kMaxUdpBytes);
    io::Datagram answer{.bytes = room};
    if (sockets_[socket].ReceiveBatch({&answer, 1}) != 1) return std::nullopt;
    return ReadAnswer(answer.bytes);
  }

 private:
  const SocketAddress server_;
  SystemClock clock_;
  std::unique_ptr<io::Proactor> proactor_;
  std::vector<io::UdpSocket> sockets_;
};

constexpr const char* kName = "web.demo.svc.fl.internal";

class WorkersTest : public ::testing::TestWithParam<io::IoBackend> {
 protected:
  static constexpr size_t kThreads = 2;

  void SetUp() override {
    std::string note;
    auto proactor = io::MakeProactor(GetParam(), clock_, &note);
    if (!proactor.ok()) GTEST_SKIP() << "this kernel has no such proactor";
    proactor_ = std::move(*proactor);
    for (size_t i = 0; i < kThreads; i++) threads_.push_back(*WorkerThread::Start(Cat("dns-", i + 1), clock_, GetParam(), &note));
    config_.listen = {*SocketAddress::Parse("127.0.0.1:0")};
    config_.zone.node = "host1";
  }
  void TearDown() override {
    if (server_ != nullptr) server_->Stop();
    server_.reset();
  }

  void Start() {
    server_ = std::make_unique<NameServer>(*proactor_, config_, clock_, random_, metrics_);
    for (auto& thread : threads_) server_->AddWorker(*thread);
    Status started = server_->Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  // The service has one endpoint, whose address is the number.
  void Change(uint32_t number) {
    std::string ip = Cat("10.", number >> 16 & 255, ".", number >> 8 & 255, ".", number & 255);
    server_->OnChanges({Put("host1", Serving("web-1", "host1", "web", "demo", ip))});
  }
  static uint32_t NumberOf(const Answered& a) {
    CHECK(a.rcode == 0 && a.answer.size() == 1);  // never none, never two
    auto ip = *IpAddress::Parse(a.answer[0].data);
    return Load32(ip.bytes().data()) & 0xffffff;
  }
  // With this thread's loop turned meanwhile: it is a worker too.
  Answered Ask(Client& client, size_t socket, const dns::Ask& ask) {
    client.Send(socket, ask);
    for (int i = 0; i < 100000; i++) {
      proactor_->Turn(0);
      if (auto answer = client.Receive(socket, i == 0 ? 0 : 1)) return *answer;
    }
    return {.silent = true};
  }
  uint64_t Answers(Metrics& metrics) { return metrics.counter("fairlead_dns_queries_total", "", {{"rcode", "NOERROR"}}).value(); }

  SystemClock clock_;
  SystemRandom random_;
  Metrics metrics_;
  Config config_;
  std::unique_ptr<io::Proactor> proactor_;
  std::vector<std::unique_ptr<WorkerThread>> threads_;
  std::unique_ptr<NameServer> server_;
};

INSTANTIATE_TEST_SUITE_P(Backends, WorkersTest, ::testing::Values(io::IoBackend::kUring, io::IoBackend::kEpoll));

TEST_P(WorkersTest, AllAnswer) {
  Start();
  Change(1);
  EXPECT_TRUE(server_->ready());
  Client client(server_->addresses()[0], 200);
  for (size_t socket = 0; socket < client.sockets(); socket++) EXPECT_EQ(NumberOf(Ask(client, socket, {.name = kName})), 1u);
  EXPECT_GT(Answers(metrics_), 0u);
  for (auto& thread : threads_) EXPECT_GT(Answers(thread->metrics()), 0u);
}

TEST_P(WorkersTest, AChangeIsSeenByAllWhenItIsMade) {
  Start();
  Change(1);
  Client client(server_->addresses()[0]);
  for (uint32_t number = 2; number < 50; number++) {
    Change(number);
    for (size_t socket = 0; socket < client.sockets(); socket++) ASSERT_EQ(NumberOf(Ask(client, socket, {.name = kName})), number);
  }
}

// While changes go on: an answer is never older than one that was there before its question.
TEST_P(WorkersTest, NoWorkerFallsBehindAnother) {
  Start();
  Change(1);
  std::atomic<bool> done = false;
  std::atomic<uint32_t> answered = 0;
  uint32_t last = 0, backward = 0;
  std::thread asking([&] {
    Client client(server_->addresses()[0]);
    for (size_t i = 0; !done; i++) {
      client.Send(i % client.sockets(), {.name = kName});
      std::optional<Answered> answer;
      while (!done && !(answer = client.Receive(i % client.sockets(), 10))) {
      }
      if (!answer) break;
      uint32_t number = NumberOf(*answer);
      backward += number < last;
      last = number;
      ++answered;
    }
  });
  for (uint32_t number = 2; answered < 3000; number++) {
    Change(number);
    proactor_->Turn(0);
  }
  done = true;
  asking.join();
  EXPECT_EQ(backward, 0u);
  EXPECT_GT(last, 1u);
}

TEST_P(WorkersTest, KnowEachOthersCookies) {
  Start();
  Client client(server_->addresses()[0], 64);
  std::string option("\0\12\0\10client01", 12);
  std::string cookie = Ask(client, 0, {.name = "fl.internal", .type = kSoa, .edns_bytes = 1232, .options = option}).options[kCookieOption];
  ASSERT_EQ(cookie.size(), kCookieBytes);
  option = std::string("\0\12\0\30", 4) + cookie;
  for (size_t socket = 1; socket < client.sockets(); socket++) {
    Answered a = Ask(client, socket, {.name = "fl.internal", .type = kSoa, .edns_bytes = 1232, .options = option});
    EXPECT_EQ(a.options[kCookieOption], cookie) << "one that another worker made is taken for ours";
  }
}

TEST_P(WorkersTest, SayThatRowsAreStaleAndLoadMasterFilesTogether) {
  const std::string path = Cat(::testing::TempDir(), "workers_", getpid(), ".zone");
  std::ofstream(path) << "www A 192.0.2.1\n";
  config_.records = {path};
  Start();
  Client client(server_->addresses()[0]);
  server_->SetStale(true);
  std::ofstream(path) << "www A 192.0.2.2\n";
  ASSERT_TRUE(server_->ReloadRecords().ok());
  for (size_t socket = 0; socket < client.sockets(); socket++) {
    Answered a = Ask(client, socket, {.name = "www.fl.internal", .edns_bytes = 1232});
    EXPECT_EQ(a.data(), std::set<std::string>{"192.0.2.2"});
    EXPECT_EQ(a.options.count(kExtendedErrorOption), 1u);
  }
  remove(path.c_str());
}

TEST_P(WorkersTest, NamesAnAddressThatIsInUse) {
  auto taken = io::UdpSocket::Open(*proactor_, *SocketAddress::Parse("127.0.0.1:0"));
  ASSERT_TRUE(taken.ok());
  config_.listen = {taken->address()};
  server_ = std::make_unique<NameServer>(*proactor_, config_, clock_, random_, metrics_);
  for (auto& thread : threads_) server_->AddWorker(*thread);
  EXPECT_THAT(Message(server_->Start()), ::testing::HasSubstr(taken->address().ToString()));
}

}  // namespace
}  // namespace fairlead::dns
