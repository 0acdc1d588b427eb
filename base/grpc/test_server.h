// A gRPC server for tests, of the same HTTP/2 library as the client.
#pragma once

#include <nghttp2/nghttp2.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/io/listener.h"
#include "base/io/stream.h"
#include "base/strings.h"

namespace fairlead::grpc {

// A message as it is sent: compressed flag, length, bytes.
inline std::string Framed(std::string_view message) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(message.size() >> shift & 0xff));
  return out.append(message);
}

inline nghttp2_nv Field(std::string_view name, std::string_view value) {
  auto bytes = [](std::string_view text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

// Answers one call with `body`, piece by piece as HTTP/2 likes, and `grpc_status` behind it ("": it cuts the connection).
class TestServer {
 public:
  TestServer(std::string body, std::string grpc_status, std::string grpc_message = "no such container")
      : body_(std::move(body)), grpc_status_(std::move(grpc_status)), grpc_message_(std::move(grpc_message)) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  ~TestServer() { nghttp2_session_del(session_); }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  io::Task<void> Serve(io::Listener& listener) {
    io::IoResult fd = co_await listener.Accept();
    if (!fd.ok()) co_return;
    io::Stream stream(listener.proactor(), fd.value());
    for (;;) {
      const uint8_t* bytes = nullptr;
      for (ssize_t length; (length = nghttp2_session_mem_send(session_, &bytes)) > 0;)
        if (!(co_await stream.Send({reinterpret_cast<const char*>(bytes), static_cast<size_t>(length)})).ok()) co_return;
      if (grpc_status_.empty() && sent_ != 0 && sent_ == body_.size()) co_return;
      io::IoResult received = co_await stream.Receive();
      if (!received.ok() || received.is_end()) co_return;
      io::Chunk chunk = stream.Take();
      if (nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(chunk.view().data()), chunk.view().size()) < 0) co_return;
    }
  }
  std::string asked, head;

 private:
  static int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_bytes, const uint8_t* value, size_t value_bytes,
                      uint8_t, void* user) {
    auto text = [](const uint8_t* bytes, size_t length) { return std::string_view(reinterpret_cast<const char*>(bytes), length); };
    static_cast<TestServer*>(user)->head += Cat(text(name, name_bytes), ": ", text(value, value_bytes), "\n");
    return 0;
  }
  static int OnData(nghttp2_session*, uint8_t, int32_t, const uint8_t* bytes, size_t length, void* user) {
    static_cast<TestServer*>(user)->asked.append(reinterpret_cast<const char*>(bytes), length);
    return 0;
  }
  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    auto& server = *static_cast<TestServer*>(user);
    if (frame->hd.type != NGHTTP2_DATA || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    nghttp2_nv head[] = {Field(":status", "200"), Field("content-type", "application/grpc")};
    if (server.body_.empty()) {
      nghttp2_nv only[] = {head[0], head[1], Field("grpc-status", server.grpc_status_), Field("grpc-message", server.grpc_message_)};
      return nghttp2_submit_response(session, frame->hd.stream_id, only, 4, nullptr);
    }
    nghttp2_data_provider body{};
    body.source.ptr = user;
    body.read_callback = ReadBody;
    return nghttp2_submit_response(session, frame->hd.stream_id, head, 2, &body);
  }
  static ssize_t ReadBody(nghttp2_session* s, int32_t id, uint8_t* room, size_t length, uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& self = *static_cast<TestServer*>(source->ptr);
    const size_t bytes = self.body_.copy(reinterpret_cast<char*>(room), length, self.sent_);
    self.sent_ += bytes;
    if (self.sent_ < self.body_.size()) return static_cast<ssize_t>(bytes);
    if (self.grpc_status_.empty()) return bytes != 0 ? static_cast<ssize_t>(bytes) : NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_nv trailer = Field("grpc-status", self.grpc_status_);
    nghttp2_submit_trailer(s, id, &trailer, 1);
    return static_cast<ssize_t>(bytes);
  }

  const std::string body_, grpc_status_, grpc_message_;
  size_t sent_ = 0;
  nghttp2_session* session_ = nullptr;
};

}  // namespace fairlead::grpc
