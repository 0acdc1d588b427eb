// Request heads of old clients, written anew in the strict form that ParseRequest takes: a listener's `lenient: true`.
// Only what can be brought to one reading before anything is sent on is tolerated (RFC 9112 §2.2, §3, §5.2):
//   - lines that end with LF alone, and up to four empty lines before the request line;
//   - runs of spaces and tabs between and behind the three parts of the request line;
//   - folded fields: the fold becomes one space, but never in a field that the program acts upon.
// Everything else stays refused: a CR that ends no line, a blank before the colon, every ambiguity of framing. Chunked
// bodies stay strict, because they are passed on as they came.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/http/head.h"

namespace fairlead::http {

// kOk: `strict` is a head for ParseRequest, made of the first `taken` of `bytes`. kNeedMore: its end is not there yet.
// Otherwise kBad. What ParseRequest takes as it is becomes the same bytes again.
ParseResult MakeStrict(std::string_view bytes, std::string& strict, size_t& taken);

// Response heads of old servers: blanks between a field's name and its colon must go before the response is sent on
// (RFC 9112 §5.1; in a request they are refused). `trimmed` is the head without them, as far as it has come, and
// nothing behind it; gives how many bytes it is shorter: 0 when there was nothing to remove.
size_t TrimFieldNames(std::string_view bytes, std::string& trimmed);

}  // namespace fairlead::http
