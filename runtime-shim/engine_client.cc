#include "runtime-shim/engine_client.h"

namespace fairlead::runtime {
namespace {

constexpr size_t kMaxEventBytes = 1 << 20;  // one line of /events: labels of one container

// What changes a row, a lease or a network's name. Probes of health checks alone would be three events each.
constexpr std::string_view kActions =
    R"(["create","start","restart","rename","update","pause","unpause","kill","die","stop","oom","destroy","health_status",)"
    R"("connect","disconnect"])";

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    if (plain) {
      out += c;
      continue;
    }
    auto byte = static_cast<uint8_t>(c);
    out += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

Status StatusOf(const http::Request& request, int code, std::string_view body,
                StatusCode on_5xx = StatusCode::kUnavailable) {
  std::string message = Cat(request.method, " ", request.target, ": the engine answers ", code, ": ", ParseErrorMessage(body));
  if (code == 404) return NotFound(message);
  bool refused = code == 400 || code == 403 || code == 409;  // 403: docker's word for much that is no question of rights
  return refused ? FailedPrecondition(message) : Error(on_5xx, message);
}

// Lines of JSON from a body that comes in pieces of any size.
class DockerEvents final : public EventStream {
 public:
  explicit DockerEvents(http::ResponseStream body) : body_(std::move(body)) {}

  io::Task<StatusOr<EngineEvent>> Next() override {
    for (;;) {
      size_t end = buffer_.find('\n', scanned_);
      if (end != buffer_.npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        scanned_ = 0;
        if (Trim(line).empty()) continue;
        co_return ParseEvent(line);
      }
      scanned_ = buffer_.size();
      if (scanned_ > kMaxEventBytes) co_return ResourceExhausted("an event of the engine is longer than ", kMaxEventBytes, " bytes");
      auto piece = co_await body_.Read();
      if (!piece.ok()) co_return WithContext(piece.status(), "engine events: ");
      if (piece->empty()) co_return Error(StatusCode::kOutOfRange, "the engine ended the event stream");
      buffer_ += *piece;
    }
  }

