// Strings: the bridge to Debian's abseil, which is built with its own absl::string_view, and the few helpers that the
// standard library lacks.
#pragma once

#include <absl/strings/string_view.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead {

inline absl::string_view ToAbsl(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view ToStd(absl::string_view s) { return {s.data(), s.size()}; }

namespace internal {
inline void AppendPiece(std::string& out, std::string_view s) { out.append(s); }
inline void AppendPiece(std::string& out, char c) { out.push_back(c); }
template <class T>
  requires(std::is_arithmetic_v<T> && !std::is_same_v<T, char> && !std::is_same_v<T, bool>)
void AppendPiece(std::string& out, T v) {
  char text[32];
  auto [end, error] = std::to_chars(text, text + sizeof text, v);
  out.append(text, end);
}
}  // namespace internal

// Cat("pool ", name, " holds ", 3) joins strings, characters and numbers.
template <class... Pieces>
std::string Cat(const Pieces&... pieces) {
  std::string out;
  (internal::AppendPiece(out, pieces), ...);
  return out;
}

// The whole of `s` as a decimal number, or nothing (empty, sign, blanks, overflow).
template <class T>
std::optional<T> ParseNumber(std::string_view s) {
  T value{};
  if (s.empty() || s[0] == '-' || s[0] == '+') return std::nullopt;
  auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc{} || end != s.data() + s.size()) return std::nullopt;
  return value;
}

inline char LowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
std::string LowerAscii(std::string_view s);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
std::string_view Trim(std::string_view s);                            // blanks and tabs at both ends
std::vector<std::string_view> Split(std::string_view s, char at);     // "a,,b" has three pieces, "" has one
std::string Join(const std::vector<std::string>& pieces, std::string_view with);

// Levenshtein distance; "did you mean" uses it.
size_t EditDistance(std::string_view a, std::string_view b);
// The candidate nearest to `word`, or "" when none is near enough to be meant.
std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& candidates);

// Hash for heterogeneous lookup: std::unordered_map<std::string, V, StringHash, std::equal_to<>>.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};

}  // namespace fairlead
