#include "discovery/labels_dialect.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/duration.h"
#include "base/strings.h"

namespace fairlead::discovery {

namespace {

constexpr size_t kMaxShownBytes = 100;

std::string LabelOr(const ContainerFacts& facts, const std::string& key) {
  auto at = facts.labels.find(key);
  return at != facts.labels.end() ? at->second : "";
}

}  // namespace

std::string Shown(std::string_view text) { return std::string(text.substr(0, kMaxShownBytes)); }

std::string Bad(std::string_view what, std::string_view key, std::string_view why) {
  return Cat(what, " ", Shown(key), ": ", why);
}

std::string NotYet(std::string_view what, std::string_view key) {
  return Cat(what, " ", Shown(key), " is not yet supported: it has no effect");
}

std::string NotKnown(std::string_view what, std::string_view key, std::string_view word,
                     const std::vector<std::string_view>& known) {
  const std::string_view nearest = Nearest(word, known);
  std::string problem = Cat(what, " ", Shown(key), " is not understood");
  if (!nearest.empty()) problem += Cat(" (did you mean ", Shown(key.substr(0, key.size() - word.size())), nearest, "?)");
  return problem;
}

std::vector<std::string> ListOf(std::string_view value) {
  std::vector<std::string> items;
  for (std::string_view item : Split(value, ','))
    if (!Trim(item).empty()) items.emplace_back(Trim(item));
  return items;
}

std::optional<bool> BoolOf(std::string_view value) {
  const std::string text = LowerAscii(Trim(value));
  for (std::string_view yes : {"true", "1", "yes", "on"})
    if (text == yes) return true;
  for (std::string_view no : {"false", "0", "no", "off"})
    if (text == no) return false;
  return std::nullopt;
}

std::optional<Nanos> DurationOf(std::string_view value) {
  constexpr Nanos kMost = 1'000'000 * kSecond;  // eleven days: longer is a slip of the pen
  const auto duration = ReadDuration(Trim(value));
  return duration && *duration > 0 && *duration <= kMost ? duration : std::nullopt;
}

std::optional<uint16_t> PortOf(std::string_view value) {
  const auto port = ParseNumber<uint16_t>(Trim(value));
  if (!port || *port == 0) return std::nullopt;
  return port;
}

std::optional<uint32_t> WeightOf(std::string_view value) {
  const auto weight = ParseNumber<uint32_t>(value);
  return weight && *weight <= kMaxWeight ? weight : std::nullopt;
}

bool IsHost(std::string_view host) {
  if (host == "*") return true;
  if (host.starts_with("*.")) host.remove_prefix(2);
  if (host.empty() || host.size() > 253) return false;
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

std::optional<uint16_t> LowestExposed(const ContainerFacts& facts, std::string_view transport) {
  std::optional<uint16_t> lowest;
  for (const auto& [number, protocol] : facts.exposed_ports)
    if (protocol == transport && number != 0 && (!lowest || number < *lowest)) lowest = number;
  return lowest;
}

std::string ComposeService(const ContainerFacts& facts) { return LabelOr(facts, "com.docker.compose.service"); }
std::string ComposeProject(const ContainerFacts& facts) { return LabelOr(facts, "com.docker.compose.project"); }

bool IsTarget(std::string_view path) {
  return path.starts_with('/') &&
         std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && static_cast<unsigned char>(c) < 0x7f; });
}

}  // namespace fairlead::discovery
