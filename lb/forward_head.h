// What goes on to the other side: the request as the backend gets it, the response as the client gets it. Synchronous
// and without allocation: bytes in, bytes out. Fields that end at this hop are taken out (RFC 9110 §7.6.1), the
// forwarding fields are put in, everything else is copied byte for byte.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/http/head.h"
#include "base/random.h"
#include "lb/config.h"

namespace fairlead::lb {

// The part of a request that its coroutine needs after the head's bytes are gone.
struct RequestPlan {
  http::Framing framing = http::Framing::kNone;
  int64_t body_bytes = 0;      // of kLength
  uint32_t head_bytes = 0;     // taken from the client
  uint32_t out_bytes = 0;      // to send
  bool keep_alive = false;     // the client's wish
  bool http10 = false;
  bool is_head = false;
  bool idempotent = false;     // RFC 9110 §9.2.2
  std::string_view protocols;  // of Upgrade, in the written head: a 101 may switch to one of these, a tunnel only after it
  int answer = 0;              // not 0: nothing may be sent on, we answer with this status (Max-Forwards of 0)
  bool has_body() const { return framing != http::Framing::kNone && !(framing == http::Framing::kLength && body_bytes == 0); }
};

struct ResponsePlan {
  http::Framing framing = http::Framing::kNone;
  int64_t body_bytes = 0;
  uint32_t head_bytes = 0;     // taken from the backend
  uint32_t out_bytes = 0;      // to send from the output buffer; 0: the head may be sent as it came
  int status = 0;
  bool interim = false;        // 1xx but 101: another head follows
  bool upgrade = false;        // 101 that was asked for: behind the head begins the other protocol
  bool backend_keep_alive = false;
  bool client_keep_alive = false;
  bool dechunk = false;        // the client speaks HTTP/1.0: content without chunk framing, ended by close
};

// Makes X-Request-Id values: a random prefix per worker and a counter, 16 hexadecimal digits each.
class RequestIds {
 public:
  explicit RequestIds(Random& random) : prefix_(random.Next()) {}
  uint64_t prefix() const { return prefix_; }
  uint64_t NextCount() { return ++count_; }
  // For trace contexts, whose samplers count on even bits: never twice the same from one object (splitmix64).
  uint64_t NextMixed() {
    uint64_t z = prefix_ + ++count_ * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  uint64_t prefix_;
  uint64_t count_ = 0;
};

// Room that the added fields need at most, besides head, host and client address.
inline constexpr size_t kAddedBytes = 512;

// Who sent the request, as the backend is told.
struct ClientText {
  std::string_view ip;
  std::string_view scheme;     // http, https
};

// Writes the request for the backend into out[0, capacity). False when it does not fit (431).
//
// Of the fields that end here some are said anew: `TE: trailers`, because trailers pass (RFC 9110 §10.1.4), and the
// protocols of Upgrade (§7.8) but other versions of HTTP and TLS, which would hide requests from routing. No upgrade is
// asked for by HTTP/1.0, nor together with a body: what follows the head must have one meaning.
bool PlanRequest(const http::RequestHead& head, const ForwardOptions& options, const ClientText& client,
                 RequestIds& ids, char* out, size_t capacity, RequestPlan& plan);

// `close_client`: the worker wants the connection to end after this response. False when it does not fit, or is a 101
// that nobody asked for, or to a protocol that nobody asked for (502).
bool PlanResponse(const http::ResponseHead& head, const RequestPlan& request, bool close_client, char* out,
                  size_t capacity, ResponsePlan& plan);

}  // namespace fairlead::lb
