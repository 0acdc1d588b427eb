#include "discovery/rule_v2.h"

#include <re2/re2.h>

#include <algorithm>
#include <optional>

#include "base/strings.h"

namespace fairlead::discovery {

namespace {

bool IsName(std::string_view s) {
  return !s.empty() && !(s[0] >= '0' && s[0] <= '9') && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-';
  });
}

// The index of the brace that closes the one at `open`, or npos: a pattern may hold counts, as in {id:[0-9]{3}}.
size_t Closing(std::string_view text, size_t open) {
  int depth = 0;
  for (size_t i = open; i < text.size(); i++) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  return std::string_view::npos;
}

std::string Quoted(std::string_view literal) { return RE2::QuoteMeta(re2::StringPiece(literal.data(), literal.size())); }

// The regular expression of a text with {name:pattern} or {name} in it; nothing where it has none.
std::optional<std::string> RegexOf(std::string_view text, std::string_view any) {
  std::string regex;
  bool found = false;
  size_t from = 0;
  for (size_t open = text.find('{'); open != text.npos; open = text.find('{', from)) {
    const size_t close = Closing(text, open);
    if (close == text.npos) return std::nullopt;
    std::string_view inner = text.substr(open + 1, close - open - 1);
    const size_t colon = inner.find(':');
    if (!IsName(inner.substr(0, colon))) return std::nullopt;
    regex += Cat(Quoted(text.substr(from, open - from)), "(?:", colon == inner.npos ? any : inner.substr(colon + 1), ")");
    found = true;
    from = close + 1;
  }
  if (!found) return std::nullopt;
  return regex + Quoted(text.substr(from));
}

}  // namespace

std::string TakeV2Pattern(Rule& rule) {
  const bool path = rule.matcher == Matcher::kPath || rule.matcher == Matcher::kPathPrefix;
  if (!path && rule.matcher != Matcher::kHostRegexp && rule.matcher != Matcher::kHostSniRegexp) return {};
  std::string& text = rule.literals[0];
  std::optional<std::string> regex = RegexOf(text, path ? "[^/]+" : "[^.]+");
  // One that would still hold such a pattern would mean something else when it is read again.
  if (!regex || RegexOf(*regex, "")) return {};
  const bool open = rule.matcher == Matcher::kPathPrefix;
  if (path) rule.matcher = Matcher::kPathRegexp;
  std::string meant = Cat("^", *regex, open ? "" : "$");
  std::string warning = Cat("\"", text, "\" is Traefik v2's form: write ", NameOf(rule.matcher), "(`", meant, "`)");
  text = std::move(meant);
  return warning;
}

}  // namespace fairlead::discovery
