// Frames of the discovery stream: four bytes of length, big endian, then the message.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace fairlead::discovery {

inline constexpr size_t kFrameHeaderBytes = 4;
inline constexpr size_t kMaxFrameBytes = 4 << 20;      // of a message from an agent
inline constexpr size_t kMaxRequestBytes = 256 << 10;  // of a message from a consumer: all that an agent buffers

// Begins a frame at the end of `out`; finish it when the message has been appended behind.
size_t BeginFrame(std::string& out);
void FinishFrame(std::string& out, size_t begin);

// Cuts a stream of bytes into messages. Keeps at most one unfinished frame.
class FrameDecoder {
 public:
  explicit FrameDecoder(size_t max_message_bytes) : max_(max_message_bytes) {}

  void Feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next message, or nothing when more bytes are needed. After an error the stream is of no
  // use any more.
  StatusOr<std::optional<std::string>> Next();
  bool at_boundary() const { return read_ == buffer_.size(); }

 private:
  const size_t max_;
  std::string buffer_;
  size_t read_ = 0;
};

}  // namespace fairlead::discovery
