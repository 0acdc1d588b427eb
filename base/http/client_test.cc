#include "base/http/client.h"

#include <gmock/gmock.h>

#include "base/http/peer_test_util.h"

namespace fairlead::http {
namespace {

using testing::HasSubstr;

class Client : public OnProactor {
 protected:
  // A server of one connection: reads a head, sends `reply`, and closes or resets.
  enum class End { kClose, kReset, kStayOpen };
  static io::Task<void> ServeOnce(io::Listener& listener, std::vector<std::string> reply, End end, std::string* asked) {
    io::IoResult fd = co_await listener.Accept();
    if (!fd.ok()) co_return;
    io::Stream stream(listener.proactor(), fd.value());
    *asked = co_await ReadUntil(stream, "\r\n\r\n");
    for (const std::string& piece : reply) {
      io::IoResult sent = co_await stream.Send(piece);
      EXPECT_TRUE(sent.ok());
      (void)co_await io::Sleep(listener.proactor(), 0);  // a turn of the loop between two pieces
    }
    if (end == End::kReset) stream.Reset();
    if (end == End::kStayOpen) co_await ReadUntil(stream, "");  // until the client has closed
  }

  StatusOr<Response> FetchFrom(std::vector<std::string> reply, End end = End::kClose, Request request = {}) {
    io::Listener listener = Listen();
    group().Spawn(ServeOnce(listener, std::move(reply), end, &asked_));
    StatusOr<Response> response = Run(Fetch(proactor(), listener.address(), std::move(request), Soon()));
    EXPECT_TRUE(Until([this] { return group().live() == 0; }));
    return response;
  }
  static std::vector<std::string> Bytewise(std::string_view bytes) {
    std::vector<std::string> pieces;
    for (char c : bytes) pieces.emplace_back(1, c);
    return pieces;
  }

  std::string asked_;
};
INSTANTIATE_TEST_SUITE_P(, Client, testing::Values(io::IoBackend::kEpoll, io::IoBackend::kUring), IoBackendName);

TEST_P(Client, FetchesABodyOfGivenLength) {
  auto response = FetchFrom({"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"}, End::kStayOpen);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->body, "hello");
  EXPECT_EQ(response->header("x-a"), "b");
}

TEST_P(Client, FetchesAChunkedBody) {
  auto response = FetchFrom(Bytewise("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x\r\n!\r\n0\r\n\r\n"),
                            End::kStayOpen);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "hello!");
}

TEST_P(Client, FetchesABodyThatEndsWithTheConnection) {
  auto response = FetchFrom({"HTTP/1.0 200 OK\r\n\r\n", "hel", "lo"});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "hello");
}

