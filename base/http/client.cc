#include "base/http/client.h"

#include <algorithm>
#include <utility>

#include "base/http/body.h"
#include "base/http/head.h"
#include "base/io/await.h"
#include "base/strings.h"

namespace fairlead::http {
namespace {

constexpr size_t kMaxHeadBytes = 64 << 10;
constexpr int kMaxInterimResponses = 16;  // 1xx before the response

bool HasBodyByMethod(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

enum class After : uint8_t { kClose, kKeep };  // what becomes of the connection

// The request as bytes. What would not be read back as it was said (a line end in a value, a space in the target) is an
// error instead of another request.
StatusOr<std::string> Serialize(const Request& request, const SocketAddress& address, After after) {
  std::string bytes = Cat(request.method, " ", request.target, " HTTP/1.1\r\n");
  int fields = 0;
  auto add = [&](std::string_view name, std::string_view value) {
    bytes += Cat(name, ": ", value, "\r\n");
    ++fields;
  };
  if (request.header("Host").empty()) add("Host", address.is_unix() ? "localhost" : address.ToString());
  for (const Header& header : request.headers) add(header.name, header.value);
  if (!request.body.empty() || HasBodyByMethod(request.method)) add("Content-Length", Cat(request.body.size()));
  if (after == After::kClose) add("Connection", "close");
  bytes += "\r\n";
  RequestHead head;
  bool faithful = ParseRequest(bytes, head) == ParseResult::kOk && head.text.size() == bytes.size() &&
                  head.field_count == fields && head.framing != Framing::kChunked;
  if (!faithful) return InvalidArgument("the request has a malformed method, target or header");
  return bytes + request.body;
}

// Opens every error: "GET /events at unix:/run/docker.sock: ".
std::string Named(const Request& request, const SocketAddress& address) {
  return Cat(request.method, " ", request.target, " at ", address.ToString(), ": ");
}

struct ResponseStart {
  Response response;
  Framing framing = Framing::kNone;
  int64_t content_length = -1;
  bool persistent = false;
};

// A head off the front of `in`, if it is there.
ParseResult TakeHead(std::string& in, bool to_head_request, ResponseStart& start) {
  ResponseHead head;
  ParseResult result = ParseResponse(in, to_head_request, head);
  if (result != ParseResult::kOk) return result;
  start = {};
  start.response.status = head.status;
  for (int i = 0; i < head.field_count; i++)
    start.response.headers.push_back({std::string(head.fields[i].name), std::string(head.fields[i].value)});
  start.framing = head.framing;
  start.content_length = head.content_length;
  start.persistent = head.persistent();
  in.erase(0, head.text.size());
  return ParseResult::kOk;
}

Status HeadError(ParseResult result) {
  switch (result) {
    case ParseResult::kTooManyFields: return ResourceExhausted("response of more than ", kMaxFields, " fields");
    case ParseResult::kBadVersion: return Unimplemented("response of another version than HTTP/1.0 and 1.1");
    case ParseResult::kUnsupportedCoding: return Unimplemented("response with a transfer coding other than chunked");
    default: return DataLoss("malformed response");
  }
}

// The next piece of the stream behind `in`. Gives how many bytes, 0 at the end.
io::Task<io::IoResult> Fill(io::Stream& stream, std::string& in) {
  io::IoResult received = co_await stream.Receive();
  if (!received.ok() || received.is_end()) co_return received;
  io::Chunk chunk = stream.Take();
  in.append(chunk.view());
  co_return received;
}

// Reads heads until one is final.
io::Task<StatusOr<ResponseStart>> ReadHead(io::Stream& stream, std::string& in, bool to_head_request) {
  ResponseStart start;
  for (int interim = 0; interim <= kMaxInterimResponses;) {
    ParseResult result = TakeHead(in, to_head_request, start);
    if (result == ParseResult::kOk) {
      if (start.response.status == 101) co_return DataLoss("response 101 to a request without Upgrade");
      if (start.response.status >= 200) co_return start;
      ++interim;
      continue;
    }
    if (result != ParseResult::kNeedMore) co_return HeadError(result);
    if (in.size() >= kMaxHeadBytes) co_return ResourceExhausted("response head of more than ", kMaxHeadBytes, " bytes");
    size_t had = in.size();
    do {  // a head is parsed again only when a line has ended
      io::IoResult received = co_await Fill(stream, in);
      if (!received.ok()) co_return received.ToStatus("receive");
      if (received.is_end()) co_return Unavailable("the connection ended before the response");
    } while (in.find('\n', had) == in.npos && in.size() < kMaxHeadBytes);
  }
  co_return DataLoss("more than ", kMaxInterimResponses, " interim responses");
}

}  // namespace

struct ResponseStream::State {
  io::Stream stream;
  std::string in;         // received, not yet taken
  BodyDecoder body;
  bool persistent = false;  // the server leaves the connection open
  uint64_t body_bytes = 0;
  std::string what;       // opens every error
  Response head;

