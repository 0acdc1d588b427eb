// HTTP/1.1 server over a Proactor for the control plane: plugin sockets, API, metrics. Keep-alive; requests of one
// connection are answered in order. Not the balancer: bodies are whole and bounded. An empty Host is accepted (RFC 9112
// §3.2): dockerd sends one on plugin sockets.
//
// What the server refuses itself (400, 408, 413, 431, 500, 501, 505) has a body of the API's form:
// {"error":{"code":"INVALID_ARGUMENT","message":"…"}}.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/http/message.h"
#include "base/io/listener.h"
#include "base/io/stream.h"

namespace fairlead::http {

struct ServerLimits {
  size_t head_bytes = 64 << 10;        // 431
  size_t body_bytes = 4 << 20;         // 413
  size_t connections = 1024;           // the next one is closed at once
  Nanos idle_timeout = 60 * kSecond;
  Nanos request_timeout = 30 * kSecond;  // from the first byte of a request to its last; of a write to a slow reader
};

struct RequestContext {
  io::Proactor& proactor;
  SocketAddress peer;                  // unset for unix sockets
  std::optional<io::PeerCredentials> credentials;  // unix sockets
};

// Writes a response piece by piece (server-sent events, `--watch`).
class ResponseWriter {
 public:
  // One chunk. After an error nothing more can be written.
  virtual io::Task<io::IoResult> Write(std::string bytes) = 0;

 protected:
  ~ResponseWriter() = default;
};

// What a handler gives: a whole response, or one with `stream`, which is called after the head was sent. When the
// client goes away or the server stops, `stream` is cancelled: its awaits give errors, and it returns. The server
// writes the framing: Content-Length, Transfer-Encoding and Connection of `headers` are left out.
struct Reply : Response {
  std::function<io::Task<void>(ResponseWriter&)> stream;
};

class Server {
 public:
  using Handler = std::function<io::Task<Reply>(const Request&, const RequestContext&)>;

  Server(io::Proactor& proactor, Handler handler, ServerLimits limits = {});
  ~Server();                            // after Stop()
  // Accepts until Stop(). The listener is the server's.
  void Serve(io::Listener listener);
  // No new connections; waits for requests in progress, ends idle connections and streams. Not from a handler.
  io::Task<void> Stop();
  uint64_t requests() const;            // that a handler was called for
  uint64_t refused_connections() const;  // by ServerLimits::connections
  size_t connections() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::http
