// The bytes of the server's replies. No I/O.
#pragma once

#include <string>
#include <string_view>

#include "base/http/server.h"

namespace fairlead::http {

// How a reply is framed, from what the client can read and what the server wants.
struct ReplyFraming {
  bool to_head_request = false;
  bool http10 = false;      // no chunks: a streamed reply ends with the connection
  bool keep_alive = false;  // the connection goes on
};

// The head. Nothing when a header of the handler would be read as something else (a line end in a value).
std::optional<std::string> ReplyHead(const Reply& reply, const ReplyFraming& framing, Nanos now_wall);

// May the reply carry content at all (RFC 9110 §6.4.1)?
bool HasContent(int status, bool to_head_request);

Reply ErrorReply(int status, StatusCode code, std::string_view message);

std::string Chunk(std::string_view content);       // size line, content, line end; content is not empty
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace fairlead::http
