// The backend's side of a session: a request goes to an endpoint, its answer to the client.
#include "base/http/lenient.h"
#include "base/io/event.h"
#include "lb/backend.h"
#include "lb/http_session.h"
#include "lb/relay.h"

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
// An answer that takes longer is worth watching whether its client is still there; quick ones should not pay for it.
constexpr Nanos kWatchClientAfter = 250 * kMillisecond;
// A send buffer that is empty takes this much whole or not at all.
constexpr size_t kSentAtOnce = 4096;

// Ends the wait for a backend when its client's connection breaks. The mere end of the client's input is no reason: who
// has sent a whole request may shut down that direction (RFC 9112 §9.6).
class ClientWatch final : public io::Socket::IdleListener {
 public:
  ClientWatch(Stream& client, Stream& backend) : client_(*client.socket()), backend_(backend) {
    client_.SetIdleListener(this);
    client_.SetDeadline(kNever);
    client_.Arm();
  }
  ~ClientWatch() { client_.SetIdleListener(nullptr); }
  bool gone() const { return client_.broken(); }
  void OnIdleEvent(io::Socket& socket) override {
    if (socket.broken()) backend_.SetDeadline(socket.proactor().Now());
  }

 private:
  io::Socket& client_;
  Stream& backend_;
};

// What a request's body that was not whole is refused with; no status where its client has gone.
struct BodyFault {
  int status = 0;
  const char* why = "";
};

BodyFault FaultOf(Relayed relayed) {
  switch (relayed) {
    case Relayed::kSourceTimedOut: return {408, ": the request's body did not come in time"};
    case Relayed::kSinkTimedOut: return {504, ": the request's body was not taken in time"};
    case Relayed::kMalformed: return {400, ": malformed chunked body"};
    case Relayed::kTooLarge: return {413, ": body too large"};
    case Relayed::kWhole: case Relayed::kSourceFailed: case Relayed::kSinkFailed: break;
  }
  return {};
}

}  // namespace

// To one endpoint after the other, as far as the rules allow.
Task<int> Session::Forward(Exchange& x) {
  for (;;) {
    if (int failed = co_await ConnectBackend(x)) co_return failed;
    int ended = co_await Attempt(x);
    if (ended <= 0) co_return ended;
    x.backend.Close();
    if (ended != 502 || !MayRetry(x)) co_return ended;
    x.fresh = x.pooled;  // its siblings idled as long: they may be as dead
    ++x.retries;
    worker_.retries_.Add();
  }
}

// Gives x.backend, or the status to refuse with. A failed connect goes to another endpoint: nothing was sent yet.
Task<int> Session::ConnectBackend(Exchange& x) {
  io::Proactor& proactor = worker_.proactor_;
  const ServiceSettings& settings = x.cluster->settings();
  for (;;) {
    // A client goes back to its endpoint as long as that one takes requests, and to another one after a fault.
    x.endpoint = x.wanted && x.retries == 0 ? x.wanted : x.cluster->Pick(proactor.Now(), x.retries > 0 ? x.endpoint.get() : nullptr);
    if (!x.endpoint) {
      x.why = " has no endpoint that is ready";
      co_return 503;
    }
    bool replayable = x.request.idempotent && !x.request.has_body();
    if (!x.fresh) x.backend = x.endpoint->TakeIdle(replayable ? 0 : proactor.Now() - kFreshEnoughForPost);
    x.pooled = static_cast<bool>(x.backend);
    if (x.pooled) co_return 0;
    StatusOr<Stream> dialled = co_await DialEndpoint(worker_, *x.cluster, *x.endpoint, facts_,
                                                     proactor.Now() + settings.connect);
    if (dialled.ok()) {
      x.backend = *std::move(dialled);
      co_return 0;
    }
    worker_.connect_failures_.Add();
    x.endpoint->AvoidUntil(proactor.Now() + Endpoint::kAvoid);
    if (!settings.retry_connect_failure || x.retries >= settings.max_retries) {
      bool late = dialled.status().code() == StatusCode::kDeadlineExceeded;
      x.why = late ? ": connecting took too long" : ": no endpoint takes connections";
      co_return late ? 504 : 503;
    }
    ++x.retries;
    worker_.retries_.Add();
  }
}

// A request that reached nobody may be tried for every method; one that may have been served only where doing it twice
// is doing it once (RFC 9110 §9.2.2).
bool Session::MayRetry(const Exchange& x) const {
  const ServiceSettings& settings = x.cluster->settings();
  bool harmless = !x.request_sent || (x.request.idempotent && !x.body_started);
  return settings.retry_reset_before_response && x.retries < settings.max_retries && harmless && !x.answered;
}

