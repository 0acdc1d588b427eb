// The matchers of the rule language: their names, and what each makes of its literals. Internal to rule.cc, but for
// what middlewares share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/rule.h"

namespace fairlead::discovery {

// By any of its four forms: PathPrefix, pathprefix, PATHPREFIX, Pathprefix; also v2's Headers and HeadersRegexp.
// InvalidArgument names the nearest one.
struct NamedMatcher {
  Matcher matcher;
  bool v2 = false;
};
StatusOr<NamedMatcher> MatcherNamed(std::string_view name);
RuleProtocol ProtocolOf(Matcher matcher);

// The rule that a matcher with these literals stands for; v2's several values of one are several matchers.
StatusOr<Rule> RuleOf(NamedMatcher named, std::vector<std::string> literals, std::vector<std::string>& warnings);

// Is it a token (RFC 9110 §5.6.2): the name of a method, a field, a cookie?
bool IsToken(std::string_view text);

// Does RE2 take it, within its limits (rule.h)?
Status CheckRegex(const std::string& pattern);

// What holds when `rule` does not (De Morgan).
Rule Not(Rule rule);

// One tree of `parts`: a single one is itself, parts of the same op are taken into it.
Rule Joined(Rule::Op op, std::vector<Rule> parts);

}  // namespace fairlead::discovery
