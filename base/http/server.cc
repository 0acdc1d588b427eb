#include "base/http/server.h"

#include <list>
#include <utility>

#include "base/http/reply_writer.h"
#include "base/http/request_reader.h"
#include "base/io/await.h"
#include "base/strings.h"

namespace fairlead::http {
namespace {

constexpr size_t kSendPiece = 256 << 10;    // each has request_timeout: a slow reader of a large body goes on
constexpr Nanos kLingerTime = 2 * kSecond;  // for the client to read the last reply and close
constexpr size_t kLingerBytes = 16 << 20;   // that it may still send meanwhile
constexpr size_t kPipelinedWhileStreaming = 64 << 10;

struct Connection {
  Connection(std::list<Connection*>& all, io::Proactor& p, int fd, const ServerLimits& l, const bool& stopping_now)
      : connections(all), proactor(p), limits(l), stopping(stopping_now), stream(p, fd), reader(l) {
    self = connections.insert(connections.end(), this);
  }
  Connection(const Connection&) = delete;
  ~Connection() { connections.erase(self); }

  // The waits to come may be ended by Stop(): for a next request, for the end of a streamed reply or of the client.
  void MayBeStopped(Nanos deadline) {
    stoppable = true;
    stream.SetDeadline(stopping ? proactor.Now() : deadline);
  }
  void Busy(Nanos deadline) {
    stoppable = false;
    stream.SetDeadline(deadline);
  }

  std::list<Connection*>& connections;
  std::list<Connection*>::iterator self;
  io::Proactor& proactor;
  const ServerLimits& limits;
  const bool& stopping;
  io::Stream stream;
  RequestReader reader;
  std::string in;            // received, not yet taken
  bool stoppable = false;
};

io::Task<io::IoResult> SendPiece(io::Stream& stream, std::string_view piece) { co_return co_await stream.Send(piece); }

io::Task<io::IoResult> SendAll(Connection& connection, std::string_view bytes) {
  io::IoResult result;
  while (!bytes.empty() && result.ok()) {
    std::string_view piece = bytes.substr(0, kSendPiece);
    bytes.remove_prefix(piece.size());
    Nanos deadline = connection.proactor.Now() + connection.limits.request_timeout;
    result = co_await io::WithDeadline<io::IoResult>(connection.proactor, deadline,
                                                     SendPiece(connection.stream, piece));
  }
  co_return result;
}

// The next piece behind connection.in. Gives how many bytes, 0 at the end.
io::Task<io::IoResult> Fill(Connection& connection) {
  io::IoResult received = co_await connection.stream.Receive();
  if (!received.ok() || received.is_end()) co_return received;
  io::Chunk chunk = connection.stream.Take();
  connection.in.append(chunk.view());
  co_return received;
}

class StreamWriter final : public ResponseWriter {
 public:
  StreamWriter(Connection& connection, bool chunked) : connection_(connection), chunked_(chunked) {}
  io::Task<io::IoResult> Write(std::string bytes) override {
    if (bytes.empty() || !result_.ok()) co_return result_;  // an empty chunk would be the last one
    std::string framed = chunked_ ? Chunk(bytes) : std::move(bytes);
    result_ = co_await SendAll(connection_, framed);
    co_return result_;
  }
  bool ok() const { return result_.ok(); }

