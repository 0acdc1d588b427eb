#include "base/http/server.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "base/http/client.h"
#include "base/http/peer_test_util.h"

namespace fairlead::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Answers with what it was asked.
io::Task<Reply> Echo(const Request& request, const RequestContext&) {
  Reply reply;
  reply.headers = {{"Content-Type", "text/plain"}, {"Date", "now"}};
  reply.body = Cat(request.method, " ", request.target, " ", request.body);
  co_return reply;
}

class ServerTest : public OnProactor {
 protected:
  void Start(Server::Handler handler = Echo, ServerLimits limits = {}, const SocketAddress& at = Loopback()) {
    server_ = std::make_unique<Server>(proactor(), std::move(handler), limits);
    io::Listener listener = Listen(at);
    address_ = listener.address();
    server_->Serve(std::move(listener));
  }
  void TearDown() override {
    if (server_ != nullptr) RunVoid(server_->Stop());
    if (server_ != nullptr) EXPECT_EQ(server_->connections(), 0u);
    server_.reset();
    OnProactor::TearDown();
  }

  io::Stream Connect() {
    StatusOr<io::Stream> stream = Run(io::Dial(proactor(), address_, Soon()));
    EXPECT_TRUE(stream.ok()) << stream.status();
    return *std::move(stream);
  }
  void Send(io::Stream& stream, std::string bytes) { EXPECT_TRUE(Run(SendTask(stream, std::move(bytes))).ok()); }
  std::string Read(io::Stream& stream, std::string until) { return Run(ReadUntil(stream, std::move(until))); }
  // What a connection gives for these bytes until the server closes it.
  std::string Talk(std::string bytes) {
    io::Stream stream = Connect();
    Send(stream, std::move(bytes));
    return Read(stream, "");
  }
  static io::Task<io::IoResult> SendTask(io::Stream& stream, std::string bytes) { co_return co_await stream.Send(bytes); }
  static std::string Answer(std::string_view body, std::string_view connection = "") {
    return Cat("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: now\r\nContent-Length: ", body.size(), "\r\n",
               connection, "\r\n", body);
  }

  std::unique_ptr<Server> server_;
  SocketAddress address_;
};
INSTANTIATE_TEST_SUITE_P(, ServerTest, testing::Values(io::IoBackend::kEpoll, io::IoBackend::kUring), IoBackendName);

