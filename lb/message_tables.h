// What tables of messages are written in: a stream of a client and what is made of it, an answer and what it is.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/strings.h"
#include "lb/body_scan.h"
#include "lb/forward_head.h"

namespace fairlead::lb {

using http::ParseResult;

inline int StatusOf(ParseResult parsed) {
  switch (parsed) {
    case ParseResult::kTooManyFields: return 431;
    case ParseResult::kTargetTooLong: return 414;
    case ParseResult::kBadVersion: return 505;
    case ParseResult::kUnsupportedCoding: return 501;
    default: return 400;
  }
}

// A parsed request as it is sent on; "" when that does not fit.
struct Sent {
  RequestPlan plan;            // but for `protocols`
  std::string bytes;
};

inline Sent Send(const http::RequestHead& head, const ForwardOptions& options = {}, ClientText client = {"192.0.2.7", "http"}) {
  SeededRandom random(1);
  RequestIds ids(random);
  char out[4096];
  Sent sent;
  if (PlanRequest(head, options, client, ids, out, sizeof out, sent.plan)) sent.bytes.assign(out, sent.plan.out_bytes);
  return sent;
}

// Options that add nothing of ours.
inline constexpr ForwardOptions kNothingAdded = {.x_forwarded_for = ForwardOptions::For::kOff,
                                                 .x_forwarded_proto = ForwardOptions::Proto::kOff,
                                                 .x_request_id = ForwardOptions::RequestId::kOff,
                                                 .forwarded = false,
                                                 .trace = ForwardOptions::Trace::kOff,
                                                 .via = false};

// What is made of the stream, one word a request: "POST/a+5" was sent on with 5 bytes of body as they came; a number is
// the refusal, after which nothing is read; "..." waits for more of a head or a body.
inline std::string MadeOf(std::string_view stream) {
  static http::RequestHead head;
  std::string made;
  while (!stream.empty()) {
    if (!made.empty()) made += ' ';
    ParseResult parsed = http::ParseRequest(stream, head);
    if (parsed == ParseResult::kNeedMore) return made + "...";
    if (parsed != ParseResult::kOk) return Cat(made, StatusOf(parsed));
    if (head.host.empty() && head.minor_version >= 1) return made + "400";
    const Sent sent = Send(head);
    EXPECT_NE(sent.bytes, "");
    const RequestPlan& plan = sent.plan;
    made += Cat(head.method, head.path);
    stream.remove_prefix(plan.head_bytes);
    BodyScan body(plan.framing, plan.body_bytes);
    int64_t bytes = body.Feed(stream);
    if (bytes < 0) return made + "+400";
    if (plan.has_body()) made += Cat("+", bytes);
    stream.remove_prefix(static_cast<size_t>(bytes));
    if (!body.done()) return made + "...";
    if (!plan.keep_alive) break;
  }
  return made;
}

// Backends: what is made of an answer to GET: "ok" with its framing, or "bad" (502; the connection is not used again).
inline std::string AnswerIs(std::string_view answer, bool to_head = false) {
  static http::ResponseHead head;
  ParseResult parsed = http::ParseResponse(answer, to_head, head);
  if (parsed == ParseResult::kNeedMore) return "...";
  RequestPlan request;
  request.is_head = to_head;
  request.keep_alive = true;
  ResponsePlan plan;
  char out[4096];
  if (parsed != ParseResult::kOk || !PlanResponse(head, request, false, out, sizeof out, plan)) return "bad";
  constexpr const char* kFraming[] = {"none", "length", "chunked", "until close"};
  return Cat("ok ", kFraming[static_cast<int>(plan.framing)], plan.backend_keep_alive ? ", again" : "");
}

// A request as the backend gets it, with nothing added by us; "" when it is refused.
inline std::string SentOn(std::string_view request) {
  static http::RequestHead head;
  return http::ParseRequest(request, head) == ParseResult::kOk ? Send(head, kNothingAdded).bytes : "";
}

// An answer as a client of HTTP/1.1 (or 1.0) that wants to go on gets it; "" when it is refused.
inline std::string ToldOn(std::string_view answer, bool http10 = false) {
  static http::ResponseHead head;
  if (http::ParseResponse(answer, false, head) != ParseResult::kOk) return "";
  RequestPlan request;
  request.keep_alive = !http10;
  request.http10 = http10;
  ResponsePlan plan;
  char out[4096];
  if (!PlanResponse(head, request, false, out, sizeof out, plan)) return "";
  return plan.out_bytes == 0 ? std::string(head.text) : std::string(out, plan.out_bytes);
}

}  // namespace fairlead::lb
