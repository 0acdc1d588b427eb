// Call: one gRPC call to a server nearby (containerd), with a connection of its own: plain HTTP/2 with prior knowledge, one
// message out, one or many back. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
//
//   CO_ASSIGN_OR_RETURN(auto call, co_await grpc::Call::Open(proactor, address, {.method = "/p.Events/Subscribe"}, deadline));
//   while ((message = co_await call->Next()).ok() && *message) …
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/io/await.h"
#include "base/io/stream.h"
#include "base/status.h"

namespace fairlead::grpc {

inline constexpr size_t kMaxMessageBytes = 16 << 20;  // what containerd sends at most

struct Request {
  std::string method;                                 // "/PACKAGE.SERVICE/METHOD"
  std::vector<std::pair<std::string, std::string>> metadata = {};  // lower case names
  std::string message = {};                           // protobuf
  std::string authority = "localhost";
  size_t max_answer = kMaxMessageBytes;               // bytes of one message of the server
};

class Call {
 public:
  // Connects and sends the request; the error names the address. The deadline, a point of Proactor::Now(), is the opening's.
  static io::Task<StatusOr<std::unique_ptr<Call>>> Open(io::Proactor& proactor, SocketAddress address, Request request, Nanos deadline);
  // The same over a connection that is there; the caller sets the deadline.
  static io::Task<StatusOr<std::unique_ptr<Call>>> Over(io::Stream stream, Request request);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // The next message, or none: the server ended the call well. An error is the server's own (its grpc-status becomes our
  // code, where we have one), or the connection's (Unavailable, DataLoss).
  io::Task<StatusOr<std::optional<std::string>>> Next();
  void SetDeadline(Nanos when) { stream_.SetDeadline(when); }
  // As the server said them; "": it has not ended the call.
  const std::string& grpc_status() const { return grpc_status_; }
  const std::string& grpc_message() const { return grpc_message_; }

 private:
  Call(io::Stream stream, Request request) : stream_(std::move(stream)), request_(std::move(request)) {}
  Status Begin();
  io::Task<Status> Flush();
  io::Task<Status> Receive();
  StatusOr<std::optional<std::string>> TakeMessage();
  Status Ended() const;
  static ssize_t ReadRequest(nghttp2_session*, int32_t, uint8_t* room, size_t length, uint32_t* flags, nghttp2_data_source* source, void*);
  static int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_bytes, const uint8_t* value,
                      size_t value_bytes, uint8_t, void* user);
  static int OnData(nghttp2_session*, uint8_t, int32_t, const uint8_t* bytes, size_t length, void* user);
  static int OnClose(nghttp2_session*, int32_t, uint32_t error, void* user);

  io::Stream stream_;
  Request request_;
  std::string framed_;                                // the request as it goes out
  size_t sent_ = 0;
  nghttp2_session* session_ = nullptr;
  std::string http_status_, grpc_status_, grpc_message_;
  std::string answer_;                                // received and not taken
  bool closed_ = false, too_long_ = false;
  uint32_t error_ = NGHTTP2_NO_ERROR;
};

// A call with one answer.
io::Task<StatusOr<std::string>> Ask(io::Proactor& proactor, SocketAddress address, Request request, Nanos deadline);

}  // namespace fairlead::grpc
