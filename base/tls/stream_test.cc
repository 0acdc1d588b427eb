// Streams through TLS on the kernel's proactors and in the simulator: what holds of a plain stream holds of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/io/contract_fixture.h"
#include "base/io/epoll_proactor.h"
#include "base/io/uring_proactor.h"
#include "base/sim/sim_proactor.h"
#include "base/tls/certificate_fixture.h"
#include "base/tls/handshake.h"

namespace fairlead::tls {
namespace {

using io::BufferGroup;
using io::IoResult;
using io::Proactor;
using io::Socket;
using io::Stream;
using io::Task;
using testing::HasSubstr;

template <class T, class Options>
class KernelHost final : public io::ContractHost {
 public:
  static std::unique_ptr<io::ContractHost> Make(bool) { return std::make_unique<KernelHost>(); }
  KernelHost() : proactor_(*T::Create(clock_, Options{})) {}
  Proactor& proactor() override { return *proactor_; }
  std::string UnixPath() override { return ""; }

 private:
  SystemClock clock_;
  std::unique_ptr<Proactor> proactor_;
};

class SimHost final : public io::ContractHost {
 public:
  static std::unique_ptr<io::ContractHost> Make(bool) { return std::make_unique<SimHost>(); }
  SimHost() : world_(/*seed=*/1), proactor_(world_, IpAddress::V4(0x0a000001), {}) {}
  Proactor& proactor() override { return proactor_; }
  std::string UnixPath() override { return ""; }

 private:
  sim::SimWorld world_;
  sim::SimProactor proactor_;
};

std::string Pattern(size_t bytes) {
  std::string pattern(bytes, '\0');
  for (size_t i = 0; i < bytes; i++) pattern[i] = static_cast<char>((i * 2654435761u) >> 13);
  return pattern;
}

class TlsStream : public io::ProactorContract {
 protected:
  void SetUp() override {
    io::ProactorContract::SetUp();
    CertificateFiles web = folder_.Issue("web", {"web.test"});
    ServerOptions server;
    server.certificates = {{web.cert, web.key, ""}};
    server_ = *TlsContext::Server(server);
    client_ = *TlsContext::Client({.ca = folder_.ca(), .server_name = "web.test", .verify = true, .cert = "", .key = "",
                                   .alpn = {}});
  }
  static Task<void> Shake(Stream& stream, std::shared_ptr<const TlsContext> context, Status* out) {
    Nanos deadline = stream.socket()->proactor().Now() + 5 * kSecond;
    StatusOr<TlsFacts> facts = co_await Handshake(stream, std::move(context), deadline);
    *out = facts.status();
  }
  // Two ends of a connection through TLS.
  Pair Secured(BufferGroup buffers = BufferGroup::kSmall) {
    Pair pair = Connected(buffers);
    Status client = Unavailable("pending"), server = Unavailable("pending");
    group().Spawn(Shake(pair.server, server_, &server));
    Run(Shake(pair.client, client_, &client));
    EXPECT_TRUE(client.ok()) << client;
    EXPECT_TRUE(server.ok()) << server;
    EXPECT_TRUE(pair.client.secured() && pair.server.secured());
    return pair;
  }

