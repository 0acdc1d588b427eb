#include "base/grpc/call.h"

#include <algorithm>

#include "base/strings.h"

namespace fairlead::grpc {
namespace {

constexpr size_t kPrefixBytes = 5;           // compressed flag and length ("Length-Prefixed-Message")
constexpr size_t kMaxStatusBytes = 1024;     // of grpc-message that are kept

Status Failed(std::string_view what, int error) { return DataLoss("HTTP/2: ", what, ": ", nghttp2_strerror(error)); }

std::string Framed(std::string_view message) {
  std::string framed(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) framed.push_back(static_cast<char>(message.size() >> shift & 0xff));
  return framed.append(message);
}

// Numbers of https://grpc.io/docs/guides/status-codes/; those of the server's own trouble are Unavailable.
StatusCode CodeOf(std::string_view grpc_status) {
  switch (ParseNumber<int>(grpc_status).value_or(2)) {
    case 3: return StatusCode::kInvalidArgument;
    case 4: return StatusCode::kDeadlineExceeded;
    case 5: return StatusCode::kNotFound;
    case 7: return StatusCode::kPermissionDenied;
    case 8: return StatusCode::kResourceExhausted;
    case 9: return StatusCode::kFailedPrecondition;
    default: return StatusCode::kUnavailable;
  }
}

nghttp2_nv Field(std::string_view name, std::string_view value) {
  auto bytes = [](std::string_view text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

Call::~Call() { nghttp2_session_del(session_); }

io::Task<StatusOr<std::unique_ptr<Call>>> Call::Open(io::Proactor& proactor, SocketAddress address, Request request, Nanos deadline) {
  CO_ASSIGN_OR_RETURN(io::Stream stream, co_await io::Dial(proactor, address, deadline));
  stream.SetDeadline(deadline);
  co_return co_await Over(std::move(stream), std::move(request));
}

io::Task<StatusOr<std::unique_ptr<Call>>> Call::Over(io::Stream stream, Request request) {
  std::unique_ptr<Call> call(new Call(std::move(stream), std::move(request)));
  CO_RETURN_IF_ERROR(call->Begin());
  CO_RETURN_IF_ERROR(co_await call->Flush());
  co_return call;
}

Status Call::Begin() {
  framed_ = Framed(request_.message);
  nghttp2_session_callbacks* callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) return ResourceExhausted("HTTP/2: no memory");
  nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnClose);
  const int made = nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  if (made != 0) return Failed("begin", made);
  if (int error = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0); error != 0) return Failed("begin", error);
  std::vector<nghttp2_nv> head = {Field(":method", "POST"), Field(":scheme", "http"), Field(":path", request_.method),
                                  Field(":authority", request_.authority), Field("content-type", "application/grpc"),
                                  Field("te", "trailers"), Field("user-agent", "fairlead")};
  for (const auto& [name, value] : request_.metadata) head.push_back(Field(name, value));
  nghttp2_data_provider body{};
  body.source.ptr = this;
  body.read_callback = ReadRequest;
  const int32_t stream = nghttp2_submit_request(session_, nullptr, head.data(), head.size(), &body, this);
  return stream < 0 ? Failed("ask", stream) : OkStatus();
}

io::Task<Status> Call::Flush() {
  for (;;) {
    const uint8_t* bytes = nullptr;
    const ssize_t length = nghttp2_session_mem_send(session_, &bytes);
    if (length < 0) co_return Failed("send", static_cast<int>(length));
    if (length == 0) co_return OkStatus();
    io::IoResult sent = co_await stream_.Send({reinterpret_cast<const char*>(bytes), static_cast<size_t>(length)});
    if (!sent.ok()) co_return sent.ToStatus("send");
  }
}

// One piece, and what is to be said to it: windows, pings.
io::Task<Status> Call::Receive() {
  if (nghttp2_session_want_read(session_) == 0) co_return DataLoss("what it answers is no HTTP/2");
  io::IoResult received = co_await stream_.Receive();
  if (!received.ok()) co_return received.ToStatus("receive");
  if (received.is_end()) co_return Unavailable("the server ended the connection");
  {
    io::Chunk chunk = stream_.Take();
    const auto* bytes = reinterpret_cast<const uint8_t*>(chunk.view().data());
    const ssize_t taken = nghttp2_session_mem_recv(session_, bytes, chunk.view().size());
    if (too_long_) co_return ResourceExhausted("a message of the server is longer than ", request_.max_answer, " bytes");
    if (taken < 0) co_return Failed("receive", static_cast<int>(taken));
  }
  co_return co_await Flush();
}

// None: it is not whole yet.
StatusOr<std::optional<std::string>> Call::TakeMessage() {
  if (answer_.size() < kPrefixBytes) return std::optional<std::string>();
  if (answer_[0] != '\0') return DataLoss("a compressed message that nobody asked for");
  size_t length = 0;
  for (size_t i = 1; i < kPrefixBytes; i++) length = length << 8 | static_cast<uint8_t>(answer_[i]);
  if (length > request_.max_answer) return ResourceExhausted("a message of the server is longer than ", request_.max_answer, " bytes");
  if (answer_.size() < kPrefixBytes + length) return std::optional<std::string>();
  std::optional<std::string> message(answer_.substr(kPrefixBytes, length));
  answer_.erase(0, kPrefixBytes + length);
  return message;
}

Status Call::Ended() const {
  if (!grpc_status_.empty() && grpc_status_ != "0")
    return Error(CodeOf(grpc_status_), grpc_message_.empty() ? Cat("grpc-status ", grpc_status_) : grpc_message_);
  if (error_ != NGHTTP2_NO_ERROR && grpc_status_.empty()) return Unavailable("the call was reset: ", nghttp2_http2_strerror(error_));
  if (http_status_ != "200") return FailedPrecondition("HTTP ", http_status_, ": no gRPC is spoken there");
  if (grpc_status_.empty() || !answer_.empty()) return DataLoss("the call ended in the middle");
  return OkStatus();
}

io::Task<StatusOr<std::optional<std::string>>> Call::Next() {
  for (;;) {
    CO_ASSIGN_OR_RETURN(std::optional<std::string> message, TakeMessage());
    if (message) co_return message;
    if (closed_) {
      CO_RETURN_IF_ERROR(Ended());
      co_return std::optional<std::string>();
    }
    CO_RETURN_IF_ERROR(co_await Receive());
  }
}

ssize_t Call::ReadRequest(nghttp2_session*, int32_t, uint8_t* room, size_t length, uint32_t* flags, nghttp2_data_source* source, void*) {
  auto& call = *static_cast<Call*>(source->ptr);
  const size_t bytes = call.framed_.copy(reinterpret_cast<char*>(room), length, call.sent_);
  call.sent_ += bytes;
  if (call.sent_ == call.framed_.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(bytes);
}

int Call::OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_bytes, const uint8_t* value,
                   size_t value_bytes, uint8_t, void* user) {
  auto& call = *static_cast<Call*>(user);
  const std::string_view key(reinterpret_cast<const char*>(name), name_bytes);
  const std::string_view text(reinterpret_cast<const char*>(value), std::min(value_bytes, kMaxStatusBytes));
  if (key == ":status") call.http_status_ = text;
  if (key == "grpc-status") call.grpc_status_ = text;
  if (key == "grpc-message") call.grpc_message_ = text;
  return 0;
}

int Call::OnData(nghttp2_session*, uint8_t, int32_t, const uint8_t* bytes, size_t length, void* user) {
  auto& call = *static_cast<Call*>(user);
  call.too_long_ = call.answer_.size() + length > call.request_.max_answer + kPrefixBytes;
  if (call.too_long_) return NGHTTP2_ERR_CALLBACK_FAILURE;
  call.answer_.append(reinterpret_cast<const char*>(bytes), length);
  return 0;
}

int Call::OnClose(nghttp2_session*, int32_t, uint32_t error, void* user) {
  auto& call = *static_cast<Call*>(user);
  call.closed_ = true;
  call.error_ = error;
  return 0;
}

io::Task<StatusOr<std::string>> Ask(io::Proactor& proactor, SocketAddress address, Request request, Nanos deadline) {
  CO_ASSIGN_OR_RETURN(std::unique_ptr<Call> call, co_await Call::Open(proactor, address, std::move(request), deadline));
  CO_ASSIGN_OR_RETURN(std::optional<std::string> message, co_await call->Next());
  if (!message) co_return DataLoss("an answer without a message");
  CO_ASSIGN_OR_RETURN(std::optional<std::string> more, co_await call->Next());  // how it ended
  if (more) co_return DataLoss("more than one message in answer");
  co_return *std::move(message);
}

}  // namespace fairlead::grpc