 private:
  Connection& connection_;
  bool chunked_;
  io::IoResult result_;
};

io::Task<bool> RunStream(const Reply& reply, StreamWriter& writer) {
  co_await reply.stream(writer);
  co_return writer.ok();
}

// Ends when the client is gone or talks too much, or when Stop() ends the wait.
io::Task<bool> AwaitEndOfClient(Connection& connection) {
  for (;;) {
    io::IoResult received = co_await Fill(connection);
    if (!received.ok() || received.is_end() || connection.in.size() > kPipelinedWhileStreaming) co_return true;
  }
}

// The content of a streamed reply. Gives whether it came to its own end.
io::Task<bool> SendStream(Connection& connection, const Reply& reply, bool chunked) {
  StreamWriter writer(connection, chunked);
  connection.MayBeStopped(kNever);
  auto raced = co_await io::Race<bool, bool>(RunStream(reply, writer), AwaitEndOfClient(connection));
  connection.Busy(kNever);
  if (raced.winner != 0 || !*raced.a) co_return false;
  if (chunked) co_return (co_await SendAll(connection, kLastChunk)).ok();
  co_return true;
}

enum class Then { kNextRequest, kLinger, kClose, kReset };

io::Task<Then> SendReply(Connection& connection, Reply reply, ReplyFraming framing) {
  if (reply.stream && framing.http10) framing.keep_alive = false;
  Nanos now_wall = connection.proactor.clock().WallNow();
  std::optional<std::string> head = ReplyHead(reply, framing, now_wall);
  if (!head) {
    reply = ErrorReply(500, StatusCode::kInternal, "the reply has a malformed status or header");
    head = ReplyHead(reply, framing, now_wall);
  }
  bool content = HasContent(reply.status, framing.to_head_request);
  if (content && !reply.stream) *head += reply.body;
  io::IoResult sent = co_await SendAll(connection, *head);
  if (!sent.ok()) co_return Then::kClose;
  if (content && reply.stream && !co_await SendStream(connection, reply, !framing.http10))
    co_return framing.http10 ? Then::kReset : Then::kClose;  // without chunks, FIN would look like the end
  co_return framing.keep_alive ? Then::kNextRequest : Then::kLinger;
}

// Closing with unread bytes resets the connection, which can take the reply from under the client's eyes (RFC 9112
// §9.6): read on until it has closed.
io::Task<void> Linger(Connection& connection) {
  connection.stream.ShutdownWrite();
  connection.MayBeStopped(connection.proactor.Now() + kLingerTime);
  for (size_t bytes = 0; bytes < kLingerBytes;) {
    connection.in.clear();
    io::IoResult received = co_await Fill(connection);
    if (!received.ok() || received.is_end()) co_return;
    bytes += static_cast<size_t>(received.value());
  }
}

io::Task<void> Refuse(Connection& connection, Reply reply) {
  if (co_await SendReply(connection, std::move(reply), ReplyFraming{}) == Then::kLinger) co_await Linger(connection);
}

// Reads until a request is whole. False: close, everything is said.
io::Task<bool> ReadRequest(Connection& connection) {
  bool begun = false;
  for (;;) {
    if (!begun && connection.reader.begun(connection.in)) {
      begun = true;
      connection.Busy(connection.proactor.Now() + connection.limits.request_timeout);
    }
    RequestReader::Need need = connection.reader.Advance(connection.in);
    if (need == RequestReader::Need::kNothing) co_return true;
    if (need == RequestReader::Need::kRefusal) {
      co_await Refuse(connection, connection.reader.refusal());
      co_return false;
    }
    if (need == RequestReader::Need::kContinue) {
      io::IoResult sent = co_await SendAll(connection, "HTTP/1.1 100 Continue\r\n\r\n");
      if (!sent.ok()) co_return false;
    }
    if (!begun) connection.MayBeStopped(connection.proactor.Now() + connection.limits.idle_timeout);
    io::IoResult received = co_await Fill(connection);
    if (received.timed_out() && begun)
      co_await Refuse(connection, ErrorReply(408, StatusCode::kDeadlineExceeded, "the request took too long to arrive"));
    if (!received.ok() || received.is_end()) co_return false;
  }
}

RequestContext ContextOf(Connection& connection) {
  RequestContext context{connection.proactor, {}, std::nullopt};
  if (!connection.stream.local().is_unix()) {
    context.peer = connection.stream.peer();
  } else if (StatusOr<io::PeerCredentials> credentials = connection.stream.credentials(); credentials.ok()) {
    context.credentials = *credentials;
  }
  return context;
}

}  // namespace

struct Server::State {
  State(io::Proactor& p, Handler h, ServerLimits l) : proactor(p), handler(std::move(h)), limits(l) {}

  io::Proactor& proactor;
  Handler handler;
  const ServerLimits limits;
  std::list<io::Listener> listeners;
  std::list<Connection*> connections;
  io::TaskGroup accepting;
  io::TaskGroup serving;
  uint64_t requests = 0;
  uint64_t refused_connections = 0;
  bool stopping = false;

  static io::Task<void> ServeConnection(State& server, int fd) {
    if (server.connections.size() >= server.limits.connections) {
      ++server.refused_connections;
      server.proactor.Close(fd);
      co_return;
    }
    Connection connection(server.connections, server.proactor, fd, server.limits, server.stopping);
    RequestContext context = ContextOf(connection);
    Then then = Then::kNextRequest;
    while (then == Then::kNextRequest && co_await ReadRequest(connection)) {
      ++server.requests;
      Request request = connection.reader.Take();
      Reply reply = co_await server.handler(request, context);
      ReplyFraming framing{.to_head_request = request.method == "HEAD",
                           .http10 = connection.reader.http10(),
                           .keep_alive = connection.reader.persistent() && !server.stopping};
      then = co_await SendReply(connection, std::move(reply), framing);
    }
    if (then == Then::kLinger) co_await Linger(connection);
    if (then == Then::kReset) connection.stream.Reset();
  }
};

Server::Server(io::Proactor& proactor, Handler handler, ServerLimits limits)
    : state_(std::make_unique<State>(proactor, std::move(handler), limits)) {}

Server::~Server() = default;

void Server::Serve(io::Listener listener) {
  io::Listener& ours = state_->listeners.emplace_back(std::move(listener));
  State& state = *state_;
  state.accepting.Spawn(
      io::AcceptLoop(ours, state.serving, [&state](int fd) { return State::ServeConnection(state, fd); }));
}

io::Task<void> Server::Stop() {
  State& state = *state_;
  state.stopping = true;
  co_await state.accepting.CancelAndJoin();
  state.listeners.clear();
  for (Connection* connection : state.connections)
    if (connection->stoppable) connection->stream.SetDeadline(state.proactor.Now());
  co_await state.serving.Join();
}

uint64_t Server::requests() const { return state_->requests; }
uint64_t Server::refused_connections() const { return state_->refused_connections; }
size_t Server::connections() const { return state_->connections.size(); }

}  // namespace fairlead::http
