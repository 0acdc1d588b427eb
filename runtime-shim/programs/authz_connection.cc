#include "runtime-shim/programs/authz_connection.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace fairlead::programs {
namespace {

AuthzCall CallOf(const http::RequestHead& head) {
  AuthzCall call{.close = !head.persistent()};
  if (head.path == "/Plugin.Activate") call.kind = AuthzCall::Kind::kActivate;
  bool request = head.path == "/AuthZPlugin.AuthZReq", response = head.path == "/AuthZPlugin.AuthZRes";
  if (request || response) call.kind = AuthzCall::Kind::kAuthorize;
  if (response) call.moment = AuthzMoment::kResponse;
  return call;
}

}  // namespace

AuthzConnection::Need AuthzConnection::Advance(std::string_view& bytes) {
  if (!in_body_) {
    Need need = TakeHead(bytes);
    if (!in_body_ || need != Need::kMore) return need;
  }
  if (!TakeBody(bytes)) return Refuse();
  return whole() ? Need::kCall : Need::kMore;
}

AuthzConnection::Need AuthzConnection::TakeHead(std::string_view& bytes) {
  size_t before = head_.size();
  size_t taken = std::min(bytes.size(), kMaxHead - before);
  head_.append(bytes.substr(0, taken));
  http::RequestHead head;
  http::ParseResult result = http::ParseRequest(head_, head);
  if (result == http::ParseResult::kNeedMore && head_.size() < kMaxHead) {
    bytes.remove_prefix(taken);
    return Need::kMore;
  }
  if (result != http::ParseResult::kOk) return Refuse();
  bytes.remove_prefix(head.text.size() - before);
  call_ = CallOf(head);
  scanner_ = AuthzScanner();
  framing_ = head.framing;
  left_ = head.content_length;
  chunked_ = http::ChunkedBody();
  in_body_ = true;
  bool waits = head.expect_continue && !whole();
  head_.clear();
  return waits ? Need::kContinue : Need::kMore;
}

bool AuthzConnection::TakeBody(std::string_view& bytes) {
  if (framing_ == http::Framing::kLength) {
    size_t taken = static_cast<size_t>(std::min<int64_t>(left_, static_cast<int64_t>(bytes.size())));
    scanner_.Feed(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    left_ -= static_cast<int64_t>(taken);
  } else if (framing_ == http::Framing::kChunked) {
    auto feed = [](void* scanner, std::string_view run) { static_cast<AuthzScanner*>(scanner)->Feed(run); };
    int64_t taken = chunked_.Feed(bytes, feed, &scanner_);
    if (taken < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(taken));
  }
  return true;
}

bool AuthzConnection::whole() const {
  if (framing_ == http::Framing::kLength) return left_ == 0;
  return framing_ != http::Framing::kChunked || chunked_.done();
}

AuthzConnection::Need AuthzConnection::Refuse() {
  call_ = {.kind = AuthzCall::Kind::kRefused, .close = true};
  head_.clear();
  in_body_ = true;
  framing_ = http::Framing::kNone;
  return Need::kCall;
}

AuthzCall AuthzConnection::Take() {
  in_body_ = false;
  if (call_.kind == AuthzCall::Kind::kAuthorize) call_.facts = scanner_.Take();
  scanner_ = AuthzScanner();
  return std::move(call_);
}

std::string AnswerTo(const AuthzCall& call) {
  std::string_view status = "200 OK", body = R"({"Allow":true})";
  if (call.kind == AuthzCall::Kind::kActivate) body = R"({"Implements":["authz"]})";
  if (call.kind == AuthzCall::Kind::kUnknown) {
    status = "404 Not Found";
    body = R"({"Err":"fairlead-authz answers Plugin.Activate, AuthZPlugin.AuthZReq and AuthZPlugin.AuthZRes"})";
  }
  if (call.kind == AuthzCall::Kind::kRefused) {
    status = "400 Bad Request";
    body = R"({"Err":"what came is no request of HTTP/1.1"})";
  }
  return Cat("HTTP/1.1 ", status, "\r\nContent-Type: application/vnd.docker.plugins.v1.2+json\r\nContent-Length: ",
             body.size(), call.close ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n", body);
}

}  // namespace fairlead::programs