// Sends the request and forwards the answer. A body goes up while the answer comes down: a backend may answer before it
// has read all, or answer as it reads.
Task<int> Session::Attempt(Exchange& x) {
  IoResult sent = co_await x.backend.Send({x.request_head.data(), x.request.out_bytes});
  if (!sent.ok()) {
    // A connection that idled has an empty send buffer: the head would have gone in whole.
    x.request_sent = !(x.pooled && x.request.out_bytes <= kSentAtOnce);
    x.why = ": no answer";
    co_return sent.cancelled() ? kEnded : 502;
  }
  x.request_sent = true;
  if (x.request_body.done()) [[likely]] {
    x.request_whole = true;
    int ended = co_await Download(x);
    co_return co_await Conclude(x, ended);
  }
  x.body_started = true;
  auto race = co_await io::Race<Relayed, int>(Upload(x), Download(x));
  if (race.winner == 1) co_return co_await Conclude(x, *race.b);
  if (x.head_sent) {
    x.truncated = true;
    co_return co_await Conclude(x, kEnded);
  }
  if (BodyFault fault = FaultOf(*race.a); fault.status != 0) {
    x.why = fault.why;
    co_return fault.status;
  }
  Count(x, 0);
  co_return kEnded;
}

// What is left to do when nobody uses the two connections any more.
Task<int> Session::Conclude(Exchange& x, int ended) {
  if (x.truncated) client_.Reset();
  if (x.truncated || !x.head_sent) co_return ended;
  // Bytes behind the answer would be taken for the next answer, the next request for the rest of this one's body.
  // A connection that was announced by a PROXY header is this client's only.
  bool anybodys = x.cluster->settings().proxy_header == ProxyHeader::kNone;
  if (x.reusable && x.request_whole && anybodys)
    x.endpoint->PutIdle(std::move(x.backend), x.cluster->settings().idle);
  // The client sends, or has sent, what nobody will read: let it read the answer before our close (RFC 9112 §9.6).
  bool more_comes = !x.request_body.done();
  if (ended == kEnded && client_) more_comes |= !in_.empty() || client_.socket()->has_input();
  if (!more_comes) co_return ended;
  x.backend.Close();
  co_await Linger();
  co_return kEnded;
}

// The request's body. Ends by itself only when the client failed: else it waits for the end of the answer, and notices
// meanwhile when the client breaks.
Task<Relayed> Session::Upload(Exchange& x) {
  io::Proactor& proactor = worker_.proactor_;
  const Nanos response = x.cluster->settings().response;
  Relayed relayed = co_await RelayBody(proactor, client_, in_, x.backend, x.request_body, false,
                                       {.silence = listener_.spec.request_body, .stuck = response});
  x.request_whole = relayed == Relayed::kWhole;
  // A backend that takes no more of it may still answer, and does so where its answer has begun.
  bool answer_may_come = relayed == Relayed::kSinkFailed || (relayed == Relayed::kSinkTimedOut && x.head_sent);
  if (relayed != Relayed::kWhole && !answer_may_come) co_return relayed;
  if (relayed == Relayed::kWhole && !x.head_sent) x.backend.SetDeadline(proactor.Now() + response);
  client_.SetDeadline(kNever);
  if (in_.empty() && relayed == Relayed::kWhole) {
    IoResult got = co_await client_.Receive();  // what comes stays for the next request
    if (!got.ok()) co_return Relayed::kSourceFailed;
  }
  io::Event never(proactor);
  (void)co_await never.Wait();
  co_return relayed;
}

Task<int> Session::Download(Exchange& x) {
  if (int failed = co_await AwaitAnswer(x)) co_return failed;
  co_return co_await ForwardAnswer(x);
}

// Waits for the first bytes of the answer: 0, or the status to refuse with.
Task<int> Session::AwaitAnswer(Exchange& x) {
  io::Proactor& proactor = worker_.proactor_;
  const Nanos limit = x.cluster->settings().response;
  const Nanos begin = proactor.Now();
  bool uploading = !x.request_body.done();  // then the clock of the answer starts at the end of the body (Upload)
  x.backend.SetDeadline(uploading ? kNever : begin + std::min(limit, kWatchClientAfter));
  IoResult got = co_await x.backend.Receive();
  if (got.timed_out() && !uploading && limit > kWatchClientAfter) {
    ClientWatch watch(client_, x.backend);
    x.backend.SetDeadline(watch.gone() ? proactor.Now() : begin + limit);
    got = co_await x.backend.Receive();
    if (watch.gone() && !got.ok()) {
      Count(x, 0);
      co_return kEnded;
    }
  }
  if (got.ok() && !got.is_end()) co_return 0;
  if (got.cancelled()) co_return kEnded;
  x.why = got.timed_out() ? ": no answer in time" : ": no answer";
  co_return got.timed_out() ? 504 : 502;
}

