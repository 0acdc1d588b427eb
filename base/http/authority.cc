#include "base/http/authority.h"

#include <algorithm>

#include "base/http/char_class.h"
#include "base/strings.h"

namespace fairlead::http {
namespace {

// Behind the host: nothing, or ":" and digits, which may be missing (RFC 3986 §3.2.3).
bool IsPortOrNothing(std::string_view rest) {
  if (rest.empty()) return true;
  if (rest[0] != ':') return false;
  for (char c : rest.substr(1))
    if (!Is(c, kDigit)) return false;
  return true;
}

// IPv6address in brackets. Which addresses there are is not the parser's matter: its characters are.
bool IsBracketed(std::string_view text) {
  size_t close = text.find(']');
  if (close == text.npos || close == 1) return false;
  for (char c : text.substr(1, close - 1))
    if (!Is(c, kHexDigit) && c != ':' && c != '.') return false;
  return IsPortOrNothing(text.substr(close + 1));
}

}  // namespace

bool IsAuthority(std::string_view text) {
  if (text.starts_with('[')) return IsBracketed(text);
  size_t i = 0;
  while (i < text.size()) {
    if (Is(text[i], kHostChar)) {
      i++;
    } else if (text[i] == '%' && i + 2 < text.size() && Is(text[i + 1], kHexDigit) && Is(text[i + 2], kHexDigit)) {
      i += 3;
    } else {
      break;
    }
  }
  return i > 0 && IsPortOrNothing(text.substr(i));
}

bool SplitAbsoluteTarget(std::string_view target, std::string_view& authority, std::string_view& path) {
  size_t scheme = target.find("://");
  if (scheme == target.npos) return false;
  std::string_view name = target.substr(0, scheme);
  if (!EqualsIgnoreCase(name, "http") && !EqualsIgnoreCase(name, "https")) return false;
  std::string_view rest = target.substr(scheme + 3);
  size_t end = std::min(rest.find_first_of("/?"), rest.size());
  authority = rest.substr(0, end);
  path = rest.substr(end);
  return IsAuthority(authority);
}

}  // namespace fairlead::http