  // Over the stream, or over one of its own to `address`. What cannot be said is said to nobody: the request is written
  // down before anybody is called. With `after` kKeep the stream was kept, and another one may take its place.
  static io::Task<StatusOr<ResponseStream>> Ask(io::Proactor& proactor, io::Stream stream, SocketAddress address, Request request,
                                                After after = After::kClose) {
    auto state = std::make_unique<State>();
    state->what = Named(request, address);
    StatusOr<std::string> bytes = Serialize(request, address, after);
    if (!bytes.ok()) co_return WithContext(bytes.status(), state->what);
    state->stream = std::move(stream);
    bool kept = after == After::kKeep && state->stream;
    for (;;) {
      if (!state->stream) {
        StatusOr<io::Stream> dialled = co_await io::Dial(proactor, address, kNever, io::BufferGroup::kLarge);
        if (!dialled.ok()) co_return WithContext(dialled.status(), state->what);
        state->stream = std::move(*dialled);
      }
      // A server may answer and close before it has read the whole body (413): its answer counts more than our EPIPE.
      io::IoResult sent = co_await state->stream.Send(*bytes);
      StatusOr<ResponseStart> start = co_await ReadHead(state->stream, state->in, request.method == "HEAD");
      if (start.ok()) {
        state->body = BodyDecoder(start->framing, start->content_length);
        state->persistent = start->persistent;
        state->head = std::move(start->response);
        co_return ResponseStream(std::move(state));
      }
      Status failed = sent.ok() ? start.status() : sent.ToStatus("send");
      const bool closed = failed.code() == StatusCode::kUnavailable && state->in.empty();  // no byte of an answer
      if (!std::exchange(kept, false) || !closed) co_return WithContext(failed, state->what);
      state->stream.Close();
    }
  }

  // The response has been read: may another request go over its connection?
  bool Reusable() const { return persistent && body.done() && in.empty(); }
};

io::Task<StatusOr<ResponseStream>> ResponseStream::Open(io::Proactor& proactor, SocketAddress address, Request request,
                                                        Nanos deadline) {
  co_return co_await io::WithDeadline<StatusOr<ResponseStream>>(
      proactor, deadline, State::Ask(proactor, io::Stream(), address, std::move(request)));
}

io::Task<StatusOr<ResponseStream>> ResponseStream::Open(io::Stream stream, Request request, Nanos deadline) {
  io::Proactor& proactor = stream.socket()->proactor();
  SocketAddress address = stream.peer();
  co_return co_await io::WithDeadline<StatusOr<ResponseStream>>(
      proactor, deadline, State::Ask(proactor, std::move(stream), address, std::move(request)));
}

ResponseStream::ResponseStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
ResponseStream::ResponseStream(ResponseStream&&) noexcept = default;
ResponseStream& ResponseStream::operator=(ResponseStream&&) noexcept = default;
ResponseStream::~ResponseStream() = default;

const Response& ResponseStream::head() const { return state_->head; }

void ResponseStream::SetDeadline(Nanos when) { state_->stream.SetDeadline(when); }

io::Task<StatusOr<std::string>> ResponseStream::Read() {
  State& state = *state_;  // stays where it is when the ResponseStream moves
  std::string content;
  for (;;) {
    if (!state.body.Feed(state.in, content)) co_return DataLoss(state.what, "malformed chunk");
    if (!content.empty()) {
      state.body_bytes += content.size();
      co_return content;
    }
    if (state.body.done()) co_return content;
    io::IoResult received = co_await Fill(state.stream, state.in);
    if (!received.ok()) co_return WithContext(received.ToStatus("receive"), state.what);
    if (!received.is_end()) continue;
    if (state.body.EndsWithStream()) co_return content;
    co_return DataLoss(state.what, "the body broke off after ", state.body_bytes, " bytes");
  }
}

namespace {

// Head and body.
io::Task<StatusOr<Response>> ReadWhole(ResponseStream& stream, std::string what) {
  Response response = stream.head();
  for (;;) {
    StatusOr<std::string> piece = co_await stream.Read();
    if (!piece.ok()) co_return piece.status();
    if (piece->empty()) co_return response;
    if (response.body.size() + piece->size() > kMaxResponseBody)
      co_return ResourceExhausted(what, "body of more than ", kMaxResponseBody, " bytes");
    response.body += *piece;
  }
}

io::Task<StatusOr<Response>> FetchWhole(io::Proactor& proactor, SocketAddress address, Request request) {
  std::string what = Named(request, address);
  StatusOr<ResponseStream> stream = co_await ResponseStream::Open(proactor, address, std::move(request), kNever);
  if (!stream.ok()) co_return stream.status();
  co_return co_await ReadWhole(*stream, std::move(what));
}

}  // namespace

io::Task<StatusOr<Response>> Fetch(io::Proactor& proactor, SocketAddress address, Request request, Nanos deadline) {
  co_return co_await io::WithDeadline<StatusOr<Response>>(proactor, deadline,
                                                          FetchWhole(proactor, address, std::move(request)));
}

io::Task<StatusOr<Response>> KeptConnections::Fetch(Request request, Nanos deadline) {
  CHECK(request.method == "GET" || request.method == "HEAD");
  co_return co_await io::WithDeadline<StatusOr<Response>>(proactor_, deadline, Exchange(std::move(request)));
}

io::Task<StatusOr<Response>> KeptConnections::Exchange(Request request) {
  std::string what = Named(request, address_);
  StatusOr<ResponseStream> stream =
      co_await ResponseStream::State::Ask(proactor_, TakeIdle(), address_, std::move(request), After::kKeep);
  if (!stream.ok()) co_return stream.status();
  StatusOr<Response> response = co_await ReadWhole(*stream, std::move(what));
  if (response.ok() && stream->state_->Reusable()) Keep(std::move(stream->state_->stream));
  co_return response;
}

// One on which nothing has come: neither its end nor bytes that nobody asked for.
io::Stream KeptConnections::TakeIdle() {
  while (!idle_.empty()) {
    io::Stream stream = std::move(idle_.back());
    idle_.pop_back();
    if (!stream.socket()->has_input()) return stream;
  }
  return {};
}

void KeptConnections::Keep(io::Stream stream) {
  if (idle_.size() == kMaxIdle) return;
  stream.socket()->Arm();  // its end is noticed
  idle_.push_back(std::move(stream));
}

}  // namespace fairlead::http
