#include "runtime-shim/programs/authz_question.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace fairlead::programs {
namespace {

constexpr size_t kMaxName = 255;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// moby's names: [a-zA-Z0-9][a-zA-Z0-9_.-]*, ids among them.
bool IsContainerName(std::string_view name) {
  auto alphanumeric = [](char c) { return IsDigit(c) || (LowerAscii(c) >= 'a' && LowerAscii(c) <= 'z'); };
  return !name.empty() && name.size() <= kMaxName && alphanumeric(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

// What follows [/vX.Y]/containers/ in the path; "" when something else does.
std::string_view BehindContainers(std::string_view uri) {
  uri = uri.substr(0, uri.find('?'));
  if (uri.starts_with("/v")) {
    size_t end = uri.find('/', 2);
    if (end == uri.npos || !std::ranges::all_of(uri.substr(2, end - 2), [](char c) { return IsDigit(c) || c == '.'; })) return "";
    uri.remove_prefix(end);
  }
  constexpr std::string_view kContainers = "/containers/";
  return uri.starts_with(kContainers) ? uri.substr(kContainers.size()) : "";
}

std::optional<PinQuestion> OfStart(std::string_view behind) {
  size_t slash = behind.find('/');
  if (slash == behind.npos) return std::nullopt;
  std::string_view name = behind.substr(0, slash), action = behind.substr(slash + 1);
  if ((action != "start" && action != "restart") || !IsContainerName(name)) return std::nullopt;
  return PinQuestion{"start", std::string(name)};
}

std::optional<PinQuestion> OfCreate(const AuthzFacts& facts) {
  std::optional<std::string> body = DecodeBase64(facts.response_body);
  if (facts.status != "201" || !body) return std::nullopt;
  nlohmann::json answer = nlohmann::json::parse(*body, nullptr, /*allow_exceptions=*/false);
  auto id = answer.is_object() ? answer.find("Id") : answer.end();
  if (id == answer.end() || !id->is_string() || !IsContainerName(id->get_ref<const std::string&>())) return std::nullopt;
  return PinQuestion{"create", id->get<std::string>()};
}

}  // namespace

bool IsCreate(std::string_view method, std::string_view uri) {
  return method == "POST" && BehindContainers(uri) == "create";
}

std::optional<PinQuestion> QuestionOf(AuthzMoment moment, const AuthzFacts& facts) {
  if (facts.method != "POST") return std::nullopt;
  if (moment == AuthzMoment::kRequest) return OfStart(BehindContainers(facts.uri));
  return IsCreate(facts.method, facts.uri) ? OfCreate(facts) : std::nullopt;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  std::string out;
  uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    size_t digit = kDigits.find(c);
    if (digit == kDigits.npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<char>(bits >> held & 0xff));
  }
  return out;
}

}  // namespace fairlead::programs