TEST_P(ServerTest, AnswersAndKeepsTheConnection) {
  Start();
  io::Stream stream = Connect();
  Send(stream, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(Read(stream, "GET /a "), Answer("GET /a "));
  Send(stream, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_EQ(Read(stream, " hi"), Answer("POST /b hi"));
  EXPECT_EQ(server_->requests(), 2u);
}

TEST_P(ServerTest, AnswersPipelinedRequestsInOrder) {
  Start();
  EXPECT_EQ(Talk("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
                 "POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
                 "GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                 "GET /never HTTP/1.1\r\nHost: h\r\n\r\n"),
            Answer("GET /1 ") + Answer("POST /2 hi") + Answer("GET /3 ", "Connection: close\r\n") + "|end");
  EXPECT_EQ(server_->requests(), 3u);
}

TEST_P(ServerTest, AnswersARequestThatComesByteByByte) {
  Start();
  io::Stream stream = Connect();
  for (char c : std::string("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\nT: x\r\n\r\n"))
    Send(stream, std::string(1, c));
  EXPECT_EQ(Read(stream, " hi"), Answer("POST / hi"));
}

TEST_P(ServerTest, AnswersAClientThatHasClosedItsSide) {
  Start();
  io::Stream stream = Connect();
  Send(stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  stream.ShutdownWrite();
  EXPECT_EQ(Read(stream, ""), Answer("GET / ") + "|end");
}

TEST_P(ServerTest, AcceptsAnEmptyHost) {
  Start();
  EXPECT_THAT(Talk("POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_P(ServerTest, GivesTargetsInOriginForm) {
  Start();
  EXPECT_THAT(Talk("GET http://h?x HTTP/1.0\r\n\r\n"), EndsWith("GET /?x |end"));
  EXPECT_THAT(Talk("GET http://h/p HTTP/1.0\r\n\r\n"), EndsWith("GET /p |end"));
  EXPECT_THAT(Talk("OPTIONS * HTTP/1.0\r\n\r\n"), EndsWith("OPTIONS * |end"));
}

TEST_P(ServerTest, KeepsAConnectionOfHttp10OnlyWhenAsked) {
  Start();
  EXPECT_EQ(Talk("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
            Answer("GET / ", "Connection: keep-alive\r\n") + Answer("GET / ", "Connection: close\r\n") + "|end");
}

TEST_P(ServerTest, GivesHeadTheHeadOfGet) {
  Start();
  EXPECT_EQ(Talk("HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: now\r\nContent-Length: 8\r\nConnection: close\r\n\r\n|end");
}

TEST_P(ServerTest, WritesTheFramingItself) {
  Start([](const Request& request, const RequestContext&) -> io::Task<Reply> {
    Reply reply;
    reply.status = request.path() == "/204" ? 204 : 200;
    reply.headers = {{"Content-Length", "99"}, {"connection", "x"}, {"Transfer-Encoding", "chunked"}, {"Date", "now"}};
    reply.body = "hi";
    co_return reply;
  });
  EXPECT_EQ(Talk("GET / HTTP/1.0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi|end");
  EXPECT_EQ(Talk("GET /204 HTTP/1.0\r\n\r\n"), "HTTP/1.1 204 No Content\r\nDate: now\r\nConnection: close\r\n\r\n|end");
}

TEST_P(ServerTest, AddsTheDate) {
  Start([](const Request&, const RequestContext&) -> io::Task<Reply> { co_return Reply(); });
  EXPECT_THAT(Talk("GET / HTTP/1.0\r\n\r\n"), testing::ContainsRegex("\r\nDate: [A-Z].., .. ... 20.. ..:..:.. GMT\r\n"));
}

TEST_P(ServerTest, AnswersAMalformedHeaderOfTheHandlerWith500) {
  Start([](const Request& request, const RequestContext&) -> io::Task<Reply> {
    Reply reply;
    if (request.path() == "/status") reply.status = 42;
    if (request.path() == "/header") reply.headers = {{"X", "a\r\nY: b"}};
    co_return reply;
  });
  for (const char* path : {"/status", "/header"}) {
    std::string answer = Talk(Cat("GET ", path, " HTTP/1.0\r\n\r\n"));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 Internal Server Error\r\n"));
    EXPECT_THAT(answer, HasSubstr("{\"error\":{\"code\":\"INTERNAL\","));
  }
}

TEST_P(ServerTest, RefusesInTheFormOfTheApi) {
  Start(Echo, {.head_bytes = 1000, .body_bytes = 100});
  std::string fields;
  for (int i = 0; i < 101; i++) fields += "X: y\r\n";
  struct {
    std::string bytes;
    std::string_view status, code;
  } cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "INVALID_ARGUMENT"},
      {"GET / HTTP/1.1\n", "400 Bad Request", "INVALID_ARGUMENT"},
      {"\x16\x03\x01\x02\n", "400 Bad Request", "INVALID_ARGUMENT"},
      {"POST / HTTP/1.1\r\nHost:\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Bad Request",
       "INVALID_ARGUMENT"},
      {"POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "400 Bad Request", "INVALID_ARGUMENT"},
      {"POST / HTTP/1.1\r\nHost:\r\nContent-Length: 101\r\n\r\n", "413 Content Too Large", "RESOURCE_EXHAUSTED"},
      {"POST / HTTP/1.1\r\nHost:\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n", "413 Content Too Large",
       "RESOURCE_EXHAUSTED"},
      {Cat("POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", std::string(101, 'x'), "\r\n"),
       "413 Content Too Large", "RESOURCE_EXHAUSTED"},
      {Cat("GET /", std::string(1000, 'x')), "431 Request Header Fields Too Large", "RESOURCE_EXHAUSTED"},
      {Cat("GET / HTTP/1.1\r\nHost:\r\nX: ", std::string(1000, 'x'), "\r\n\r\n"), "431 Request Header Fields Too Large",
       "RESOURCE_EXHAUSTED"},
      {Cat("GET / HTTP/1.1\r\nHost:\r\n", fields, "\r\n"), "431 Request Header Fields Too Large", "RESOURCE_EXHAUSTED"},
      {"POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: gzip\r\n\r\n", "501 Not Implemented", "UNIMPLEMENTED"},
      {"GET / HTTP/1.2\r\nHost:\r\n\r\n", "505 HTTP Version Not Supported", "UNIMPLEMENTED"},
  };
  for (const auto& c : cases) {
    std::string answer = Talk(c.bytes);
    EXPECT_THAT(answer, StartsWith(Cat("HTTP/1.1 ", c.status, "\r\n"))) << c.bytes;
    EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n"));
    EXPECT_THAT(answer, HasSubstr(Cat("\r\n\r\n{\"error\":{\"code\":\"", c.code, "\",\"message\":\"")));
    EXPECT_THAT(answer, EndsWith("\"}}|end"));
  }
  EXPECT_EQ(server_->requests(), 0u);
}

TEST_P(ServerTest, LetsAClientReadARefusalWhileItStillSends) {
  Start(Echo, {.body_bytes = 100});
  io::Stream stream = Connect();
  Send(stream, "POST / HTTP/1.1\r\nHost:\r\nContent-Length: 1000000\r\n\r\n");
  Send(stream, std::string(1000000, 'x'));
  EXPECT_THAT(Read(stream, ""), testing::AllOf(StartsWith("HTTP/1.1 413 "), EndsWith("}}|end")));
}

TEST_P(ServerTest, SaysContinueOnlyToAClientThatWaits) {
  Start();
  io::Stream stream = Connect();
  Send(stream, "POST / HTTP/1.1\r\nHost:\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(Read(stream, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  Send(stream, "hi");
  EXPECT_EQ(Read(stream, " hi"), Answer("POST / hi"));
  Send(stream, "POST / HTTP/1.1\r\nHost:\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_EQ(Read(stream, " hi"), Answer("POST / hi"));
  Send(stream, "GET / HTTP/1.1\r\nHost:\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(Read(stream, "GET / "), Answer("GET / "));
}

TEST_P(ServerTest, EndsASlowRequestWith408AndASilentConnectionWithoutAWord) {
  Start(Echo, {.idle_timeout = 30 * kMillisecond, .request_timeout = 30 * kMillisecond});
  std::string slow_head = Talk("GET / HTTP/1.1\r\nHos"), slow_body = Talk("POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\nx");
  for (const std::string& answer : {slow_head, slow_body}) {
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
    EXPECT_THAT(answer, HasSubstr("DEADLINE_EXCEEDED"));
  }
  EXPECT_EQ(Talk(""), "|end");
  EXPECT_EQ(Talk("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), Answer("GET / ") + "|end");
}

TEST_P(ServerTest, DropsARequestWhoseClientWentAway) {
  Start();
  for (const char* part : {"GET / HTTP/1.1\r\nHos", "POST / HTTP/1.1\r\nHost:\r\nContent-Length: 9\r\n\r\nx",
                           "POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"}) {
    io::Stream closes = Connect(), resets = Connect();
    Send(closes, part);
    Send(resets, part);
    ASSERT_TRUE(Until([&] { return server_->connections() == 2; }));
    closes.Close();
    resets.Reset();
    EXPECT_TRUE(Until([&] { return server_->connections() == 0; })) << part;
  }
  EXPECT_EQ(server_->requests(), 0u);
}

TEST_P(ServerTest, ClosesConnectionsAboveItsLimit) {
  Start(Echo, {.connections = 1});
  io::Stream first = Connect();
  ASSERT_TRUE(Until([&] { return server_->connections() == 1; }));
  io::Stream second = Connect();
  EXPECT_THAT(Read(second, ""), testing::AnyOf("|end", "|broken"));
  EXPECT_EQ(server_->refused_connections(), 1u);
  Send(first, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(Read(first, "GET / "), Answer("GET / "));
}

TEST_P(ServerTest, TellsTheHandlerWhoAsks) {
  static SocketAddress peer;
  static std::optional<io::PeerCredentials> credentials;
  auto remember = [](const Request&, const RequestContext& context) -> io::Task<Reply> {
    peer = context.peer;
    credentials = context.credentials;
    co_return Reply();
  };
  Start(remember);
  Talk("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(peer.ip(), IpAddress::V4(0x7f000001));
  EXPECT_FALSE(credentials.has_value());
  RunVoid(server_->Stop());
  server_.reset();

  std::string path = testing::TempDir() + "/fairlead-http-server-" + std::to_string(getpid()) + ".sock";
  std::filesystem::remove(path);
  Start(remember, {}, *SocketAddress::Unix(path));
  StatusOr<Response> response = Run(Fetch(proactor(), address_, {}, Soon()));
  EXPECT_TRUE(response.ok()) << response.status();
  EXPECT_FALSE(peer.is_set());
  ASSERT_TRUE(credentials.has_value());
  EXPECT_EQ(credentials->uid, getuid());
  EXPECT_EQ(credentials->pid, getpid());
  std::filesystem::remove(path);
}

// --- streamed replies

io::Task<Reply> Count(const Request&, const RequestContext&) {
  Reply reply;
  reply.headers = {{"Date", "now"}};
  reply.stream = [](ResponseWriter& writer) -> io::Task<void> {
    (void)co_await writer.Write("one");
    (void)co_await writer.Write("");
    (void)co_await writer.Write("two");
  };
  co_return reply;
}

TEST_P(ServerTest, StreamsInChunksAndKeepsTheConnection) {
  Start(Count);
  std::string one = "HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
  io::Stream stream = Connect();
  Send(stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(Read(stream, "0\r\n\r\n").substr(0, one.size()), one);
  EXPECT_TRUE(Until([&] { return server_->requests() == 2; }));
}

TEST_P(ServerTest, StreamsToHttp10UntilItCloses) {
  Start(Count);
  EXPECT_EQ(Talk("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nDate: now\r\nConnection: close\r\n\r\nonetwo|end");
}

TEST_P(ServerTest, StreamsNothingToHead) {
  Start(Count);
  EXPECT_EQ(Talk("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n|end");
}

// Writes one event and waits for a next one that never comes.
struct Watch {
  io::Proactor* proactor;
  int* cancelled;
  io::Task<Reply> operator()(const Request&, const RequestContext&) const {
    return Make(proactor, cancelled);
  }
  static io::Task<Reply> Make(io::Proactor* proactor, int* cancelled) {
    Reply reply;
    reply.stream = [proactor, cancelled](ResponseWriter& writer) { return Wait(proactor, cancelled, &writer); };
    co_return reply;
  }
  static io::Task<void> Wait(io::Proactor* proactor, int* cancelled, ResponseWriter* writer) {
    (void)co_await writer->Write("event");
    io::IoResult slept = co_await io::Sleep(*proactor, kHour);
    if (slept.cancelled()) ++*cancelled;
  }
};

TEST_P(ServerTest, CancelsAStreamWhoseClientWentAway) {
  int cancelled = 0;
  Start(Watch{&proactor(), &cancelled});
  io::Stream closes = Connect(), resets = Connect();
  for (io::Stream* stream : {&closes, &resets}) {
    Send(*stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(Read(*stream, "event\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
  }
  closes.Close();
  resets.Reset();
  EXPECT_TRUE(Until([&] { return server_->connections() == 0; }));
  EXPECT_EQ(cancelled, 2);
}

TEST_P(ServerTest, StopEndsStreamsWithoutALastChunk) {
  int cancelled = 0;
  Start(Watch{&proactor(), &cancelled});
  io::Stream new_one = Connect(), old_one = Connect();
  Send(new_one, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  Send(old_one, "GET / HTTP/1.0\r\n\r\n");
  Read(new_one, "event\r\n");
  Read(old_one, "event");
  RunVoid(server_->Stop());
  EXPECT_EQ(cancelled, 2);
  EXPECT_EQ(Read(new_one, ""), "|end");
  EXPECT_EQ(Read(old_one, ""), "|broken") << "without chunks a clean end would look whole";
}

// --- Stop

// Answers when told.
struct Held {
  std::vector<std::coroutine_handle<>>* waiting;
  struct Gate {
    std::vector<std::coroutine_handle<>>* waiting;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) { waiting->push_back(handle); }
    void await_resume() {}
  };
  io::Task<Reply> operator()(const Request&, const RequestContext&) const { return Make(waiting); }
  static io::Task<Reply> Make(std::vector<std::coroutine_handle<>>* waiting) {
    co_await Gate{waiting};
    Reply reply;
    reply.body = "done";
    co_return reply;
  }
};

io::Task<void> StopInto(Server& server, bool* stopped) {
  co_await server.Stop();
  *stopped = true;
}

TEST_P(ServerTest, StopWaitsForRequestsInProgressAndEndsIdleConnections) {
  std::vector<std::coroutine_handle<>> waiting;
  Start(Held{&waiting});
  io::Stream idle = Connect(), busy = Connect();
  Send(busy, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(Until([&] { return waiting.size() == 1 && server_->connections() == 2; }));
  bool stopped = false;
  group().Spawn(StopInto(*server_, &stopped));
  EXPECT_EQ(Read(idle, ""), "|end");
  EXPECT_FALSE(stopped);
  EXPECT_FALSE(Run(io::Dial(proactor(), address_, Soon())).ok()) << "nobody listens any more";
  waiting[0].resume();
  EXPECT_THAT(Read(busy, ""), testing::AllOf(HasSubstr("\r\nConnection: close\r\n"), EndsWith("\r\n\r\ndone|end")));
  EXPECT_TRUE(Until([&] { return stopped; }));
}

TEST_P(ServerTest, AnswersALargeBodyToASlowReader) {
  Start([](const Request&, const RequestContext&) -> io::Task<Reply> {
    Reply reply;
    reply.body = std::string(8 << 20, 'x');
    co_return reply;
  });
  StatusOr<Response> response = Run(Fetch(proactor(), address_, {}, Soon()));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body.size(), size_t{8 << 20});
}

TEST_P(ServerTest, GivesUpOnAClientThatDoesNotRead) {
  Start(
      [](const Request&, const RequestContext&) -> io::Task<Reply> {
        Reply reply;
        reply.body = std::string(64 << 20, 'x');
        co_return reply;
      },
      {.request_timeout = 50 * kMillisecond});
  io::Stream stream = Connect();
  Send(stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(Until([&] { return server_->requests() == 1; }));
  EXPECT_TRUE(Until([&] { return server_->connections() == 0; }));
}

}  // namespace
}  // namespace fairlead::http
