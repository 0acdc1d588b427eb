// What the dialects of labels share: what each makes of a container, and the small grammars of their values
// (conventions, A1). A dialect is a pure function of ContainerFacts; DescribeServices (labels.h) puts them in order.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "discovery/labels.h"

namespace fairlead::discovery {

// One service as a dialect describes it. Its names are raw, its address is not chosen yet.
struct DialectService {
  std::string name = {};                 // "": the container's own (compose service, else container name)
  std::string suffix = {};               // behind the name, also behind the container's own
  std::vector<Port> ports = {};          // the first is routed; empty: none is known
  std::string protocol = "http";
  std::vector<RouteRule> routes = {};
  uint32_t weight = 1;
  std::optional<HealthCheck> check = {}; // none: nobody asked for one
  StickyCookie sticky = {};
  uint16_t listen = 0;                   // TCP port that balancers open; 0: none
  std::vector<std::string> problems = {};
};

struct DialectResult {
  std::vector<DialectService> services = {};
  std::vector<Middleware> middlewares = {};
  std::vector<std::string> problems = {};  // of the container as a whole
  std::string withheld = {};               // not empty: ports that no earlier dialect describes are not published, and why
};

// "`label KEY`: `why`", and "`label KEY` is not yet supported: …". Keys are the user's text: what is shown has a limit.
std::string Shown(std::string_view text);
std::string Bad(std::string_view what, std::string_view key, std::string_view why);
std::string NotYet(std::string_view what, std::string_view key);
// "label KEY is not understood (did you mean …?)": `word` is the end of the key, `known` what it could be.
std::string NotKnown(std::string_view what, std::string_view key, std::string_view word,
                     const std::vector<std::string_view>& known);

template <size_t N>
bool In(const std::array<std::string_view, N>& keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

std::vector<std::string> ListOf(std::string_view value);     // comma-separated, blanks trimmed, empty items left out
std::optional<bool> BoolOf(std::string_view value);          // true false 1 0 yes no on off, any case
std::optional<Nanos> DurationOf(std::string_view value);     // as ReadDuration(); > 0
std::optional<uint16_t> PortOf(std::string_view value);      // 1-65535
std::optional<uint32_t> WeightOf(std::string_view value);    // 0 to kMaxWeight
bool IsHost(std::string_view host);                          // lower case, "*" and "*.x" among them
std::optional<uint16_t> LowestExposed(const ContainerFacts& facts, std::string_view transport);
// Compose service and project, "" without.
std::string ComposeService(const ContainerFacts& facts);
std::string ComposeProject(const ContainerFacts& facts);
// Can it be the target of a request?
bool IsTarget(std::string_view path);

inline std::string TransportOf(std::string_view protocol) { return protocol == "udp" ? "udp" : "tcp"; }

}  // namespace fairlead::discovery
