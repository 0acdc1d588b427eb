// ApiClient: the operator's commands talk to the agent through it. One proactor of its own, one exchange at a time; each
// call turns the loop until it has its answer or kDeadline has passed.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "base/io/proactor.h"
#include "base/net/socket_address.h"
#include "base/status.h"

namespace fairlead::app {

class ApiClient {
 public:
  static constexpr Nanos kDeadline = 10 * kSecond;        // of one exchange
  static constexpr Nanos kChangeDeadline = 60 * kSecond;  // of one that changes things: the engine may take its time

  // "unix:PATH", "http://IP:PORT" or "http://localhost:PORT".
  static StatusOr<SocketAddress> ParseAddress(std::string_view text);
  static StatusOr<ApiClient> Open(SocketAddress address, const Clock& clock);

  // The JSON of a 2xx; else the error of the API. Unavailable: no agent answers there.
  StatusOr<nlohmann::json> Get(std::string target) { return Exchange("GET", std::move(target), nullptr); }
  // POST, PUT or DELETE; `body` null: none.
  StatusOr<nlohmann::json> Change(std::string method, std::string target, const nlohmann::json& body) {
    return Exchange(std::move(method), std::move(target), body);
  }
  // Lets `duration` pass.
  void Pause(Nanos duration);

 private:
  ApiClient(SocketAddress address, std::unique_ptr<io::Proactor> proactor);
  StatusOr<nlohmann::json> Exchange(std::string method, std::string target, const nlohmann::json& body);
  Status Unreachable(const Status& why, Nanos deadline) const;

  SocketAddress address_;
  std::unique_ptr<io::Proactor> proactor_;
};

}  // namespace fairlead::app
