#include "base/dns/ares_resolver.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>

#include "base/io/await.h"
#include "base/strings.h"

namespace fairlead::dns {
namespace {

using Outcome = HostAnswer::Outcome;
using testing::ElementsAre;

constexpr uint16_t kTypeA = 1, kTypeCname = 5, kTypeAaaa = 28;

struct Record {
  uint16_t type;
  uint32_t ttl;
  std::string data;                   // as on the wire
};
struct Zone {
  std::vector<Record> records;        // of all names alike: an alias' target follows under its own name
  uint8_t rcode = 0;
  bool truncate = false;              // over UDP
  bool silent = false;
};

void Put16(std::string& out, unsigned value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}
void Put32(std::string& out, uint32_t value) {
  Put16(out, value >> 16);
  Put16(out, value & 0xffff);
}
std::string Wire(std::string_view name) {
  std::string out;
  for (std::string_view label : Split(name, '.')) {
    out += static_cast<char>(label.size());
    out += label;
  }
  return out + '\0';
}
std::string V4(const char* text) {
  in_addr ip;
  inet_pton(AF_INET, text, &ip);
  return {reinterpret_cast<const char*>(&ip), sizeof ip};
}
std::string V6(const char* text) {
  in6_addr ip;
  inet_pton(AF_INET6, text, &ip);
  return {reinterpret_cast<const char*>(&ip), sizeof ip};
}

// A name server of one thread, UDP and TCP on one port, whose answers are typed in.
class NameServer {
 public:
  NameServer() {
    udp_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    tcp_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    CHECK(bind(udp_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(getsockname(udp_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    CHECK(bind(tcp_, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(tcp_, 8) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~NameServer() {
    shutdown(udp_, SHUT_RDWR);
    shutdown(tcp_, SHUT_RDWR);
    for (std::thread& thread : threads_) thread.join();
    close(udp_);
    close(tcp_);
  }
  // After this the zones stay as they are.
  void Serve() {
    threads_.emplace_back([this] { ServeUdp(); });
    threads_.emplace_back([this] { ServeTcp(); });
  }
  SocketAddress address() const { return *SocketAddress::Parse(Cat("127.0.0.1:", port_)); }

  std::map<std::string, Zone> zones;
  std::atomic<int> over_udp = 0, over_tcp = 0;

 private:
  void ServeUdp() {
    char room[512];
    sockaddr_in peer;
    for (socklen_t size = sizeof peer;; size = sizeof peer) {
      const ssize_t bytes = recvfrom(udp_, room, sizeof room, 0, reinterpret_cast<sockaddr*>(&peer), &size);
      if (bytes <= 0) return;
      ++over_udp;
      const std::string reply = Answer({room, static_cast<size_t>(bytes)}, /*tcp=*/false);
      if (!reply.empty()) (void)sendto(udp_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
    }
  }
  void ServeTcp() {
    for (int fd; (fd = accept(tcp_, nullptr, nullptr)) >= 0; close(fd)) {
      char room[514];
      const ssize_t bytes = recv(fd, room, sizeof room, 0);
      if (bytes <= 2) continue;
      ++over_tcp;
      const std::string reply = Answer({room + 2, static_cast<size_t>(bytes) - 2}, /*tcp=*/true);
      std::string framed;
      Put16(framed, static_cast<unsigned>(reply.size()));
      framed += reply;
      (void)send(fd, framed.data(), framed.size(), MSG_NOSIGNAL);
      recv(fd, room, sizeof room, 0);  // the end
    }
  }
  std::string Answer(std::string_view query, bool tcp) {
    std::string name;
    size_t at = 12;
    for (; query[at] != 0; at += 1 + static_cast<size_t>(query[at])) {
      if (!name.empty()) name += '.';
      name += query.substr(at + 1, static_cast<size_t>(query[at]));
    }
    const std::string_view question = query.substr(12, at - 12 + 5);
    const auto type = static_cast<uint16_t>(static_cast<uint8_t>(query[at + 1]) << 8 | static_cast<uint8_t>(query[at + 2]));
    auto zone = zones.find(name);
    if (zone != zones.end() && zone->second.silent) return {};
    const unsigned rcode = zone == zones.end() ? 3 : zone->second.rcode;
    const bool truncated = zone != zones.end() && zone->second.truncate && !tcp;
    std::string records;
    unsigned count = 0;
    for (const Record& record : zone == zones.end() || truncated ? std::vector<Record>() : zone->second.records) {
      if (record.type != type && record.type != kTypeCname) continue;
      records += record.type == kTypeCname ? Wire(name) : zone->second.records.front().type == kTypeCname ? zone->second.records.front().data : Wire(name);
      Put16(records, record.type);
      Put16(records, 1);
      Put32(records, record.ttl);
      Put16(records, static_cast<unsigned>(record.data.size()));
      records += record.data;
      count++;
    }
    std::string reply(query.substr(0, 2));
    Put16(reply, 0x8180 | rcode | (truncated ? 0x0200 : 0));
    Put16(reply, 1);
    Put16(reply, count);
    Put32(reply, 0);
    return reply + std::string(question) + records;
  }

  int udp_, tcp_;
  uint16_t port_;
  std::vector<std::thread> threads_;
};

class AresResolverTest : public testing::TestWithParam<io::IoBackend> {
 protected:
  AresResolverTest() : proactor_(*io::MakeProactor(GetParam(), clock_, nullptr)) {
    char path[] = "/tmp/fairlead-resolv-XXXXXX";
    CHECK(mkdtemp(path) != nullptr);
    folder_ = path;
  }
  void TearDown() override {
    tasks_.Drain(*proactor_);
    resolver_.reset();
    std::ignore = system(Cat("rm -rf ", folder_).c_str());
  }
  void Start(AresOptions options) {
    options.resolv_conf = folder_ + "/resolv.conf";
    resolver_ = *AresResolver::Make(*proactor_, std::move(options));
    tasks_.Spawn(resolver_->Run());
  }
  HostAnswer Ask(const std::string& host, Family family) {
    HostAnswer answer;
    auto ask = [](AresResolver& resolver, std::string name, Family f, HostAnswer& out) -> io::Task<void> {
      out = co_await resolver.Resolve(std::move(name), f);
    };
    io::TaskGroup group;
    group.Spawn(ask(*resolver_, host, family, answer));
    while (group.live() > 0) proactor_->Turn(kSecond);
    return answer;
  }
  void WriteResolvConf(const std::string& text) { std::ofstream(folder_ + "/resolv.conf") << text; }

  SystemClock clock_;
  std::unique_ptr<io::Proactor> proactor_;
  std::string folder_;
  NameServer server_;
  std::unique_ptr<AresResolver> resolver_;
  io::TaskGroup tasks_;
};

INSTANTIATE_TEST_SUITE_P(Kernel, AresResolverTest, testing::Values(io::IoBackend::kUring, io::IoBackend::kEpoll),
                         [](const auto& info) { return info.param == io::IoBackend::kUring ? "uring" : "epoll"; });

TEST_P(AresResolverTest, GivesEachFamilyWithItsTtl) {
  server_.zones["db.test"].records = {{kTypeA, 30, V4("10.0.0.7")}, {kTypeA, 20, V4("10.0.0.8")}, {kTypeAaaa, 60, V6("fd00::7")}};
  server_.Serve();
  Start({.servers = {server_.address()}});
  const HostAnswer v4 = Ask("db.test", Family::kV4), v6 = Ask("db.test", Family::kV6);
  EXPECT_EQ(v4.outcome, Outcome::kFound);
  EXPECT_THAT(v4.addresses, testing::UnorderedElementsAre(*IpAddress::Parse("10.0.0.7"), *IpAddress::Parse("10.0.0.8")));
  EXPECT_EQ(v4.ttl, 20 * kSecond);
  EXPECT_THAT(v6.addresses, ElementsAre(*IpAddress::Parse("fd00::7")));
  EXPECT_EQ(v6.ttl, kMinute);
}

TEST_P(AresResolverTest, AnAliasShortensTheTtl) {
  server_.zones["db.test"].records = {{kTypeCname, 5, Wire("real.test")}, {kTypeA, 300, V4("10.0.0.7")}};
  server_.Serve();
  Start({.servers = {server_.address()}});
  const HostAnswer answer = Ask("db.test", Family::kV4);
  EXPECT_THAT(answer.addresses, ElementsAre(*IpAddress::Parse("10.0.0.7")));
  EXPECT_EQ(answer.ttl, 5 * kSecond);
}

TEST_P(AresResolverTest, TellsNoSuchNameFromNoAddressAndFromAFailure) {
  server_.zones["v4.test"].records = {{kTypeA, 30, V4("10.0.0.7")}};
  server_.zones["broken.test"].rcode = 2;
  server_.Serve();
  Start({.servers = {server_.address()}});
  EXPECT_EQ(Ask("nobody.test", Family::kV4).outcome, Outcome::kGone);
  EXPECT_EQ(Ask("nobody.test", Family::kV4).reason, "there is no such name (NXDOMAIN)");
  EXPECT_EQ(Ask("v4.test", Family::kV6).outcome, Outcome::kNone);
  EXPECT_EQ(Ask("broken.test", Family::kV4).outcome, Outcome::kFailed);
}

TEST_P(AresResolverTest, ASilentServerIsAFailureInTime) {
  server_.zones["silent.test"].silent = true;
  server_.Serve();
  Start({.servers = {server_.address()}, .timeout = 50 * kMillisecond, .tries = 2});
  const HostAnswer answer = Ask("silent.test", Family::kV4);
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.reason, "no name server answered in time");
  EXPECT_EQ(server_.over_udp, 2);
}

TEST_P(AresResolverTest, AnAnswerThatIsTooLongComesOverTcp) {
  Zone& zone = server_.zones["many.test"];
  zone.truncate = true;
  for (int i = 0; i < 60; i++) zone.records.push_back({kTypeA, 30, V4(Cat("10.0.1.", i).c_str())});
  server_.Serve();
  Start({.servers = {server_.address()}});
  EXPECT_EQ(Ask("many.test", Family::kV4).addresses.size(), 60u);
  EXPECT_EQ(server_.over_tcp, 1);
}

TEST_P(AresResolverTest, CancelledQuestionsEnd) {
  server_.zones["silent.test"].silent = true;
  server_.Serve();
  Start({.servers = {server_.address()}, .timeout = kMinute});
  HostAnswer answer;
  auto ask = [](AresResolver& resolver, HostAnswer& out) -> io::Task<void> { out = co_await resolver.Resolve("silent.test", Family::kV4); };
  tasks_.Spawn(ask(*resolver_, answer));
  while (server_.over_udp == 0) proactor_->Turn(10 * kMillisecond);
  tasks_.Drain(*proactor_);
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(resolver_->asking(), 0u);
}

TEST_P(AresResolverTest, ReadsResolvConfAgainWhenItIsAnotherOne) {
  server_.zones["db.test"].records = {{kTypeA, 30, V4("10.0.0.7")}};
  server_.Serve();
  WriteResolvConf("nameserver 127.0.0.1\n");  // port 53: resolv.conf has no ports
  Start({.timeout = 50 * kMillisecond, .tries = 1});
  const size_t before = resolver_->channels();
  (void)Ask("localhost", Family::kV4);
  EXPECT_EQ(resolver_->channels(), before);
  WriteResolvConf("nameserver 127.0.0.2\nsearch test\n");
  EXPECT_THAT(Ask("localhost", Family::kV4).addresses, ElementsAre(*IpAddress::Parse("127.0.0.1")));
  EXPECT_EQ(resolver_->channels(), before + 1);
}

}  // namespace
}  // namespace fairlead::dns
