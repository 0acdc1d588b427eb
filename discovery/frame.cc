#include "discovery/frame.h"

#include "base/check.h"

namespace fairlead::discovery {

size_t BeginFrame(std::string& out) {
  const size_t begin = out.size();
  out.append(kFrameHeaderBytes, '\0');
  return begin;
}

void FinishFrame(std::string& out, size_t begin) {
  const size_t bytes = out.size() - begin - kFrameHeaderBytes;
  CHECK(bytes <= kMaxFrameBytes);  // Subscriber cuts updates well below it
  for (size_t i = 0; i < kFrameHeaderBytes; i++) out[begin + i] = static_cast<char>(bytes >> (24 - 8 * i));
}

StatusOr<std::optional<std::string>> FrameDecoder::Next() {
  const size_t left = buffer_.size() - read_;
  size_t bytes = 0;
  if (left >= kFrameHeaderBytes) {
    for (size_t i = 0; i < kFrameHeaderBytes; i++) bytes = bytes << 8 | static_cast<unsigned char>(buffer_[read_ + i]);
    if (bytes > max_) return InvalidArgument("frame of ", bytes, " bytes is larger than the limit of ", max_);
  }
  if (left < kFrameHeaderBytes || left - kFrameHeaderBytes < bytes) {
    buffer_.erase(0, read_);  // what was given is dropped once per batch, not once per message
    read_ = 0;
    return std::optional<std::string>();
  }
  std::optional<std::string> message(buffer_.substr(read_ + kFrameHeaderBytes, bytes));
  read_ += kFrameHeaderBytes + bytes;
  return message;
}

}  // namespace fairlead::discovery