TEST_P(Client, FetchesNoBodyOfHeadAndNoContent) {
  Request head;
  head.method = "HEAD";
  auto to_head = FetchFrom({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"}, End::kStayOpen, head);
  ASSERT_TRUE(to_head.ok()) << to_head.status();
  EXPECT_EQ(to_head->body, "");
  EXPECT_EQ(to_head->header("Content-Length"), "5");
  auto no_content = FetchFrom({"HTTP/1.1 204 No Content\r\n\r\n"}, End::kStayOpen);
  ASSERT_TRUE(no_content.ok()) << no_content.status();
}

TEST_P(Client, SkipsInterimResponses) {
  auto response = FetchFrom({"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->header("Link"), "");
}

TEST_P(Client, SaysWhatItWants) {
  Request request;
  request.method = "POST";
  request.target = "/x?y=z";
  request.headers = {{"Content-Type", "text/plain"}};
  ASSERT_TRUE(FetchFrom({"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, End::kStayOpen, request).ok());
  EXPECT_THAT(asked_, testing::StartsWith("POST /x?y=z HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(asked_, HasSubstr("\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
}

TEST_P(Client, RefusesToSayWhatWouldBeReadAsSomethingElse) {
  Request requests[6];
  requests[0].target = "/a b";
  requests[1].target = "/a HTTP/1.1\r\nX: y";
  requests[2].method = "GET /";
  requests[3].headers = {{"X", "y\r\nZ: a"}};
  requests[4].headers = {{"X: y\r\nZ", "a"}};
  requests[5].headers = {{"Transfer-Encoding", "chunked"}};
  for (const Request& request : requests) {
    auto response = Run(Fetch(proactor(), Loopback(), request, Soon()));
    EXPECT_EQ(response.status().code(), StatusCode::kInvalidArgument) << response.status();
  }
}

TEST_P(Client, NamesWhatBrokeOff) {
  struct {
    std::string bytes;
    End end;
    StatusCode code;
  } cases[] = {
      {"", End::kClose, StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nContent-Le", End::kClose, StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", End::kClose, StatusCode::kDataLoss},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", End::kClose, StatusCode::kDataLoss},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", End::kClose, StatusCode::kDataLoss},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello", End::kStayOpen, StatusCode::kDataLoss},
      {"HTTP/1.1 200 OK\r\n\r\nhell", End::kReset, StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", End::kStayOpen, StatusCode::kDataLoss},
      {"HTTP/2.0 200 OK\r\n\r\n", End::kStayOpen, StatusCode::kUnimplemented},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", End::kStayOpen, StatusCode::kDataLoss},
      {"SSH-2.0-OpenSSH_9.2p1\r\n", End::kStayOpen, StatusCode::kDataLoss},
  };
  for (const auto& c : cases) {
    auto response = FetchFrom({c.bytes}, c.end);
    EXPECT_EQ(response.status().code(), c.code) << c.bytes << " gave " << response.status();
    EXPECT_THAT(std::string(Message(response.status())), HasSubstr("GET / at 127.0.0.1:"));
  }
}

TEST_P(Client, BoundsHeadsAndInterimResponses) {
  std::string interim;
  for (int i = 0; i < 17; i++) interim += "HTTP/1.1 103 Early Hints\r\n\r\n";
  EXPECT_EQ(FetchFrom({interim}, End::kStayOpen).status().code(), StatusCode::kDataLoss);
  std::string fields;
  for (int i = 0; i < 101; i++) fields += "X: y\r\n";
  EXPECT_EQ(FetchFrom({"HTTP/1.1 200 OK\r\n" + fields}, End::kStayOpen).status().code(), StatusCode::kResourceExhausted);
  std::string endless = "HTTP/1.1 200 OK\r\nX: " + std::string(64 << 10, 'x');
  EXPECT_EQ(FetchFrom({endless}, End::kStayOpen).status().code(), StatusCode::kResourceExhausted);
}

TEST_P(Client, EndsAtItsDeadline) {
  io::Listener listener = Listen();
  group().Spawn(ServeOnce(listener, {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"}, End::kStayOpen, &asked_));
  auto response = Run(Fetch(proactor(), listener.address(), {}, proactor().Now() + 30 * kMillisecond));
  EXPECT_EQ(response.status().code(), StatusCode::kDeadlineExceeded) << response.status();
}

TEST_P(Client, NamesAnAddressWhereNobodyListens) {
  SocketAddress address = Listen().address();
  auto response = Run(Fetch(proactor(), address, {}, Soon()));
  EXPECT_EQ(response.status().code(), StatusCode::kUnavailable) << response.status();
  EXPECT_THAT(std::string(Message(response.status())), HasSubstr(address.ToString()));
}

TEST_P(Client, StreamsABodyAsItComes) {
  io::Listener listener = Listen();
  io::Stream server;
  group().Spawn([](io::Listener& l, io::Stream* out) -> io::Task<void> {
    io::IoResult fd = co_await l.Accept();
    *out = io::Stream(l.proactor(), fd.value());
    co_await ReadUntil(*out, "\r\n\r\n");
    (void)co_await out->Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
  }(listener, &server));
  StatusOr<ResponseStream> stream = Run(ResponseStream::Open(proactor(), listener.address(), {}, Soon()));
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(stream->head().status, 200);
  EXPECT_EQ(*Run(stream->Read()), "first");

  // A read that times out loses nothing: the next one goes on.
  stream->SetDeadline(proactor().Now() + 20 * kMillisecond);
  EXPECT_EQ(Run(stream->Read()).status().code(), StatusCode::kDeadlineExceeded);
  stream->SetDeadline(Soon());
  group().Spawn([](io::Stream& s) -> io::Task<void> { (void)co_await s.Send("6\r\nsecond\r\n0\r\n\r\n"); }(server));
  ResponseStream moved = *std::move(stream);
  EXPECT_EQ(*Run(moved.Read()), "second");
  EXPECT_EQ(*Run(moved.Read()), "");
  EXPECT_EQ(*Run(moved.Read()), "");
}

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

constexpr const char* kHangUp = "";      // a request is read and not answered
constexpr const char* kClose = "close";  // without reading anything more

// Connections that are kept: the server has a list of replies for each one that it accepts, and behind them waits for the
// client's end.
class KeptConnection : public OnProactor {
 protected:
  using Replies = std::vector<std::string>;
  static io::Task<void> ServeAll(io::Listener& listener, std::vector<Replies> connections, int* accepted, std::string* asked) {
    for (const Replies& replies : connections) {
      io::IoResult fd = co_await listener.Accept();
      if (!fd.ok()) co_return;
      ++*accepted;
      io::Stream stream(listener.proactor(), fd.value());
      bool closes = false;
      for (const std::string& reply : replies) {
        closes = reply == kHangUp || reply == kClose;
        if (reply == kClose) break;
        *asked += co_await ReadUntil(stream, "\r\n\r\n");
        EXPECT_TRUE(closes || (co_await stream.Send(reply)).ok());
      }
      if (!closes) co_await ReadUntil(stream, "");
    }
  }
  // What so many requests in a row give: their bodies, or why not.
  std::string Ask(std::vector<Replies> connections, int times) {
    io::Listener listener = Listen();
    group().Spawn(ServeAll(listener, std::move(connections), &accepted_, &asked_));
    std::string said;
    {
      KeptConnections kept(proactor(), listener.address());
      for (int i = 0; i < times; i++) {
        auto response = Run(kept.Fetch({}, Soon()));
        said += response.ok() ? Cat(response->body, ";") : Cat(Message(response.status()), ";");
      }
      idle_ = kept.idle();
    }
    EXPECT_TRUE(Until([this] { return group().live() == 0; }));
    return said;
  }

  int accepted_ = 0;
  size_t idle_ = 0;
  std::string asked_;
};
INSTANTIATE_TEST_SUITE_P(, KeptConnection, testing::Values(io::IoBackend::kEpoll, io::IoBackend::kUring), IoBackendName);

TEST_P(KeptConnection, CarriesTheNextRequest) {
  EXPECT_EQ(Ask({{kOk, "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnone\r\n0\r\n\r\n", kOk}}, 3), "ok;none;ok;");
  EXPECT_EQ(accepted_, 1);
  EXPECT_EQ(idle_, 1U);
  EXPECT_THAT(asked_, testing::Not(HasSubstr("Connection:")));
}

TEST_P(KeptConnection, ThatTheServerClosesOnARequestIsReplaced) {
  EXPECT_EQ(Ask({{kOk, kHangUp}, {kOk}}, 2), "ok;ok;");
  EXPECT_EQ(accepted_, 2);
}

TEST_P(KeptConnection, ThatTheServerClosedMeanwhileIsReplaced) {
  EXPECT_EQ(Ask({{kOk, kClose}, {kOk, kClose}, {kOk}}, 3), "ok;ok;ok;");
  EXPECT_EQ(accepted_, 3);
}

TEST_P(KeptConnection, IsAskedOnceWhereAnAnswerBeganOrTheConnectionIsNew) {
  EXPECT_THAT(Ask({{kOk, "HTTP/1.1 200 OK\r\nConte", kClose}}, 2), HasSubstr("ok;GET / at 127.0.0.1:"));
  EXPECT_THAT(Ask({{kHangUp}}, 1), HasSubstr("the connection ended before the response"));
}

TEST_P(KeptConnection, EndsWithWhatTheServerWillNotGoOn) {
  for (const char* last : {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
                           "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok?"}) {
    EXPECT_EQ(Ask({{last}}, 1), "ok;");
    EXPECT_EQ(idle_, 0U) << last;
  }
}

TEST_P(KeptConnection, IsClosedBeyondTheLimit) {
  io::Listener listener = Listen();
  size_t answering = 0;
  auto serve = [](io::Listener& l, int fd, size_t* waiting) -> io::Task<void> {
    io::Stream stream(l.proactor(), fd);
    co_await ReadUntil(stream, "\r\n\r\n");
    ++*waiting;
    while (*waiting <= KeptConnections::kMaxIdle) (void)co_await io::Sleep(l.proactor(), kMillisecond);  // all at once
    (void)co_await stream.Send(kOk);
    co_await ReadUntil(stream, "");
  };
  group().Spawn([](io::Listener& l, auto serve, io::TaskGroup& group, size_t* waiting) -> io::Task<void> {
    for (size_t i = 0; i <= KeptConnections::kMaxIdle; i++) group.Spawn(serve(l, (co_await l.Accept()).value(), waiting));
  }(listener, serve, group(), &answering));
  {
    KeptConnections kept(proactor(), listener.address());
    size_t answered = 0;
    auto ask = [](KeptConnections& kept, Nanos deadline, size_t* answered) -> io::Task<void> {
      *answered += (co_await kept.Fetch({}, deadline)).ok();
    };
    for (size_t i = 0; i <= KeptConnections::kMaxIdle; i++) group().Spawn(ask(kept, Soon(), &answered));
    EXPECT_TRUE(Until([&] { return answered == KeptConnections::kMaxIdle + 1; }));
    EXPECT_EQ(kept.idle(), KeptConnections::kMaxIdle);
  }
  EXPECT_TRUE(Until([this] { return group().live() == 0; }));
}

}  // namespace
}  // namespace fairlead::http
