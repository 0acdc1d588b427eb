// Takes the framing off a body that comes in pieces (RFC 9112 §6.3). Bytes in, content out; no I/O.
#pragma once

#include <cstdint>
#include <string>

#include "base/http/head.h"

namespace fairlead::http {

class BodyDecoder {
 public:
  BodyDecoder() = default;  // of a message without a body
  BodyDecoder(Framing framing, int64_t content_length) : framing_(framing), left_(content_length) {}

  // Moves what belongs to the body off the front of `in` and its content behind `out`. False: malformed.
  bool Feed(std::string& in, std::string& out);
  bool done() const;
  // The peer has closed its side: was that the end of the body?
  bool EndsWithStream() const { return framing_ == Framing::kUntilClose || done(); }

 private:
  Framing framing_ = Framing::kNone;
  int64_t left_ = 0;        // kLength
  ChunkedBody chunked_;     // kChunked
};

}  // namespace fairlead::http