  CertificateFolder folder_;
  std::shared_ptr<const TlsContext> server_, client_;
};

INSTANTIATE_TEST_SUITE_P(
    Proactors, TlsStream,
    testing::Values(io::ContractBackend{"uring", KernelHost<io::UringProactor, io::UringOptions>::Make},
                    io::ContractBackend{"epoll", KernelHost<io::EpollProactor, io::EpollOptions>::Make},
                    io::ContractBackend{"sim", SimHost::Make}),
    io::BackendName);

TEST_P(TlsStream, CarriesBytesBothWays) {
  Pair pair = Secured();
  std::string at_server, at_client;
  Run(SendAll(pair.client, "request"));
  Run(ReceiveInto(pair.server, 7, &at_server));
  Run(SendAll(pair.server, "answer"));
  Run(ReceiveInto(pair.client, 6, &at_client));
  EXPECT_EQ(at_server, "request");
  EXPECT_EQ(at_client, "answer");
}

TEST_P(TlsStream, LargeTransferArrivesWholeAndInOrder) {
  Pair pair = Secured(BufferGroup::kLarge);
  const std::string sent = Pattern(3 << 20);
  std::string received;
  IoResult result = Pending();
  group().Spawn(SendAll(pair.client, sent, &result));
  Run(ReceiveInto(pair.server, sent.size(), &received));
  EXPECT_EQ(result, IoResult::Ok());
  EXPECT_TRUE(received == sent);
}

TEST_P(TlsStream, BothSidesMaySendMuchAtOnce) {
  Pair pair = Secured();
  const std::string up = Pattern(1 << 20), down = Pattern(1'200'000);
  std::string at_server, at_client;
  group().Spawn(SendAll(pair.client, up));
  group().Spawn(SendAll(pair.server, down));
  group().Spawn(ReceiveInto(pair.server, up.size(), &at_server));
  Run(ReceiveInto(pair.client, down.size(), &at_client));
  EXPECT_TRUE(at_server == up);
  EXPECT_TRUE(at_client == down);
}

TEST_P(TlsStream, PieceMayBeReadInParts) {
  Pair pair = Secured();
  Run(SendAll(pair.client, "one two"));
  IoResult result = Pending();
  Run(ReceiveOnce(pair.server, &result));
  EXPECT_EQ(result, IoResult::Ok(7));
  io::Chunk chunk = pair.server.Take();
  chunk.Skip(4);
  io::Chunk moved = std::move(chunk);
  EXPECT_EQ(moved.view(), "two");
  moved.Skip(3);
  EXPECT_TRUE(moved.empty());
}

TEST_P(TlsStream, AnnouncedEndComesBehindTheDataAndStays) {
  Pair pair = Secured();
  std::string received;
  IoResult last = Pending(), again = Pending();
  Run(SendAll(pair.client, "bye"));
  pair.client.Close();
  Run(ReceiveInto(pair.server, 100, &received, &last));
  Run(ReceiveOnce(pair.server, &again));
  EXPECT_EQ(received, "bye");
  EXPECT_TRUE(last.is_end());
  EXPECT_TRUE(again.is_end());
}

// An attacker can send a FIN: a body that ends with the connection must not be cut unnoticed.
TEST_P(TlsStream, EndWithoutAnnouncementIsAnError) {
  Pair pair = Secured();
  std::string received;
  IoResult last = Pending();
  Run(SendAll(pair.client, "half of it"));
  proactor().ShutdownWrite(pair.client.socket()->fd());  // past the record layer
  Run(ReceiveInto(pair.server, 100, &received, &last));
  EXPECT_EQ(received, "half of it");
  EXPECT_EQ(last, IoResult::Error(ECONNRESET));
}

TEST_P(TlsStream, HalfClosedPeerStillGetsTheAnswer) {
  Pair pair = Secured();
  std::string request, answer;
  IoResult last = Pending();
  Run(SendAll(pair.client, "request"));
  pair.client.ShutdownWrite();
  Run(ReceiveInto(pair.server, 100, &request, &last));
  EXPECT_EQ(request, "request");
  EXPECT_TRUE(last.is_end());
  Run(SendAll(pair.server, "answer"));
  Run(ReceiveInto(pair.client, 6, &answer));
  EXPECT_EQ(answer, "answer");
}

TEST_P(TlsStream, ResetIsAnErrorAndNoEnd) {
  Pair pair = Secured();
  IoResult result = Pending();
  group().Spawn(ReceiveOnce(pair.server, &result));
  proactor().Turn(0);
  pair.client.Reset();
  ASSERT_TRUE(Until([&] { return result != Pending(); }));
  EXPECT_EQ(result, IoResult::Error(ECONNRESET));
}

TEST_P(TlsStream, BytesThatAreNoRecordsAreAnError) {
  Pair pair = Secured();
  std::string_view noise = "GET / HTTP/1.1\r\n\r\n";
  ASSERT_GT(proactor().TrySend(pair.client.socket()->fd(), noise.data(), noise.size()), 0);
  IoResult result = Pending();
  Run(ReceiveOnce(pair.server, &result));
  EXPECT_EQ(result, IoResult::Error(EPROTO));
}

TEST_P(TlsStream, CancelledWaitLosesNoByte) {
  Pair pair = Secured();
  pair.server.SetDeadline(proactor().Now() + 20 * kMillisecond);
  IoResult result = Pending();
  Run(ReceiveOnce(pair.server, &result));
  EXPECT_TRUE(result.timed_out());
  pair.server.SetDeadline(kNever);
  Run(SendAll(pair.client, "late"));
  std::string received;
  Run(ReceiveInto(pair.server, 4, &received));
  EXPECT_EQ(received, "late");
}

TEST_P(TlsStream, ReceiveOnDemandCarriesAll) {
  Pair pair = Secured();
  const std::string sent = Pattern(1 << 20);
  std::string received;
  pair.server.socket()->ReceiveOnDemand(true);
  group().Spawn(SendAll(pair.client, sent));
  Run(ReceiveInto(pair.server, sent.size(), &received));
  EXPECT_TRUE(received == sent);
}

struct Pool final : Socket::IdleListener {
  void OnIdleEvent(Socket& socket) override {
    socket.Release();
    ++events;
  }
  int events = 0;
};

// The tickets of TLS 1.3 come after the handshake: the client has not read them when its connection turns idle.
TEST_P(TlsStream, IdleConnectionStaysIdleWhenATicketComes) {
  Pair pair = Secured();
  Pool pool;
  EXPECT_FALSE(pair.client.socket()->has_input());
  Socket* idle = pair.client.ReleaseSocket();
  idle->SetIdleListener(&pool);
  idle->Arm();
  Pass(20 * kMillisecond);
  EXPECT_EQ(pool.events, 0);
  idle->SetIdleListener(nullptr);
  Stream again(idle);
  EXPECT_TRUE(again.secured());
  std::string received;
  Run(SendAll(again, "request"));
  Run(ReceiveInto(pair.server, 7, &received));
  EXPECT_EQ(received, "request");
}

TEST_P(TlsStream, IdleConnectionTellsOfItsEndAndOfBytes) {
  for (bool end : {true, false}) {
    Pair pair = Secured();
    Pool pool;
    Socket* idle = pair.client.ReleaseSocket();
    idle->SetIdleListener(&pool);
    idle->Arm();
    proactor().Turn(0);
    if (end) {
      pair.server.Close();
    } else {
      Run(SendAll(pair.server, "unasked"));
    }
    EXPECT_TRUE(Until([&] { return pool.events == 1; })) << end;
  }
}

TEST_P(TlsStream, HandshakeEndsAtItsDeadline) {
  Pair pair = Connected();
  Status status;
  Run([](Stream& stream, std::shared_ptr<const TlsContext> context, Status* out) -> Task<void> {
    Nanos deadline = stream.socket()->proactor().Now() + 20 * kMillisecond;
    StatusOr<TlsFacts> facts = co_await Handshake(stream, std::move(context), deadline);
    *out = facts.status();
  }(pair.server, server_, &status));
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
}

TEST_P(TlsStream, HandshakeFailsWhenThePeerGoes) {
  Pair pair = Connected();
  pair.client.Close();
  Status status;
  Run(Shake(pair.server, server_, &status));
  EXPECT_THAT(std::string(Message(status)), HasSubstr("the peer closed the connection"));
}

TEST_P(TlsStream, BothSidesLearnWhyAHandshakeFailed) {
  client_ = *TlsContext::Client({.ca = folder_.ca(), .server_name = "elsewhere.test", .verify = true, .cert = "",
                                 .key = "", .alpn = {}});
  Pair pair = Connected();
  Status client, server;
  group().Spawn(Shake(pair.server, server_, &server));
  Run(Shake(pair.client, client_, &client));
  EXPECT_THAT(std::string(Message(client)), HasSubstr("not for elsewhere.test"));
  EXPECT_THAT(std::string(Message(server)), HasSubstr("alert bad certificate"));
}

}  // namespace
}  // namespace fairlead::tls
