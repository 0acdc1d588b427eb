#include "lb/session.h"

#include <string>

#include "base/http/message.h"
#include "lb/backend.h"
#include "lb/body_scan.h"
#include "lb/head_buffer.h"

namespace fairlead::lb {

using http::ParseResult;
using io::Chunk;
using io::IoResult;
using io::Stream;
using io::Task;

namespace {

// A POST must not be sent twice, so it goes only over a pooled connection that was in use just now: one that idled is
// the one that a backend's own idle timeout may close under us.
constexpr Nanos kFreshEnoughForPost = 1 * kSecond;
constexpr Nanos kLinger = 1 * kSecond;          // for a client that still sends while it is refused
constexpr size_t kLingerBytes = 256 << 10;

enum class Relayed : uint8_t { kWhole, kSourceFailed, kSourceTimedOut, kMalformed, kSinkFailed };

// Sends the first `bytes` of the piece and drops `taken` from its front. Where buffers are scarce the bytes are copied
// first: a receiver that takes nothing must not keep the buffers that everybody's receives need.
Task<IoResult> SendPiece(Stream& to, Chunk& piece, size_t bytes, size_t taken) {
  if (!piece.scarce()) {
    IoResult sent = co_await to.Send(piece.view().substr(0, bytes));
    piece.Skip(taken);
    co_return sent;
  }
  std::string copy(piece.view().substr(0, bytes));
  piece.Skip(taken);
  co_return co_await to.Send(copy);
}

// Moves a body from one side to the other. `in` may hold its first bytes, and afterwards holds what follows it.
Task<Relayed> RelayBody(io::Proactor& proactor, Stream& from, Chunk& in, Stream& to, BodyScan& scan, bool dechunk,
                        Nanos silence) {
  if (!scan.done()) from.socket()->ReceiveOnDemand(true);
  while (!scan.done()) {
    if (in.empty()) {
      from.SetDeadline(proactor.Now() + silence);
      IoResult got = co_await from.Receive();
      if (got.timed_out()) co_return Relayed::kSourceTimedOut;
      if (got.ok() && got.is_end() && scan.ends_with_close()) co_return Relayed::kWhole;
      if (!got.ok() || got.is_end()) co_return Relayed::kSourceFailed;
      in = from.Take();
    }
    size_t content = 0;
    int64_t taken = dechunk ? scan.FeedDechunked(in.data(), in.size(), &content) : scan.Feed(in.view());
    if (taken < 0) co_return Relayed::kMalformed;
    if (!dechunk) content = static_cast<size_t>(taken);
    if (content == 0) {
      in.Skip(static_cast<size_t>(taken));
    } else if (!(co_await SendPiece(to, in, content, static_cast<size_t>(taken))).ok()) {
      co_return Relayed::kSinkFailed;
    }
  }
  from.socket()->ReceiveOnDemand(false);
  co_return Relayed::kWhole;
}

Task<IoResult> AwaitBytes(Stream& stream) { co_return co_await stream.Receive(); }

}  // namespace

// One request's state while its coroutine runs.
struct Exchange {
  Nanos started = 0;
  RequestPlan request;
  HeadBuffer request_head;          // kept until the answer comes: a retry sends it again
  LocalRef<Cluster> cluster;
  LocalRef<Endpoint> endpoint;
  Stream backend;
  bool pooled = false;              // `backend` had served before
  BodyScan request_body;
  bool body_started = false;        // bytes of the body are gone: no retry
  int retries = 0;
};

class Session {
 public:
  Session(Worker& worker, Worker::ListenerState& listener, Stream client, const ClientFacts& facts)
      : worker_(worker), listener_(listener), client_(std::move(client)), facts_(facts), peer_(facts.ip.ToString()) {
    worker_.idle_sessions_.Add(*this);
  }
  ~Session() { worker_.idle_sessions_.Remove(*this); }

  Task<void> Run();
  void EndIdle() { client_.SetDeadline(worker_.proactor_.Now()); }

  Session* next_idle = nullptr;      // of the worker's list of sessions between two requests
  Session* previous_idle = nullptr;

 private:
  struct Refusal {
    int status;
    std::string text;
  };

