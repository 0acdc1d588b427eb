#include "runtime-shim/programs/agent_call.h"

#include <cerrno>
#include <cstdlib>
#include <optional>

#include "base/clock.h"
#include "base/http/body.h"
#include "base/http/head.h"
#include "runtime-shim/programs/unix_stream.h"

namespace fairlead::programs {

using nlohmann::json;

namespace {

constexpr std::string_view kSocketOption = "--fairlead-socket";
constexpr size_t kReadBytes = 16 << 10;

std::string RequestText(std::string_view shim, const json& request) {
  std::string body = request.dump(-1, ' ', false, json::error_handler_t::replace);
  return Cat("POST /v1/shim/", shim, " HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\nContent-Length: ",
             body.size(), "\r\nConnection: close\r\n\r\n", body);
}

// A response whose bytes come in pieces.
class Answer {
 public:
  // False: this is no answer.
  bool Take(std::string_view piece) {
    in_ += piece;
    if (!body_) {
      http::ResponseHead head;
      http::ParseResult result = http::ParseResponse(in_, /*to_head_request=*/false, head);
      if (result == http::ParseResult::kNeedMore) return true;
      if (result != http::ParseResult::kOk) return false;
      status_ = head.status;
      body_.emplace(head.framing, head.content_length);
      in_.erase(0, head.text.size());
    }
    return body_->Feed(in_, content_);
  }
  bool whole() const { return body_ && body_->done(); }
  bool EndsWithStream() const { return body_ && body_->EndsWithStream(); }
  int status() const { return status_; }
  const std::string& content() const { return content_; }

 private:
  std::string in_, content_;
  std::optional<http::BodyDecoder> body_;   // set once the head is known
  int status_ = 0;
};

StatusCode CodeOf(std::string_view name) {
  for (int code = 1; code <= static_cast<int>(StatusCode::kUnauthenticated); code++)
    if (CodeName(static_cast<StatusCode>(code)) == name) return static_cast<StatusCode>(code);
  return StatusCode::kUnknown;
}

std::string TextIn(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// docs/api.md: {"error": {"code": …, "message": …}}
Status ErrorOf(int status, const json& body) {
  auto error = body.is_object() ? body.find("error") : body.end();
  if (error == body.end() || !error->is_object()) return Internal("the agent answers with status ", status);
  return Error(CodeOf(TextIn(*error, "code")), TextIn(*error, "message"));
}

StatusOr<Answer> Exchange(const std::string& socket_path, const std::string& request, Nanos deadline) {
  ASSIGN_OR_RETURN(UnixStream stream, UnixStream::Connect(socket_path, deadline));
  RETURN_IF_ERROR(stream.SendAll(request, deadline));
  Answer answer;
  size_t received = 0;
  char piece[kReadBytes];
  while (!answer.whole()) {
    ASSIGN_OR_RETURN(size_t bytes, stream.Receive(piece, sizeof piece, deadline));
    if (bytes == 0 && answer.EndsWithStream()) break;
    if (bytes == 0) return Unavailable("it ended in the middle of its answer");
    if ((received += bytes) > kMaxAgentAnswer)
      return ResourceExhausted("its answer is longer than ", kMaxAgentAnswer, " bytes");
    if (!answer.Take({piece, bytes})) return Internal("what it answers is not HTTP");
  }
  return answer;
}

}  // namespace

std::string SocketPath(int& argc, char**& argv) {
  std::string_view first = argc > 1 ? argv[1] : "";
  int taken = 0;
  std::string path;
  if (first == kSocketOption && argc > 2) {
    path = argv[2];
    taken = 2;
  } else if (first.starts_with(kSocketOption) && first.substr(kSocketOption.size()).starts_with('=')) {
    path = first.substr(kSocketOption.size() + 1);
    taken = 1;
  } else {
    const char* set = getenv("FAIRLEAD_API_SOCKET");
    path = set != nullptr && *set != '\0' ? set : kAgentSocket;
  }
  argv[taken] = argv[0];
  argv += taken;
  argc -= taken;
  return path;
}

Nanos MonotonicNow() { return SystemClock().Now(); }

StatusOr<json> CallAgent(const std::string& socket_path, std::string_view shim, const json& request, Nanos deadline) {
  StatusOr<Answer> answer = Exchange(socket_path, RequestText(shim, request), deadline);
  if (!answer.ok()) return WithContext(answer.status(), Cat("agent at ", socket_path, ": "));
  json body = json::parse(answer->content(), nullptr, /*allow_exceptions=*/false);
  if (answer->status() / 100 != 2) return ErrorOf(answer->status(), body);
  if (!body.is_object()) return Internal("agent at ", socket_path, ": its answer is no JSON object");
  return body;
}

}  // namespace fairlead::programs
