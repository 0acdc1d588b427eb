// One connection of dockerd to its authorization plugin, as HTTP/1.1: bytes in, calls out; no I/O, no time. Bodies are
// scanned as they come (authz_scanner.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/http/head.h"
#include "runtime-shim/programs/authz_question.h"

namespace fairlead::programs {

struct AuthzCall {
  enum class Kind : uint8_t { kActivate, kAuthorize, kUnknown, kRefused };
  Kind kind = Kind::kUnknown;
  AuthzMoment moment = AuthzMoment::kRequest;  // of kAuthorize
  AuthzFacts facts = {};                       // of kAuthorize
  bool close = false;                          // behind the answer
};

class AuthzConnection {
 public:
  static constexpr size_t kMaxHead = 16 << 10;

  enum class Need : uint8_t { kMore, kContinue, kCall };
  // Takes bytes off the front.
  //   kMore      all of them; come again with more
  //   kContinue  the peer waits for "100 Continue": send it, then call again
  //   kCall      Take() it and answer; what is left of `bytes` belongs to the next one
  Need Advance(std::string_view& bytes);
  AuthzCall Take();
  // Between two requests, with nothing of the next.
  bool idle() const { return !in_body_ && head_.empty(); }
  size_t kept_bytes() const { return head_.size() + scanner_.kept_bytes(); }

 private:
  Need TakeHead(std::string_view& bytes);
  Need Refuse();
  bool TakeBody(std::string_view& bytes);   // false: malformed
  bool whole() const;

  AuthzCall call_;
  AuthzScanner scanner_;
  std::string head_;                        // bytes of a head that is not whole
  http::Framing framing_ = http::Framing::kNone;
  int64_t left_ = 0;
  http::ChunkedBody chunked_;
  bool in_body_ = false;
};

// The whole answer to a call.
std::string AnswerTo(const AuthzCall& call);

}  // namespace fairlead::programs
