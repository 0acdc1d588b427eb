#include "app/client.h"

#include <optional>

#include "app/api_reply.h"
#include "base/http/client.h"
#include "base/io/await.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

template <class T>
io::Task<void> Into(io::Task<T> task, std::optional<T>* out) {
  out->emplace(co_await task);
}

io::Task<void> PauseFor(io::Proactor& proactor, Nanos duration) { (void)co_await io::Sleep(proactor, duration); }

}  // namespace

StatusOr<SocketAddress> ApiClient::ParseAddress(std::string_view text) {
  if (text.starts_with("unix:")) return SocketAddress::Parse(text);
  constexpr std::string_view kScheme = "http://", kLocalhost = "localhost:";
  if (!text.starts_with(kScheme))
    return InvalidArgument("\"", text, "\" is no address of an agent; write unix:PATH or http://IP:PORT");
  std::string rest(text.substr(kScheme.size()));
  if (rest.ends_with('/')) rest.pop_back();
  if (rest.starts_with(kLocalhost)) rest = Cat("127.0.0.1:", rest.substr(kLocalhost.size()));
  return SocketAddress::Parse(rest);
}

StatusOr<ApiClient> ApiClient::Open(SocketAddress address, const Clock& clock) {
  std::string note;
  ASSIGN_OR_RETURN(std::unique_ptr<io::Proactor> proactor, io::MakeProactor(io::IoBackend::kEpoll, clock, &note));
  return ApiClient(std::move(address), std::move(proactor));
}

ApiClient::ApiClient(SocketAddress address, std::unique_ptr<io::Proactor> proactor)
    : address_(std::move(address)), proactor_(std::move(proactor)) {}

StatusOr<json> ApiClient::Exchange(std::string method, std::string target, const json& body) {
  const Nanos deadline = method == "GET" ? kDeadline : kChangeDeadline;
  http::Request request{.method = std::move(method), .target = target};
  if (!body.is_null()) {
    request.headers.push_back({"Content-Type", "application/json"});
    request.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  std::optional<StatusOr<http::Response>> fetched;
  io::TaskGroup group;
  group.Spawn(Into(http::Fetch(*proactor_, address_, std::move(request), proactor_->Now() + deadline), &fetched));
  while (group.live() > 0) proactor_->Turn(kSecond);
  if (!fetched->ok()) return Unreachable(fetched->status(), deadline);
  const http::Response& response = **fetched;
  json answer = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (response.status / 100 != 2) return ErrorOf(response.status, answer);
  if (answer.is_discarded()) return Internal(address_.ToString(), " answers ", target, " with what is no JSON");
  return answer;
}

Status ApiClient::Unreachable(const Status& why, Nanos deadline) const {
  std::string reason(Message(why));
  reason = reason.substr(reason.rfind(": ") == reason.npos ? 0 : reason.rfind(": ") + 2);
  if (why.code() == StatusCode::kPermissionDenied)
    return PermissionDenied("the agent's socket ", address_.ToString(), " is not for this user; be root or of group fairlead");
  if (why.code() == StatusCode::kDeadlineExceeded)
    return Unavailable("the agent at ", address_.ToString(), " did not answer within ", deadline / kSecond, " s");
  return WithFix(Unavailable("no agent answers at ", address_.ToString(), ": ", reason, "; is it running?"),
                 "fairlead agent, or for trial fairlead up");
}

void ApiClient::Pause(Nanos duration) {
  io::TaskGroup group;
  group.Spawn(PauseFor(*proactor_, duration));
  while (group.live() > 0) proactor_->Turn(duration);
}

}  // namespace fairlead::app
