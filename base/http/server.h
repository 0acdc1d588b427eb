// HTTP/1.1 server over a Proactor for the control plane: plugin sockets, API, metrics. Keep-alive; requests of one
// connection are answered in order. Not the balancer: bodies are whole and bounded.
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
  Nanos request_timeout = 30 * kSecond;
};

struct RequestContext {
  io::Proactor& proactor;
  SocketAddress peer;                  // unset for unix sockets
  std::optional<io::PeerCredentials> credentials;  // unix sockets
};

// Writes a response piece by piece (server-sent events, `--watch`).
class ResponseWriter {
 public:
  virtual io::Task<io::IoResult> Write(std::string bytes) = 0;   // one chunk

 protected:
  ~ResponseWriter() = default;
};

// What a handler gives: a whole response, or one with `stream`, which is called after the head was sent.
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
  io::Task<void> Stop();                // no new connections; waits for requests in progress, cancels idle ones
  uint64_t requests() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::http