// Forwards the answer whose first bytes are there.
Task<int> Session::ForwardAnswer(Exchange& x) {
  io::Proactor& proactor = worker_.proactor_;
  Chunk answer = x.backend.Take();
  HeadBuffer out;
  const ResponsePlan& plan = x.response;
  x.answered = true;
  if (int failed = co_await ReadAnswerHead(x, answer, out)) co_return failed;

  // Head and the first piece of the body leave in one send where they stand together.
  BodyScan body(plan.framing, plan.body_bytes);
  std::string_view first = answer.view().substr(plan.out_bytes == 0 ? plan.head_bytes : 0);
  size_t content = 0;
  if (!plan.dechunk && !plan.upgrade) {
    int64_t taken = body.Feed(first);
    if (taken < 0) {
      x.why = ": malformed chunks";
      co_return 502;
    }
    content = static_cast<size_t>(taken);
  }
  bool sent;
  x.head_sent = true;
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
  if (!sent) co_return kEnded;
  if (plan.upgrade) co_return co_await Tunnel(x, std::move(answer));
  if (!body.done()) {
    Relayed relayed = co_await RelayBody(proactor, x.backend, answer, client_, body, plan.dechunk,
                                         {.silence = x.cluster->settings().response});
    if (relayed != Relayed::kWhole) {
      x.truncated = true;
      co_return kEnded;
    }
  }
  x.reusable = plan.backend_keep_alive && answer.empty();
  co_return plan.client_keep_alive ? kServed : kEnded;
}

// After a 101 the bytes are none of HTTP's (RFC 9110 §7.8). What the client sent too early was kept, and follows now.
Task<int> Session::Tunnel(Exchange& x, Chunk from_backend) {
  RelayOptions options{.silence = x.cluster->settings().tunnel};
  co_await RelayBothWays(client_, x.backend, options, std::move(in_), std::move(from_backend));
  co_return kEnded;
}

// Reads heads until the final one; sends interim ones on. 0, or how it ends. When x.response.out_bytes is 0 the head
// stands at the front of `answer`; else it is in `out` and `answer` holds what followed it.
Task<int> Session::ReadAnswerHead(Exchange& x, Chunk& answer, HeadBuffer& out) {
  const ResponsePlan& plan = x.response;
  std::string joined;
  x.why = ": malformed answer";
  for (;;) {
    size_t before = joined.size();
    if (before != 0) joined.append(answer.view());
    ParseResult parsed = PlanAnswer(before != 0 ? std::string_view(joined) : answer.view(), x, before != 0, out);
    if (parsed == ParseResult::kOk) {
      if (plan.out_bytes != 0) answer.Skip(plan.head_bytes - before);
      if (!plan.interim) co_return 0;
      if (!x.request.http10) {
        std::string_view head = plan.out_bytes != 0 ? std::string_view(out.data(), plan.out_bytes)
                                                    : answer.view().substr(0, plan.head_bytes);
        if (!(co_await client_.Send(head)).ok()) co_return kEnded;
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
    if (x.request_body.done()) x.backend.SetDeadline(worker_.proactor_.Now() + x.cluster->settings().response);
    IoResult got = co_await x.backend.Receive();
    if (got.cancelled()) co_return kEnded;
    if (got.timed_out()) {
      x.why = ": the answer's head did not come in time";
      co_return 504;
    }
    if (!got.ok() || got.is_end()) co_return 502;
    answer = x.backend.Take();
  }
}

ParseResult Session::PlanAnswer(std::string_view bytes, Exchange& x, bool joined, HeadBuffer& out) {
  http::ResponseHead& head = worker_.response_head_;
  ResponsePlan& plan = x.response;
  ParseResult parsed = http::ParseResponse(bytes, x.request.is_head, head);
  size_t removed = 0;
  if (parsed == ParseResult::kBad) {
    removed = http::TrimFieldNames(bytes, worker_.strict_head_);
    if (removed > 0) parsed = http::ParseResponse(worker_.strict_head_, x.request.is_head, head);
  }
  if (parsed != ParseResult::kOk) return parsed;
  const size_t taken = head.text.size() + removed;
  bool edited = head.status >= 200 && EditAnswer(head, x);
  if (edited) {
    worker_.answer_edits_.WriteResponse(head, worker_.edited_head_);
    parsed = http::ParseResponse(worker_.edited_head_, x.request.is_head, head);
    if (parsed != ParseResult::kOk) return parsed;
  }
  bool close_client = worker_.draining_ || !x.request_body.done();
  out.Reserve(head.text.size() + kAddedBytes);
  if (!PlanResponse(head, x.request, close_client, out.data(), out.capacity(), plan)) return ParseResult::kBad;
  plan.head_bytes = static_cast<uint32_t>(taken);
  if ((joined || removed > 0 || edited) && plan.out_bytes == 0) {  // the bytes go with `joined`, or are not as they came: keep them
    head.text.copy(out.data(), head.text.size());
    plan.out_bytes = static_cast<uint32_t>(head.text.size());
  }
  return ParseResult::kOk;
}

}  // namespace fairlead::lb
