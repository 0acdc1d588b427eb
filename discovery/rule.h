// The rule language of routes: Traefik v3's (conventions, A2), as plain values. ParseRule checks all that can be said
// without a request: names, counts and forms of literals, regular expressions. What evaluates a rule: rule_match.h.
//
//   rule = and *( "||" and ) ;  and = un *( "&&" un ) ;  un = "!" un | M "(" lit *("," lit) ")" | "(" rule ")"
//   lit  = "`" raw "`" | Go double-quoted string
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace fairlead::discovery {

inline constexpr size_t kMaxRuleBytes = 8 << 10;
inline constexpr int kMaxRuleDepth = 32;          // of parentheses
inline constexpr size_t kMaxRuleValues = 256;    // literals of all matchers
inline constexpr size_t kMaxRegexBytes = 1 << 10; // of one regular expression
inline constexpr int64_t kMaxRegexMemory = 1 << 20;  // what RE2 may take for one: its program and its cache of states

enum class Matcher : uint8_t {
  kHost, kHostRegexp, kPath, kPathPrefix, kPathRegexp, kMethod, kHeader, kHeaderRegexp, kQuery, kQueryRegexp,  // HTTP
  kClientIp,                                                                                                   // both
  kHostSni, kHostSniRegexp, kAlpn,                                                                             // TCP
};
std::string_view NameOf(Matcher matcher);  // "PathPrefix"

// A tree in one form: `!` stands at matchers only (De Morgan), no kAll is a part of a kAll, no kAny of a kAny.
struct Rule {
  enum class Op : uint8_t { kMatch, kAll, kAny };
  Op op = Op::kMatch;
  Matcher matcher = Matcher::kHost;  // of kMatch, with the next two
  bool negated = false;
  // Names of hosts in lower case without final dot, methods in upper case, addresses as they are printed. Query and
  // QueryRegexp with one literal have an empty second one.
  std::vector<std::string> literals;
  std::vector<Rule> parts;           // of kAll and kAny: at least two
  friend bool operator==(const Rule&, const Rule&) = default;
};

enum class RuleProtocol : uint8_t { kAny, kHttp, kTcp };  // kAny: it asks only for what both have

struct ParsedRule {
  Rule rule;
  RuleProtocol protocol = RuleProtocol::kAny;
  // Forms of Traefik v2 that were taken as what they mean: "Host with 2 values is Traefik v2's form; …".
  std::vector<std::string> warnings;
};

// InvalidArgument names the byte (the first is 1) and what was expected there.
StatusOr<ParsedRule> ParseRule(std::string_view text);

// The canonical text: ParseRule gives an equal rule for it, without warnings.
std::string PrintRule(const Rule& rule);

}  // namespace fairlead::discovery
