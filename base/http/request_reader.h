// Takes requests apart for the server: bytes in, whole requests or refusals out. No I/O, no time.
#pragma once

#include <optional>
#include <string>

#include "base/http/body.h"
#include "base/http/server.h"

namespace fairlead::http {

class RequestReader {
 public:
  explicit RequestReader(const ServerLimits& limits) : limits_(limits) {}

  enum class Need { kMore, kContinue, kNothing, kRefusal };
  // Goes on with the bytes in `in`, which keeps what belongs to the next request.
  //   kMore      call again with more bytes
  //   kContinue  the client waits for "100 Continue": send it, then call again
  //   kNothing   the request is whole: Take() it
  //   kRefusal   answer refusal() and close
  Need Advance(std::string& in);

  bool begun(const std::string& in) const { return in_body_ || !in.empty(); }
  bool http10() const { return http10_; }
  bool persistent() const { return persistent_; }
  Reply refusal() const;
  Request Take();                 // and be ready for the next

 private:
  Need Refuse(int status);
  Need TakeHead(std::string& in);

  const ServerLimits limits_;
  Request request_;
  BodyDecoder body_;
  size_t parsed_bytes_ = 0;       // of `in` that are known to hold no whole head
  int refused_ = 0;               // status
  bool in_body_ = false;          // the head has been taken
  bool wants_continue_ = false;
  bool persistent_ = false;
  bool http10_ = false;
};

}  // namespace fairlead::http
