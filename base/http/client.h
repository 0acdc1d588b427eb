// HTTP/1.1 client over a Proactor for the control plane: the engine's socket and our own APIs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/http/message.h"
#include "base/io/stream.h"

namespace fairlead::http {

inline constexpr size_t kMaxResponseBody = 64 << 20;  // a larger body is an error that names the limit

// One exchange on a connection of its own, body and all. Every HTTP status is a value; the error says what failed.
io::Task<StatusOr<Response>> Fetch(io::Proactor& proactor, SocketAddress address, Request request, Nanos deadline);

// Connections to one server that are kept from one exchange to the next. For what may be asked twice alone (GET, HEAD):
// that the server has closed a kept connection shows when it is used, and then the request goes over a new one (RFC 9112
// §9.3.1). Belongs to one worker and outlives its exchanges.
class KeptConnections {
 public:
  static constexpr size_t kMaxIdle = 8;

  KeptConnections(io::Proactor& proactor, SocketAddress address) : proactor_(proactor), address_(address) {}
  // As http::Fetch.
  io::Task<StatusOr<Response>> Fetch(Request request, Nanos deadline);
  size_t idle() const { return idle_.size(); }

 private:
  io::Task<StatusOr<Response>> Exchange(Request request);
  io::Stream TakeIdle();
  void Keep(io::Stream stream);

  io::Proactor& proactor_;
  const SocketAddress address_;
  std::vector<io::Stream> idle_;             // the last one was used last
};

// A response whose body is read as it comes (Docker's /events).
class ResponseStream {
 public:
  // Sends the request and reads the head.
  static io::Task<StatusOr<ResponseStream>> Open(io::Proactor& proactor, SocketAddress address, Request request,
                                                 Nanos deadline);
  // The same over a connection that is there already.
  static io::Task<StatusOr<ResponseStream>> Open(io::Stream stream, Request request, Nanos deadline);
  ResponseStream(ResponseStream&&) noexcept;
  ResponseStream& operator=(ResponseStream&&) noexcept;
  ~ResponseStream();

  const Response& head() const;              // status and headers; its body is empty
  // The next piece of the body with framing taken off; "" at its end; an error when it broke off.
  io::Task<StatusOr<std::string>> Read();
  void SetDeadline(Nanos when);              // of further reads

 private:
  friend class KeptConnections;
  struct State;
  explicit ResponseStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::http