  Task<bool> ServeRequest();
  Task<ParseResult> JoinHead(Exchange& x);
  ParseResult Plan(std::string_view bytes, Exchange& x);
  Task<bool> ServeRefusal(Exchange& x, int status, std::string text);
  Task<bool> RefuseAndClose(int status, std::string text);
  Task<int> ConnectBackend(Exchange& x);
  Task<int> SendRequest(Exchange& x);
  Task<bool> ForwardAnswer(Exchange& x);
  Task<int> ReadAnswerHead(Exchange& x, Chunk& answer, HeadBuffer& out, ResponsePlan& plan);
  ParseResult PlanAnswer(std::string_view bytes, Exchange& x, bool joined, HeadBuffer& out, ResponsePlan& plan);
  bool MayRetry(const Exchange& x) const;
  void Count(Exchange& x, int status);
  Task<void> Linger();

  Worker& worker_;
  Worker::ListenerState& listener_;
  Stream client_;
  Chunk in_;                         // received, not yet served
  ClientFacts facts_;
  std::string peer_;                 // client's address as text
};

Task<void> Session::Run() {
  Nanos wait = listener_.spec.request_header;
  for (;;) {
    if (in_.empty()) {
      client_.SetDeadline(worker_.proactor_.Now() + wait);
      IoResult got = co_await client_.Receive();
      if (!got.ok() || got.is_end()) co_return;
      in_ = client_.Take();
    }
    worker_.idle_sessions_.Remove(*this);
    if (!co_await ServeRequest() || worker_.draining_) co_return;
    worker_.idle_sessions_.Add(*this);
    wait = listener_.spec.keep_alive;
  }
}

// Reads the head, finds its service and forwards. True: the connection may serve another request.
Task<bool> Session::ServeRequest() {
  Exchange x;
  x.started = worker_.proactor_.Now();
  ParseResult parsed = Plan(in_.view(), x);
  if (parsed == ParseResult::kOk) [[likely]] {
    in_.Skip(x.request.head_bytes);
  } else if (parsed == ParseResult::kNeedMore) {
    parsed = co_await JoinHead(x);
  }
  switch (parsed) {
    case ParseResult::kOk: break;
    case ParseResult::kNeedMore: co_return false;  // JoinHead has answered or the client has gone
    case ParseResult::kBad: co_return co_await RefuseAndClose(400, "malformed request");
    case ParseResult::kTooManyFields: co_return co_await RefuseAndClose(431, "too many header fields, or too large");
    case ParseResult::kBadVersion: co_return co_await RefuseAndClose(505, "only HTTP/1.0 and HTTP/1.1");
    case ParseResult::kUnsupportedCoding: co_return co_await RefuseAndClose(501, "unknown transfer coding");
  }
  x.request_body = BodyScan(x.request.framing, x.request.body_bytes);
  if (x.request.answer != 0) co_return co_await ServeRefusal(x, x.request.answer, "Max-Forwards ends here");
  if (!x.cluster) co_return co_await ServeRefusal(x, 404, "no route for this host and path");

  for (;;) {
    if (int failed = co_await ConnectBackend(x)) {
      co_return co_await ServeRefusal(x, failed, Cat("service ", x.cluster->service(),
          failed == 504 ? ": connecting took too long" : x.cluster->endpoints().empty() ? " has no endpoint that is ready"
                                                                                    : ": no endpoint takes connections"));
    }
    int failed = co_await SendRequest(x);
    if (failed == 0) co_return co_await ForwardAnswer(x);
    x.backend.Close();
    if (failed < 0) co_return false;  // the client has gone
    if (failed == 504 || !MayRetry(x)) {
      co_return co_await ServeRefusal(x, failed, Cat("service ", x.cluster->service(),
                                                     failed == 504 ? ": no answer in time" : ": no answer"));
    }
    ++x.retries;
    worker_.retries_.Add();
  }
}

// Parses what is there and writes the request for the backend. Nothing of the bytes is needed afterwards.
ParseResult Session::Plan(std::string_view bytes, Exchange& x) {
  http::RequestHead& head = worker_.request_head_;
  ParseResult parsed = http::ParseRequest(bytes, head);
  if (parsed != ParseResult::kOk) return parsed;
  if (head.host.empty() && head.minor_version >= 1) return ParseResult::kBad;
  if (head.path.empty()) return ParseResult::kBad;  // CONNECT: this is no forward proxy
  // An absolute-form target may have a query and no path (RFC 9112 §3.2.2), and "*" means the whole host.
  std::string_view path = head.path.front() == '/' ? head.path : std::string_view("/");
  if (const auto* route = worker_.routes_.Find(head.host, path, listener_.index)) x.cluster = route->target;
  x.request_head.Reserve(head.text.size() + head.host.size() + peer_.size() + kAddedBytes);
  bool fits = PlanRequest(head, listener_.spec.forward, {peer_, facts_.secure ? "https" : "http"}, worker_.request_ids_,
                          x.request_head.data(), x.request_head.capacity(), x.request);
  CHECK(fits);
  return ParseResult::kOk;
}

// The head came in pieces: joins them. kNeedMore: there is nobody to serve any more.
Task<ParseResult> Session::JoinHead(Exchange& x) {
  std::string joined;
  client_.SetDeadline(worker_.proactor_.Now() + listener_.spec.request_header);
  for (;;) {
    size_t before = joined.size();
    joined.append(in_.view());
    ParseResult parsed = before == 0 ? ParseResult::kNeedMore : Plan(joined, x);
    if (parsed != ParseResult::kNeedMore) {
      if (parsed == ParseResult::kOk) in_.Skip(x.request.head_bytes - before);
      co_return parsed;
    }
    in_.Reset();
    if (joined.size() > kMaxHeadBytes) co_return ParseResult::kTooManyFields;
    IoResult got = co_await client_.Receive();
    if (got.timed_out()) co_await RefuseAndClose(408, "the request did not come in time");
    if (!got.ok() || got.is_end()) co_return ParseResult::kNeedMore;
    in_ = client_.Take();
  }
}

// Gives x.backend, or the status to refuse with. A failed connect goes to another endpoint: nothing was sent yet.
Task<int> Session::ConnectBackend(Exchange& x) {
  io::Proactor& proactor = worker_.proactor_;
  const ServiceSettings& settings = x.cluster->settings();
  for (;;) {
    x.endpoint = x.cluster->Pick(proactor.Now(), x.retries > 0 ? x.endpoint.get() : nullptr);
    if (!x.endpoint) co_return 503;
    bool replayable = x.request.idempotent && !x.request.has_body();
    x.backend = x.endpoint->TakeIdle(replayable ? 0 : proactor.Now() - kFreshEnoughForPost);
    x.pooled = static_cast<bool>(x.backend);
    if (x.pooled) co_return 0;
    StatusOr<Stream> dialled = co_await DialEndpoint(proactor, *x.endpoint, settings, facts_,
                                                       proactor.Now() + settings.connect);
    if (dialled.ok()) {
      x.backend = *std::move(dialled);
      co_return 0;
    }
    worker_.connect_failures_.Add();
    x.endpoint->AvoidUntil(proactor.Now() + Endpoint::kAvoid);
    if (!settings.retry_connect_failure || x.retries >= settings.max_retries)
      co_return dialled.status().code() == StatusCode::kDeadlineExceeded ? 504 : 503;
    ++x.retries;
    worker_.retries_.Add();
  }
}

// Sends head and body and waits for the first bytes of the answer, which may come before the body has gone. 0, a
// status, or -1 when the client failed.
Task<int> Session::SendRequest(Exchange& x) {
  io::Proactor& proactor = worker_.proactor_;
  IoResult sent = co_await x.backend.Send({x.request_head.data(), x.request.out_bytes});
  if (!sent.ok()) co_return 502;
  x.backend.SetDeadline(proactor.Now() + x.cluster->settings().response);
  IoResult got;
  if (x.request_body.done()) [[likely]] {
    got = co_await x.backend.Receive();
  } else {
    x.body_started = true;
    auto race = co_await io::Race<Relayed, IoResult>(
        RelayBody(proactor, client_, in_, x.backend, x.request_body, false, listener_.spec.request_body),
        AwaitBytes(x.backend));
    // The backend may answer and close before it has read all: then its answer counts, not the failed send.
    bool client_failed = race.winner == 0 && race.a != Relayed::kWhole && race.a != Relayed::kSinkFailed;
    if (client_failed) {
      if (race.a == Relayed::kSourceTimedOut) co_await RefuseAndClose(408, "the request body did not come in time");
      if (race.a == Relayed::kMalformed) co_await RefuseAndClose(400, "malformed chunked body");
      co_return -1;
    }
    if (race.winner == 1) {
      got = *race.b;
    } else {
      x.backend.SetDeadline(proactor.Now() + x.cluster->settings().response);
      got = co_await x.backend.Receive();
    }
  }
  if (got.timed_out()) co_return 504;
  if (!got.ok() || got.is_end()) co_return 502;
  co_return 0;
}

bool Session::MayRetry(const Exchange& x) const {
  const ServiceSettings& settings = x.cluster->settings();
  return settings.retry_reset_before_response && x.retries < settings.max_retries && x.request.idempotent &&
         !x.body_started;
}

// Forwards the answer whose first bytes are there. True: the client's connection may serve another request.
Task<bool> Session::ForwardAnswer(Exchange& x) {
  io::Proactor& proactor = worker_.proactor_;
  Chunk answer = x.backend.Take();
  HeadBuffer out;
  ResponsePlan plan;
  if (int failed = co_await ReadAnswerHead(x, answer, out, plan))
    co_return co_await ServeRefusal(x, failed, Cat("service ", x.cluster->service(),
                                                   failed == 504 ? ": the answer's head did not come in time" : ": malformed answer"));

  // Head and the first piece of the body leave in one send where they stand together.
  BodyScan body(plan.framing, plan.body_bytes);
  std::string_view first = answer.view().substr(plan.out_bytes == 0 ? plan.head_bytes : 0);
  size_t content = 0;
  if (!plan.dechunk) {
    int64_t taken = body.Feed(first);
    if (taken < 0) co_return co_await ServeRefusal(x, 502, "malformed chunks from the backend");
    content = static_cast<size_t>(taken);
  }
  bool sent;
  if (!body.done()) x.backend.socket()->ReceiveOnDemand(true);
  if (plan.out_bytes == 0 && answer.scarce()) {
    size_t together = plan.head_bytes + content;
    sent = (co_await SendPiece(client_, answer, together, together)).ok();
  } else if (plan.out_bytes == 0) {
    sent = (co_await client_.Send(answer.view().substr(0, plan.head_bytes + content))).ok();
    answer.Skip(plan.head_bytes + content);
  } else {
    size_t together = content <= out.capacity() - plan.out_bytes ? content : 0;
    first.copy(out.data() + plan.out_bytes, together);
    sent = (co_await client_.Send({out.data(), plan.out_bytes + together})).ok();
    if (together == content) {
      answer.Skip(content);
    } else if (sent) {
      sent = (co_await SendPiece(client_, answer, content, content)).ok();
    }
  }
  Count(x, plan.status);
  if (!sent) co_return false;
  if (!body.done()) {
    Relayed relayed = co_await RelayBody(proactor, x.backend, answer, client_, body, plan.dechunk,
                                         x.cluster->settings().response);
    if (relayed != Relayed::kWhole) {
      client_.Reset();  // a broken answer must not look whole
      co_return false;
    }
  }
  bool request_whole = x.request_body.done();
  // Bytes behind the answer, or a body the backend never read, would be taken for the next answer (http.md).
  if (plan.backend_keep_alive && request_whole && answer.empty())
    x.endpoint->PutIdle(std::move(x.backend), x.cluster->settings().idle);
  if (!request_whole) co_await Linger();
  co_return plan.client_keep_alive && request_whole;
}

// Reads heads until the final one; sends interim ones on. 0, or the status to refuse with. When plan.out_bytes is 0 the
// head stands at the front of `answer`; else it is in `out` and `answer` holds what followed it.
Task<int> Session::ReadAnswerHead(Exchange& x, Chunk& answer, HeadBuffer& out, ResponsePlan& plan) {
  std::string joined;
  for (;;) {
    size_t before = joined.size();
    if (before != 0) joined.append(answer.view());
    ParseResult parsed = PlanAnswer(before != 0 ? std::string_view(joined) : answer.view(), x, before != 0, out, plan);
    if (parsed == ParseResult::kOk) {
      if (plan.status == 101) co_return 502;  // nobody asked for it
      if (plan.out_bytes != 0) answer.Skip(plan.head_bytes - before);
      if (!plan.interim) co_return 0;
      if (!x.request.http10) {
        std::string_view head = plan.out_bytes != 0 ? std::string_view(out.data(), plan.out_bytes)
                                                    : answer.view().substr(0, plan.head_bytes);
        if (!(co_await client_.Send(head)).ok()) co_return 502;
      }
      if (plan.out_bytes == 0) answer.Skip(plan.head_bytes);
      joined.clear();
      if (!answer.empty()) continue;
    } else if (parsed != ParseResult::kNeedMore) {
      co_return 502;
    } else {
      if (before == 0) joined.assign(answer.view());
      answer.Reset();
      if (joined.size() > kMaxHeadBytes) co_return 502;
    }
    x.backend.SetDeadline(worker_.proactor_.Now() + x.cluster->settings().response);
    IoResult got = co_await x.backend.Receive();
    if (got.timed_out()) co_return 504;
    if (!got.ok() || got.is_end()) co_return 502;
    answer = x.backend.Take();
  }
}

ParseResult Session::PlanAnswer(std::string_view bytes, Exchange& x, bool joined, HeadBuffer& out, ResponsePlan& plan) {
  http::ResponseHead& head = worker_.response_head_;
  ParseResult parsed = http::ParseResponse(bytes, x.request.is_head, head);
  if (parsed != ParseResult::kOk) return parsed;
  bool close_client = worker_.draining_ || !x.request_body.done();
  out.Reserve(head.text.size() + kAddedBytes);
  if (!PlanResponse(head, x.request, close_client, out.data(), out.capacity(), plan)) return ParseResult::kBad;
  if (joined && plan.out_bytes == 0) {  // the bytes go with `joined`: keep them
    head.text.copy(out.data(), head.text.size());
    plan.out_bytes = static_cast<uint32_t>(head.text.size());
  }
  return ParseResult::kOk;
}

// Answers in our own name. The connection goes on where the request's end is known and reached.
Task<bool> Session::ServeRefusal(Exchange& x, int status, std::string text) {
  Count(x, status);
  x.backend.Close();
  bool keep = x.request.keep_alive && !worker_.draining_ && x.request_body.done();
  std::string body = Cat(status, " ", http::ReasonPhrase(status), ": ", text, "\n");
  std::string answer = Cat("HTTP/1.1 ", status, " ", http::ReasonPhrase(status),
                           "\r\nContent-Type: text/plain\r\nContent-Length: ", body.size(), "\r\n",
                           status == 503 ? "Retry-After: 1\r\n" : "",
                           !keep ? "Connection: close\r\n" : x.request.http10 ? "Connection: keep-alive\r\n" : "", "\r\n");
  if (!x.request.is_head) answer += body;
  bool sent = (co_await client_.Send(answer)).ok();
  if (sent && !keep) co_await Linger();
  co_return sent && keep;
}

// The framing is not known: nothing that follows can be understood.
Task<bool> Session::RefuseAndClose(int status, std::string text) {
  Exchange none;
  none.started = worker_.proactor_.Now();
  in_.Reset();
  co_return co_await ServeRefusal(none, status, std::move(text));
}

// Lets the client read the answer before our close: closing with unread input resets, which may destroy it.
Task<void> Session::Linger() {
  client_.ShutdownWrite();
  client_.SetDeadline(worker_.proactor_.Now() + kLinger);
  for (size_t seen = 0; seen < kLingerBytes;) {
    in_.Reset();
    IoResult got = co_await client_.Receive();
    if (!got.ok() || got.is_end()) co_return;
    in_ = client_.Take();
    seen += in_.size();
  }
}

void Session::Count(Exchange& x, int status) {
  size_t code_class = static_cast<size_t>(status / 100);
  if (!x.cluster) {
    worker_.CountUnrouted(listener_, code_class);
    return;
  }
  Cluster::Counters& counters = worker_.CountersOf(*x.cluster, listener_);
  counters.requests[code_class]->Add();
  counters.duration->Observe(worker_.proactor_.Now() - x.started);
}

void IdleSessions::Add(Session& session) {
  session.next_idle = first_;
  session.previous_idle = nullptr;
  if (first_ != nullptr) first_->previous_idle = &session;
  first_ = &session;
}

void IdleSessions::Remove(Session& session) {
  if (first_ != &session && session.previous_idle == nullptr) return;  // not in the list
  (session.previous_idle != nullptr ? session.previous_idle->next_idle : first_) = session.next_idle;
  if (session.next_idle != nullptr) session.next_idle->previous_idle = session.previous_idle;
  session.next_idle = session.previous_idle = nullptr;
}

void IdleSessions::EndAll() {
  for (Session* session = first_; session != nullptr; session = session->next_idle) session->EndIdle();
}

Task<void> ServeHttp(Worker& worker, Worker::ListenerState& listener, Stream client, ClientFacts facts) {
  listener.connections->Add(1);
  {
    Session session(worker, listener, std::move(client), facts);
    co_await session.Run();
  }
  listener.connections->Add(-1);
}

}  // namespace fairlead::lb
