// Writes heads into memory of the caller, without allocation. What does not fit is left out and remembered: check ok()
// once, at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/http/head.h"

namespace fairlead::http {

class HeadWriter {
 public:
  HeadWriter(char* out, size_t capacity) : begin_(out), at_(out), end_(out + capacity) {}

  void Text(std::string_view bytes);
  void Decimal(uint64_t value);
  void Hex(uint64_t value);                          // no leading zeros: a chunk size
  void HexPadded(uint64_t value);                    // 16 digits: half an X-Request-Id

  // HTTP/1.1. Puts the slash before a path that begins with '?' (see RequestHead::path).
  void RequestLine(std::string_view method, std::string_view path);
  void StatusLine(int status, std::string_view reason);  // the reason may be empty
  void Field(std::string_view name, std::string_view value);
  void Field(std::string_view name, uint64_t value);
  // The fields of `head` but those that end at this hop and those of `left_out`, in runs of unchanged bytes.
  void CopyFields(const Head& head, FieldSet left_out = 0);
  void EndHead() { Text("\r\n"); }
  // A whole response with Content-Length, for answers of our own.
  void Reply(int status, std::string_view content_type, std::string_view body, bool close);

  bool ok() const { return !overflow_; }
  size_t size() const { return static_cast<size_t>(at_ - begin_); }
  std::string_view text() const { return {begin_, size()}; }

 private:
  char* begin_;
  char* at_;
  char* end_;
  bool overflow_ = false;
};

}  // namespace fairlead::http
