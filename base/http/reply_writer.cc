#include "base/http/reply_writer.h"

#include <nlohmann/json.hpp>

#include "base/http/date.h"
#include "base/http/head.h"
#include "base/strings.h"

namespace fairlead::http {
namespace {

bool IsWrittenByServer(std::string_view name) {
  FieldId id = IdentifyField(name);
  return id == FieldId::kContentLength || id == FieldId::kTransferEncoding || id == FieldId::kConnection;
}

}  // namespace

bool HasContent(int status, bool to_head_request) {
  return !to_head_request && status >= 200 && status != 204 && status != 304;
}

std::optional<std::string> ReplyHead(const Reply& reply, const ReplyFraming& framing, Nanos now_wall) {
  std::string head = Cat("HTTP/1.1 ", reply.status, " ", ReasonPhrase(reply.status), "\r\n");
  int fields = 0;
  auto add = [&](std::string_view name, std::string_view value) {
    head += Cat(name, ": ", value, "\r\n");
    ++fields;
  };
  if (reply.header("Date").empty()) add("Date", HttpDate(now_wall));
  for (const Header& header : reply.headers)
    if (!IsWrittenByServer(header.name)) add(header.name, header.value);
  bool may_have_content = HasContent(reply.status, false);  // HEAD is told what GET would get
  if (may_have_content && !reply.stream) add("Content-Length", Cat(reply.body.size()));
  if (may_have_content && reply.stream && !framing.http10) add("Transfer-Encoding", "chunked");
  if (!framing.keep_alive) add("Connection", "close");
  if (framing.keep_alive && framing.http10) add("Connection", "keep-alive");
  head += "\r\n";
  ResponseHead parsed;
  bool faithful = ParseResponse(head, framing.to_head_request, parsed) == ParseResult::kOk &&
                  parsed.text.size() == head.size() && parsed.field_count == fields && parsed.status >= 200;
  if (!faithful) return std::nullopt;
  return head;
}

Reply ErrorReply(int status, StatusCode code, std::string_view message) {
  nlohmann::json body = {{"error", {{"code", CodeName(code)}, {"message", message}}}};
  Reply reply;
  reply.status = status;
  reply.headers = {{"Content-Type", "application/json"}};
  reply.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return reply;
}

std::string Chunk(std::string_view content) {
  char size[16];
  char* end = std::to_chars(size, size + sizeof size, content.size(), 16).ptr;
  return Cat(std::string_view(size, end), "\r\n", content, "\r\n");
}

}  // namespace fairlead::http
