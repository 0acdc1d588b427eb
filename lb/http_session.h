// The session of an HTTP connection, in two files: session.cc is the client's side (requests, refusals, the connection's
// life), exchange.cc the backend's side (connect, send, answer, retry rules).
#pragma once

#include <string>

#include "lb/body_relay.h"
#include "lb/connection.h"
#include "lb/forward_head.h"
#include "lb/head_buffer.h"
#include "lb/worker.h"

namespace fairlead::lb {

// One request's state while it is served.
struct Exchange {
  Nanos started = 0;
  RequestPlan request;
  HeadBuffer request_head;          // kept until the answer comes: a retry sends it again
  LocalRef<Cluster> cluster;
  LocalRef<Endpoint> endpoint;
  LocalRef<Endpoint> wanted;        // that the client's cookie names
  io::Stream backend;
  bool pooled = false;              // `backend` had served before
  bool fresh = false;               // take no pooled connection: one of them was dead already
  int retries = 0;
  BodyScan request_body;
  bool body_started = false;        // bytes of the body may be gone: no retry
  bool request_sent = true;         // false: the backend got nothing of the request, so it may be tried again
  bool request_whole = false;       // all of it has gone to the backend, not only come from the client
  ResponsePlan response;
  bool answered = false;            // the backend has said something: no retry
  bool head_sent = false;           // the answer has begun: too late for one of our own
  bool truncated = false;           // the answer broke off: the client must not take it for whole
  bool reusable = false;            // the backend's connection, if the request went out whole
  const char* why = "";             // of a refusal, behind the service's name
  LocalRef<RouteMiddlewares> middlewares;  // of the route; null: none
  size_t passed = 0;                // of their steps
  std::string origin;               // that CORS answers to
  bool by_tls = false;              // as the middlewares see it
  std::string own_fields, own_text; // of an answer that a middleware gives in place of an endpoint
  GuardRefusal refusal = GuardRefusal::kNone;
  std::vector<std::pair<PasswordQuestion::Key, PasswordVerdict>> verdicts;  // what was asked of passwords
  bool asks = false;                // this must be answered before the request is planned:
  PasswordQuestion question;
};

// How serving a request ends: with a status (> 0) to answer in our own name, or one of these.
inline constexpr int kServed = 0;   // the client's connection may serve another request
inline constexpr int kEnded = -1;   // it ends here

class Session {
 public:
  Session(Worker& worker, Worker::ListenerState& listener, io::Stream client, const ClientFacts& facts)
      : worker_(worker), listener_(listener), client_(std::move(client)), facts_(facts), peer_(facts.ip.ToString()) {}
  Session(Session&&) = default;

  // Serves requests until the connection ends. The one frame of an idle connection.
  static io::Task<void> Serve(Session session);
  void EndIdle() { client_.SetDeadline(worker_.proactor_.Now()); }

  Session* next_idle = nullptr;      // of the worker's list of sessions between two requests
  Session* previous_idle = nullptr;

 private:
  // --- session.cc
  io::Task<bool> ServeRequest();
  io::Task<http::ParseResult> JoinHead(Exchange& x);
  http::ParseResult Plan(std::string_view bytes, Exchange& x);
  io::Task<http::ParseResult> AskAndPlan(std::string_view bytes, Exchange& x);
  http::ParseResult ApplyMiddlewares(http::RequestHead& head, Exchange& x);
  bool EditAnswer(const http::ResponseHead& head, Exchange& x);  // false: it goes on as it is
  io::Task<bool> ServeOwnAnswer(Exchange& x);
  io::Task<bool> ServeRefusal(Exchange& x, int status, std::string text);
  io::Task<bool> RefuseAndClose(Refused reason, int status, std::string text);
  io::Task<void> Linger();
  void Count(Exchange& x, int status);

  // --- exchange.cc
  io::Task<int> Forward(Exchange& x);
  io::Task<int> ConnectBackend(Exchange& x);
  io::Task<int> Attempt(Exchange& x);
  io::Task<Relayed> Upload(Exchange& x);
  io::Task<int> Download(Exchange& x);
  io::Task<int> AwaitAnswer(Exchange& x);
  io::Task<int> ForwardAnswer(Exchange& x);
  io::Task<int> ReadAnswerHead(Exchange& x, io::Chunk& answer, HeadBuffer& out);
  io::Task<int> Conclude(Exchange& x, int ended);
  io::Task<int> Tunnel(Exchange& x, io::Chunk from_backend);
  http::ParseResult PlanAnswer(std::string_view bytes, Exchange& x, bool joined, HeadBuffer& out);
  bool MayRetry(const Exchange& x) const;

  Worker& worker_;
  Worker::ListenerState& listener_;
  io::Stream client_;
  io::Chunk in_;                     // received, not yet served
  ClientFacts facts_;
  std::string peer_;                 // client's address as text
};

}  // namespace fairlead::lb
