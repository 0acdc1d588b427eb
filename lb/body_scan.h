// Tells how much of the bytes that come belong to the message's body (RFC 9112 §6.3).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/http/head.h"

namespace fairlead::lb {

class BodyScan {
 public:
  BodyScan() = default;
  // `limit`: of a chunked body's content, 0 for none; a length is judged with its head.
  BodyScan(http::Framing framing, int64_t bytes, int64_t limit = 0) : framing_(framing), left_(bytes), limit_(limit) {}

  static constexpr int64_t kTooLarge = -2;

  bool done() const {
    switch (framing_) {
      case http::Framing::kNone: return true;
      case http::Framing::kLength: return left_ == 0;
      case http::Framing::kChunked: return chunked_.done() && !too_large_;
      case http::Framing::kUntilClose: return false;
    }
    return true;
  }
  bool ends_with_close() const { return framing_ == http::Framing::kUntilClose; }

  // How many bytes at the front of `piece` are the body's; -1: malformed chunks; kTooLarge: more content than the limit
  // has been announced.
  int64_t Feed(std::string_view piece) {
    switch (framing_) {
      case http::Framing::kNone: return 0;
      case http::Framing::kLength: {
        int64_t taken = std::min(left_, static_cast<int64_t>(piece.size()));
        left_ -= taken;
        return taken;
      }
      case http::Framing::kChunked: {
        int64_t taken = chunked_.Feed(piece);
        too_large_ = limit_ > 0 && chunked_.announced() > static_cast<uint64_t>(limit_);
        return too_large_ && taken >= 0 ? kTooLarge : taken;
      }
      case http::Framing::kUntilClose: return static_cast<int64_t>(piece.size());
    }
    return -1;
  }

  // For a client of HTTP/1.0: the same, and moves the content together at the front of `piece`; `content` is its size.
  int64_t FeedDechunked(char* piece, size_t bytes, size_t* content) {
    struct Target {
      char* at;
    } target{piece};
    int64_t taken = chunked_.Feed({piece, bytes}, [](void* context, std::string_view run) {
      auto* to = static_cast<Target*>(context);
      to->at = std::copy(run.begin(), run.end(), to->at);  // never ahead of where it reads
    }, &target);
    *content = static_cast<size_t>(target.at - piece);
    return taken;
  }

 private:
  http::Framing framing_ = http::Framing::kNone;
  int64_t left_ = 0;
  int64_t limit_ = 0;
  bool too_large_ = false;   // then it is never done: nobody has read it
  http::ChunkedBody chunked_;
};

}  // namespace fairlead::lb