 private:
  http::ResponseStream body_;
  std::string buffer_;
  size_t scanned_ = 0;
};

}  // namespace

StatusOr<EngineVersion> Negotiate(const EngineVersions& engine) {
  EngineVersion version = std::min(kOurVersion, engine.newest);
  if (version < kOldestVersion) {
    return FailedPrecondition("the engine speaks API ", engine.newest.ToString(), "; at least ", kOldestVersion.ToString(),
                              " is needed: upgrade the engine");
  }
  if (version < engine.oldest) {
    return FailedPrecondition("the engine serves API ", engine.oldest.ToString(), " and newer; this program speaks ",
                              kOurVersion.ToString(), ": upgrade Fairlead");
  }
  return version;
}

http::Request DockerEngine::RequestOf(std::string method, std::string target, std::string body) const {
  http::Request request{.method = std::move(method), .target = std::move(target), .body = std::move(body)};
  if (!secret_.empty()) request.headers.push_back({kOwnCallHeader, secret_});
  if (!request.body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  return request;
}

io::Task<StatusOr<std::string>> DockerEngine::Target(std::string path, Nanos deadline) {
  if (!version_) {
    http::Request request = RequestOf("GET", "/version");
    auto response = co_await http::Fetch(proactor_, socket_, request, deadline);
    if (!response.ok()) co_return response.status();
    if (response->status != 200) co_return StatusOf(request, response->status, response->body);
    CO_ASSIGN_OR_RETURN(EngineVersions versions, ParseVersions(response->body));
    CO_ASSIGN_OR_RETURN(version_, Negotiate(versions));
    newest_ = versions.newest;
  }
  co_return Cat("/v", version_->ToString(), path);
}

io::Task<StatusOr<EngineVersion>> DockerEngine::Version(Nanos deadline) {
  if (!version_) CO_RETURN_IF_ERROR((co_await Target("", deadline)).status());
  co_return *newest_;
}

io::Task<StatusOr<std::string>> DockerEngine::Get(std::string path, Nanos deadline) {
  CO_ASSIGN_OR_RETURN(std::string target, co_await Target(std::move(path), deadline));
  co_return co_await GetTarget(std::move(target), deadline);
}

io::Task<StatusOr<std::string>> DockerEngine::GetTarget(std::string target, Nanos deadline) {
  http::Request request = RequestOf("GET", std::move(target));
  auto response = co_await kept_.Fetch(request, deadline);
  if (!response.ok()) {
    // It may be another engine that comes back. One that is slow is the same: it holds a container's lock.
    if (response.status().code() != StatusCode::kDeadlineExceeded) version_.reset();
    co_return response.status();
  }
  if (response->status != 200) {
    if (response->status == 400) version_.reset();  // "client version 1.47 is too new"
    co_return StatusOf(request, response->status, response->body);
  }
  co_return std::move(response->body);
}

io::Task<Status> DockerEngine::Change(std::string method, std::string path, std::string body, Nanos deadline,
                                      StatusCode on_5xx) {
  CO_ASSIGN_OR_RETURN(std::string target, co_await Target(std::move(path), deadline));
  http::Request request = RequestOf(std::move(method), std::move(target), std::move(body));
  auto response = co_await http::Fetch(proactor_, socket_, request, deadline);
  if (!response.ok()) version_.reset();
  if (!response.ok()) co_return response.status();
  if (response->status / 100 == 2) co_return OkStatus();
  if (response->status == 400) version_.reset();
  co_return StatusOf(request, response->status, response->body, on_5xx);
}

io::Task<Status> DockerEngine::CreateNetwork(NetworkDetails wanted, Nanos deadline) {
  co_return co_await Change("POST", "/networks/create", CreateNetworkBody(wanted), deadline, StatusCode::kUnknown);
}

io::Task<Status> DockerEngine::RemoveNetwork(std::string network, Nanos deadline) {
  co_return co_await Change("DELETE", Cat("/networks/", PercentEncode(network)), "", deadline, StatusCode::kUnknown);
}

io::Task<Status> DockerEngine::RemoveContainer(std::string id, Nanos deadline) {
  const std::string path = Cat("/containers/", PercentEncode(id));
  Status stopped = co_await Change("POST", Cat(path, "/stop"), "", deadline);
  // One that was started with --rm may be gone by now, or going.
  if (stopped.code() == StatusCode::kNotFound) co_return OkStatus();
  // What cannot be stopped (it was never started, it is stopped: 304) may still be removed: that has the last word.
  Status removed = co_await Change("DELETE", Cat(path, "?v=1"), "", deadline);
  if (removed.code() == StatusCode::kNotFound) co_return OkStatus();
  if (removed.ok() || Message(removed).contains("already in progress")) co_return OkStatus();
  co_return stopped.ok() ? removed : stopped;
}

io::Task<Status> DockerEngine::DisconnectNetwork(std::string network, std::string container, Nanos deadline) {
  co_return co_await Change("POST", Cat("/networks/", PercentEncode(network), "/disconnect"), DisconnectBody(container), deadline);
}

io::Task<Status> DockerEngine::ConnectNetwork(std::string network, std::string container, EndpointSettings settings,
                                              Nanos deadline) {
  co_return co_await Change("POST", Cat("/networks/", PercentEncode(network), "/connect"), ConnectBody(container, settings), deadline);
}

io::Task<StatusOr<std::vector<ContainerSummary>>> DockerEngine::ListContainers(Nanos deadline) {
  CO_ASSIGN_OR_RETURN(std::string body, co_await Get("/containers/json?all=1", deadline));
  co_return ParseContainerList(body);
}

io::Task<StatusOr<ContainerDetails>> DockerEngine::InspectContainer(std::string id, Nanos deadline) {
  CO_ASSIGN_OR_RETURN(std::string body, co_await Get(Cat("/containers/", PercentEncode(id), "/json"), deadline));
  co_return ParseContainer(body);
}

io::Task<StatusOr<std::vector<NetworkDetails>>> DockerEngine::ListNetworks(Nanos deadline) {
  CO_ASSIGN_OR_RETURN(std::string body, co_await Get("/networks", deadline));
  co_return ParseNetworkList(body);
}

io::Task<StatusOr<NetworkDetails>> DockerEngine::InspectNetwork(std::string id, Nanos deadline) {
  CO_ASSIGN_OR_RETURN(std::string body, co_await Get(Cat("/networks/", PercentEncode(id)), deadline));
  co_return ParseNetwork(body);
}

io::Task<StatusOr<std::unique_ptr<EventStream>>> DockerEngine::Events(Nanos since_wall, Nanos deadline) {
  return EventsOf(kActions, since_wall, deadline);
}

io::Task<StatusOr<std::unique_ptr<EventStream>>> DockerEngine::EventsOf(std::string_view actions, Nanos since_wall,
                                                                        Nanos deadline) {
  std::string filter = Cat(R"({"type":["container","network"],"event":)", actions, "}");
  std::string path = Cat("/events?filters=", PercentEncode(filter));
  if (since_wall != 0) {
    std::string fraction = Cat(since_wall % kSecond + kSecond).substr(1);  // nine digits
    path += Cat("&since=", since_wall / kSecond, ".", fraction);
  }
  CO_ASSIGN_OR_RETURN(std::string target, co_await Target(std::move(path), deadline));
  http::Request request = RequestOf("GET", std::move(target));
  auto stream = co_await http::ResponseStream::Open(proactor_, socket_, request, deadline);
  if (!stream.ok()) {
    version_.reset();
    co_return stream.status();
  }
  if (stream->head().status != 200) {
    version_.reset();
    co_return StatusOf(request, stream->head().status, "");
  }
  stream->SetDeadline(kNever);
  co_return std::unique_ptr<EventStream>(std::make_unique<DockerEvents>(*std::move(stream)));
}

}  // namespace fairlead::runtime
