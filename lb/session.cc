#include "lb/session.h"

#include <algorithm>
#include <string>

#include "base/http/lenient.h"
#include "base/http/message.h"
#include "base/http/path.h"
#include "base/io/record_layer.h"
#include "lb/http_session.h"
#include "lb/sticky.h"

namespace fairlead::lb {

using http::ParseResult;
using io::IoResult;
using io::Stream;
using io::Task;

namespace {

constexpr Nanos kLinger = 1 * kSecond;          // for a client that still sends while it is refused
constexpr size_t kLingerBytes = 256 << 10;

// Into memory of its own: a buffer of the ring must not be kept for as long as a password's hash takes.
void CopyOut(io::Chunk& piece) {
  if (piece.size() > io::PlainPiece::kBytes) return;
  const auto bytes = static_cast<uint32_t>(piece.size());
  uint8_t* copy = io::PlainPiece::Allocate();
  piece.view().copy(reinterpret_cast<char*>(copy), bytes);
  piece = io::Chunk(copy, bytes);
}

// Of discovery::RequestView.
bool NextField(const void* fields, std::string_view name, int& at, std::string_view& value) {
  const auto& head = *static_cast<const http::RequestHead*>(fields);
  while (at < head.field_count) {
    const http::Field& field = head.fields[at++];
    if (!EqualsIgnoreCase(field.name, name)) continue;
    value = field.value;
    return true;
  }
  return false;
}

// The request as routes see it.
discovery::RequestView ViewOf(const http::RequestHead& head, const HostKey& host, const IpAddress& client) {
  const size_t path_bytes = std::min(head.path.find('?'), head.path.size());
  std::string_view path = head.path.substr(0, path_bytes);
  // An absolute-form target may have a query and no path (RFC 9112 §3.2.2), and "*" means the whole host.
  if (!path.starts_with('/')) path = "/";
  return {.host = host.view(),
          .path = path,
          .query = head.path.substr(std::min(path_bytes + 1, head.path.size())),
          .method = head.method,
          .next_field = NextField,
          .fields = &head,
          .client_ip = client};
}

}  // namespace

Task<void> Session::Serve(Session session) {
  Worker& worker = session.worker_;
  session.listener_.connections->Add(1);
  worker.idle_sessions_.Add(session);
  Nanos wait = session.listener_.spec.request_header;
  for (;;) {
    if (session.in_.empty()) {
      session.client_.SetDeadline(worker.proactor_.Now() + wait);
      IoResult got = co_await session.client_.Receive();
      if (!got.ok() || got.is_end()) break;
      session.in_ = session.client_.Take();
    }
    worker.idle_sessions_.Remove(session);
    if (!co_await session.ServeRequest() || worker.draining_) break;
    worker.idle_sessions_.Add(session);
    wait = session.listener_.spec.keep_alive;
  }
  worker.idle_sessions_.Remove(session);
  session.listener_.connections->Add(-1);
}

// Reads the head, finds its service and forwards. True: the connection may serve another request.
Task<bool> Session::ServeRequest() {
  Exchange x;
  x.started = worker_.proactor_.Now();
  ParseResult parsed = Plan(in_.view(), x);
  if (x.asks) [[unlikely]] {
    CopyOut(in_);
    parsed = co_await AskAndPlan(in_.view(), x);
  }
  if (parsed == ParseResult::kOk) [[likely]] {
    in_.Skip(x.request.head_bytes);
  } else if (parsed == ParseResult::kNeedMore) {
    parsed = co_await JoinHead(x);
  }
  switch (parsed) {
    case ParseResult::kOk: break;
    case ParseResult::kNeedMore: co_return false;  // JoinHead has answered or the client has gone
    case ParseResult::kBad: co_return co_await RefuseAndClose(Refused::kBadRequest, 400, "malformed request");
    case ParseResult::kNoHost: co_return co_await RefuseAndClose(Refused::kNoHost, 400, "no Host");
    case ParseResult::kTooManyFields:
      co_return co_await RefuseAndClose(Refused::kHeadTooLarge, 431, "too many header fields, or too large");
    case ParseResult::kTargetTooLong: co_return co_await RefuseAndClose(Refused::kTargetTooLong, 414, "target too long");
    case ParseResult::kBadVersion:
      co_return co_await RefuseAndClose(Refused::kBadVersion, 505, "only HTTP/1.0 and HTTP/1.1");
    case ParseResult::kUnsupportedCoding:
      co_return co_await RefuseAndClose(Refused::kUnsupportedCoding, 501, "unknown transfer coding");
  }
  x.request_body = BodyScan(x.request.framing, x.request.body_bytes, listener_.spec.limits.body_bytes);
  if (x.request.answer != 0) [[unlikely]] co_return co_await ServeOwnAnswer(x);
  if (!x.cluster) co_return co_await ServeRefusal(x, 404, "no route for this host and path");

  int ended = co_await Forward(x);
  if (ended <= 0) co_return ended == kServed;
  if (ended < 500) [[unlikely]]  // the client's body was at fault
    worker_.CountRefusedRequest(listener_, ended == 408   ? Refused::kTimeout
                                    : ended == 413 ? Refused::kBodyTooLarge
                                                   : Refused::kBadRequest);
  co_return co_await ServeRefusal(x, ended, Cat("service ", x.cluster->service(), x.why));
}

// Parses what is there and writes the request for the backend. Nothing of the bytes is needed afterwards.
ParseResult Session::Plan(std::string_view bytes, Exchange& x) {
  worker_.CatchUp();
  http::RequestHead& head = worker_.request_head_;
  const ListenerSpec& spec = listener_.spec;
  const http::HeadLimits limits{spec.limits.target_bytes, spec.limits.fields};
  ParseResult parsed = http::ParseRequest(bytes, head, limits);
  size_t taken = head.text.size();
  if (parsed == ParseResult::kBad && spec.lenient) {
    parsed = http::MakeStrict(bytes, worker_.strict_head_, taken);
    if (parsed == ParseResult::kOk) parsed = http::ParseRequest(worker_.strict_head_, head, limits);
  }
  if (parsed != ParseResult::kOk) return parsed;
  if (taken > spec.limits.head_bytes) return ParseResult::kTooManyFields;
  if (head.host.empty() && head.minor_version >= 1) return ParseResult::kNoHost;
  if (head.path.empty()) return ParseResult::kBad;  // CONNECT: this is no forward proxy
  if (spec.normalize_path && head.path.front() == '/' && !http::IsNormalPath(head.path)) {
    worker_.normal_path_.resize(head.path.size());
    worker_.normal_path_.resize(http::NormalizePath(head.path, worker_.normal_path_.data()));
    head.path = worker_.normal_path_;
  }
  const HostKey host(head.host);
  if (const auto* route = worker_.routes_.Find(ViewOf(head, host, facts_.ip), listener_.index)) {
    x.cluster = route->target.cluster;
    x.middlewares = route->target.middlewares;
    if (const discovery::StickyCookie& sticky = x.cluster->settings().sticky; sticky.enabled) [[unlikely]]
      x.wanted = x.cluster->Named(CookieIn(head, sticky.name), worker_.proactor_.Now());
  }
  ForwardOptions forward = spec.forward;
  int answer = 0;
  if (x.middlewares) {
    if (parsed = ApplyMiddlewares(head, x); parsed != ParseResult::kOk || x.asks) return parsed;
    forward = x.middlewares->chain->Adjust(forward);
    answer = worker_.middleware_run_.status;
  }
  x.request_head.Reserve(head.text.size() + head.host.size() + peer_.size() + kAddedBytes);
  bool fits = PlanRequest(head, forward, {peer_, facts_.secure ? "https" : "http"}, worker_.request_ids_,
                          x.request_head.data(), x.request_head.capacity(), x.request);
  CHECK(fits);
  x.request.head_bytes = static_cast<uint32_t>(taken);  // of what the client sent, strict or not
  if (spec.limits.body_bytes > 0 && x.request.body_bytes > spec.limits.body_bytes) answer = 413;
  if (answer != 0) x.request.answer = answer;
  return ParseResult::kOk;
}

// Runs the request through its route's middlewares. What they change is written anew, and `head` is that from here on.
ParseResult Session::ApplyMiddlewares(http::RequestHead& head, Exchange& x) {
  MiddlewareRun& run = worker_.middleware_run_;
  run.Begin(head);
  run.secure = facts_.secure;
  run.trusts_proto = listener_.spec.forward.x_forwarded_proto != ForwardOptions::Proto::kSet;
  run.client = facts_.ip;
  run.passwords = &worker_.passwords_;
  run.answered = &x.verdicts;
  x.middlewares->chain->Run(run);
  x.passed = run.passed;
  x.by_tls = run.by_tls;
  x.asks = run.asks;
  if (run.asks) x.question = std::move(run.question);
  if (run.asks) return ParseResult::kOk;
  if (!run.origin.empty()) x.origin = run.origin;
  if (run.status != 0) {
    x.own_fields = run.fields;
    x.own_text = run.text;
    x.refusal = run.refusal;
    return ParseResult::kOk;
  }
  if (!run.edited()) return ParseResult::kOk;
  run.path += run.query;
  run.edits.WriteRequest(head, run.path_changed ? std::string_view(run.path) : head.path, worker_.edited_head_);
  return http::ParseRequest(worker_.edited_head_, head);
}

// The request must wait for a password's hash; its bytes stay where they are. Each turn answers one question.
Task<ParseResult> Session::AskAndPlan(std::string_view bytes, Exchange& x) {
  for (;;) {
    const PasswordQuestion::Key key = x.question.key;
    x.verdicts.emplace_back(key, co_await worker_.passwords_.Verify(std::move(x.question)));
    ParseResult parsed = Plan(bytes, x);
    if (!x.asks) co_return parsed;
  }
}

bool Session::EditAnswer(const http::ResponseHead& head, Exchange& x) {
  const bool fields = x.middlewares && x.middlewares->chain->EditsAnswers();
  const bool cookie = x.endpoint && x.backend && x.endpoint != x.wanted && !x.endpoint->view().cookie.empty();
  if (!fields && !cookie) [[likely]] return false;
  FieldEdits& edits = worker_.answer_edits_;
  edits.Clear();
  if (fields) x.middlewares->chain->EditAnswer(x.passed, x.by_tls, x.origin, head, edits);
  if (cookie) {
    WriteCookie(x.cluster->settings().sticky, x.endpoint->view().cookie, worker_.set_cookie_);
    edits.Add("Set-Cookie", worker_.set_cookie_);
  }
  return !edits.empty();
}

// No endpoint is asked: a limit of ours answers, Max-Forwards, or a middleware (a redirect, a refusal, CORS).
Task<bool> Session::ServeOwnAnswer(Exchange& x) {
  constexpr Refused kReasons[] = {Refused::kBadRequest, Refused::kUnauthorized, Refused::kForbidden, Refused::kRouteShut,
                                  Refused::kPasswordsWait};
  if (x.request.answer == 413) {
    worker_.CountRefusedRequest(listener_, Refused::kBodyTooLarge);
    x.own_text = "body too large";
    x.own_fields.clear();
  } else if (x.refusal != GuardRefusal::kNone) {
    worker_.CountRefusedRequest(listener_, kReasons[static_cast<size_t>(x.refusal)]);
  } else if (x.own_text.empty() && x.own_fields.empty()) {
    worker_.CountRefusedRequest(listener_, Refused::kMaxForwards);
    x.own_text = "Max-Forwards ends here";
  }
  std::string text = std::move(x.own_text);
  co_return co_await ServeRefusal(x, x.request.answer, std::move(text));
}

// The head came in pieces: joins them. kNeedMore: there is nobody to serve any more.
Task<ParseResult> Session::JoinHead(Exchange& x) {
  std::string joined;
  client_.SetDeadline(worker_.proactor_.Now() + listener_.spec.request_header);
  for (;;) {
    size_t before = joined.size();
    joined.append(in_.view());
    // A verdict can come only with the end of a line: parsing at each piece would cost a slow sender's bytes squared.
    bool line_ends = in_.view().find('\n') != std::string_view::npos;
    ParseResult parsed = before == 0 || !line_ends ? ParseResult::kNeedMore : Plan(joined, x);
    if (x.asks) {
      CopyOut(in_);
      parsed = co_await AskAndPlan(joined, x);
    }
    if (parsed != ParseResult::kNeedMore) {
      if (parsed == ParseResult::kOk) in_.Skip(x.request.head_bytes - before);
      co_return parsed;
    }
    in_.Reset();
    if (joined.size() > listener_.spec.limits.head_bytes) co_return ParseResult::kTooManyFields;
    IoResult got = co_await client_.Receive();
    if (got.timed_out()) co_await RefuseAndClose(Refused::kTimeout, 408, "the request did not come in time");
    if (!got.ok() || got.is_end()) co_return ParseResult::kNeedMore;
    in_ = client_.Take();
  }
}

// Answers in our own name. The connection goes on where the request's end is known and reached.
Task<bool> Session::ServeRefusal(Exchange& x, int status, std::string text) {
  Count(x, status);
  x.backend.Close();
  bool keep = x.request.keep_alive && !worker_.draining_ && x.request_body.done();
  std::string body = text.empty() ? "" : Cat(status, " ", http::ReasonPhrase(status), ": ", text, "\n");
  std::string answer = Cat("HTTP/1.1 ", status, " ", http::ReasonPhrase(status),
                           "\r\nContent-Type: text/plain\r\nContent-Length: ", body.size(), "\r\n",
                           status == 503 ? "Retry-After: 1\r\n" : "", x.own_fields,
                           !keep ? "Connection: close\r\n" : x.request.http10 ? "Connection: keep-alive\r\n" : "", "\r\n");
  if (x.middlewares && http::ParseResponse(answer, true, worker_.response_head_) == ParseResult::kOk && EditAnswer(worker_.response_head_, x)) {
    worker_.answer_edits_.WriteResponse(worker_.response_head_, worker_.edited_head_);
    answer = worker_.edited_head_;
  }
  if (!x.request.is_head) answer += body;
  bool sent = (co_await client_.Send(answer)).ok();
  if (sent && !keep) co_await Linger();
  co_return sent && keep;
}

// The framing is not known: nothing that follows can be understood.
Task<bool> Session::RefuseAndClose(Refused reason, int status, std::string text) {
  worker_.CountRefusedRequest(listener_, reason);
  Exchange none;
  none.started = worker_.proactor_.Now();
  in_.Reset();
  co_return co_await ServeRefusal(none, status, std::move(text));
}

// Lets the client read the answer before our close: closing with unread input resets, which may destroy it.
Task<void> Session::Linger() {
  const Nanos until = worker_.proactor_.Now() + kLinger;
  client_.ShutdownWrite();
  client_.SetDeadline(until);
  client_.socket()->ReceiveOnDemand(true);
  for (size_t seen = 0; seen < kLingerBytes;) {
    in_.Reset();
    IoResult got = co_await client_.Receive();
    if (!got.ok() || got.is_end()) co_return;
    in_ = client_.Take();
    seen += in_.size();
  }
  in_.Reset();
  // A fast sender gets no more of our time, but still its second to read the answer.
  (void)co_await io::Sleep(worker_.proactor_, until - worker_.proactor_.Now());
}

void Session::Count(Exchange& x, int status) {
  size_t code_class = static_cast<size_t>(std::min(status / 100, 5));  // what is above 599 counts as 5xx (RFC 9110 §15)
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
  return Session::Serve(Session(worker, listener, std::move(client), facts));
}

}  // namespace fairlead::lb
