#include "app/api_reply.h"

#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

constexpr char kFixPayload[] = "fairlead/fix";

int HttpStatusOf(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument: return 400;
    case StatusCode::kPermissionDenied: return 403;
    case StatusCode::kNotFound: return 404;
    case StatusCode::kAlreadyExists:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kAborted: return 409;
    case StatusCode::kResourceExhausted: return 429;
    case StatusCode::kUnimplemented: return 501;
    case StatusCode::kUnavailable: return 503;
    default: return 500;
  }
}

StatusCode CodeOf(std::string_view name) {
  for (int code = 1; code <= static_cast<int>(StatusCode::kUnauthenticated); code++)
    if (CodeName(static_cast<StatusCode>(code)) == name) return static_cast<StatusCode>(code);
  return StatusCode::kUnknown;
}

std::string StringIn(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  char lower = LowerAscii(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

Status WithFix(Status status, std::string_view fix) {
  status.SetPayload(kFixPayload, absl::Cord(ToAbsl(fix)));
  return status;
}

std::string FixOf(const Status& status) {
  auto fix = status.GetPayload(kFixPayload);
  return fix ? std::string(*fix) : "";
}

http::Reply JsonReply(const json& body, int status) {
  http::Reply reply;
  reply.status = status;
  reply.headers.push_back({"Content-Type", "application/json"});
  // Bytes that are no UTF-8 (names come from outside) are shown as U+FFFD rather than failing the answer.
  reply.body = body.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  return reply;
}

http::Reply ErrorReply(const Status& status) {
  json error = {{"code", CodeName(status.code())}, {"message", Message(status)}};
  if (std::string fix = FixOf(status); !fix.empty()) error["fix"] = fix;
  return JsonReply({{"error", std::move(error)}}, HttpStatusOf(status.code()));
}

Status ErrorOf(int http_status, const json& body) {
  auto error = body.is_object() ? body.find("error") : body.end();
  if (error == body.end() || !error->is_object()) return Internal("the answer is HTTP ", http_status, " without a reason");
  Status status = Error(CodeOf(StringIn(*error, "code")), StringIn(*error, "message"));
  std::string fix = StringIn(*error, "fix");
  return fix.empty() ? status : WithFix(std::move(status), fix);
}

std::string PercentEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    char lower = LowerAscii(c);
    if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

std::string PercentDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    int high = i + 2 < text.size() && text[i] == '%' ? HexValue(text[i + 1]) : -1;
    int low = high >= 0 ? HexValue(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
    } else {
      out += static_cast<char>(high << 4 | low);
      i += 2;
    }
  }
  return out;
}

}  // namespace fairlead::app
