#include "lb/sticky.h"

#include <algorithm>

#include "base/strings.h"

namespace fairlead::lb {

std::string_view CookieIn(const http::RequestHead& head, std::string_view name) {
  for (int i = 0; i < head.field_count; i++) {
    if (!EqualsIgnoreCase(head.fields[i].name, "cookie")) continue;
    for (std::string_view rest = head.fields[i].value; !rest.empty();) {
      const size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = Trim(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const size_t equals = pair.find('=');
      if (equals != pair.npos && pair.substr(0, equals) == name) return pair.substr(equals + 1);
    }
  }
  return {};
}

void WriteCookie(const discovery::StickyCookie& sticky, std::string_view value, std::string& out) {
  out = Cat(sticky.name, "=", value);
  if (!sticky.path.empty()) out += Cat("; Path=", sticky.path);
  if (!sticky.domain.empty()) out += Cat("; Domain=", sticky.domain);
  if (sticky.max_age > 0) out += Cat("; Max-Age=", sticky.max_age);
  if (sticky.http_only) out += "; HttpOnly";
  if (sticky.secure) out += "; Secure";
  if (sticky.same_site == "none") out += "; SameSite=None";
  if (sticky.same_site == "lax") out += "; SameSite=Lax";
  if (sticky.same_site == "strict") out += "; SameSite=Strict";
}

}  // namespace fairlead::lb
