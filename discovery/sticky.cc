#include "discovery/sticky.h"

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "discovery/labels_dialect.h"
#include "discovery/rule_matchers.h"

namespace fairlead::discovery {

namespace {

constexpr size_t kMaxCookieText = 256;  // of a name, a path, a domain

// RFC 6265 §4.1.1.
bool IsCookieName(std::string_view name) { return name.size() <= kMaxCookieText && IsToken(name); }
bool IsAttribute(std::string_view value) {
  return value.size() <= kMaxCookieText && std::ranges::all_of(value, [](char c) { return c > ' ' && c < 0x7f && c != ';' && c != ','; });
}

Status Truth(std::string_view value, bool& out) {
  const auto truth = BoolOf(value);
  if (!truth) return InvalidArgument("\"", Shown(value), "\" is neither true nor false");
  out = *truth;
  return OkStatus();
}

Status Read(std::string_view key, const std::string& value, StickyCookie& cookie) {
  if (key.empty() || key == "cookie") return Truth(value, cookie.enabled);
  if (key == "cookie.secure") return Truth(value, cookie.secure);
  if (key == "cookie.httponly") return Truth(value, cookie.http_only);
  if (key == "cookie.name") {
    if (!IsCookieName(value)) return InvalidArgument("\"", Shown(value), "\" is no name of a cookie");
    cookie.name = value;
  } else if (key == "cookie.samesite") {
    static constexpr std::array<std::string_view, 4> kSites = {"", "none", "lax", "strict"};
    cookie.same_site = LowerAscii(std::string_view(value));
    if (!In(kSites, cookie.same_site)) return InvalidArgument("\"", Shown(value), "\" is none of none, lax, strict");
  } else if (key == "cookie.maxage") {
    const auto seconds = ParseNumber<uint32_t>(value);
    if (!seconds) return InvalidArgument("\"", Shown(value), "\" is no number of seconds");
    cookie.max_age = *seconds;
  } else if (key == "cookie.path" || key == "cookie.domain") {
    if (!IsAttribute(value)) return InvalidArgument("\"", Shown(value), "\" is no ", key.substr(7), " of a cookie");
    (key == "cookie.path" ? cookie.path : cookie.domain) = value;
  } else {
    return InvalidArgument("is not understood");
  }
  return OkStatus();
}

}  // namespace

StatusOr<StickyCookie> ParseSticky(const StickyOptions& options, std::string& key) {
  StickyCookie cookie{.enabled = !options.empty()};
  bool off = false;
  for (const auto& [name, value] : options) {
    key = name;
    RETURN_IF_ERROR(Read(name, value, cookie));
    off |= !std::exchange(cookie.enabled, true);
  }
  if (off) return StickyCookie{};
  return options.empty() ? StickyCookie{} : cookie;
}

}  // namespace fairlead::discovery
