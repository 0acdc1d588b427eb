// What rule_fuzz and the run over its corpus share: whatever is read as a rule prints to a text that is read as the same
// rule, and both hold for the same requests.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "base/check.h"
#include "discovery/rule.h"
#include "discovery/rule_match.h"

namespace fairlead::discovery {

// The literals of the rule's own matchers make requests that meet some of it.
inline void CollectLiterals(const Rule& rule, std::vector<std::string_view>& out) {
  for (const std::string& literal : rule.literals) out.push_back(literal);
  for (const Rule& part : rule.parts) CollectLiterals(part, out);
}

// True: the text is a rule.
inline bool TryRule(std::string_view text) {
  StatusOr<ParsedRule> parsed = ParseRule(text);
  if (!parsed.ok()) {
    CHECK(parsed.status().code() == StatusCode::kInvalidArgument);
    CHECK(!Message(parsed.status()).empty());
    return false;
  }
  const std::string canonical = PrintRule(parsed->rule);
  if (canonical.size() > kMaxRuleBytes) return true;  // quoting and v2's forms can make it longer than what may be read
  StatusOr<ParsedRule> again = ParseRule(canonical);
  CHECK(again.ok());
  CHECK(again->rule == parsed->rule);
  CHECK(again->warnings.empty());
  CHECK(again->protocol == parsed->protocol);

  RegexCache regexes;
  const Condition first(parsed->rule, regexes), second(again->rule, regexes);
  std::vector<std::string_view> literals;
  CollectLiterals(parsed->rule, literals);
  auto literal = [&](size_t i) { return literals[i % literals.size()]; };
  auto next_field = [](const void* fields, std::string_view, int& at, std::string_view& value) {
    value = *static_cast<const std::string_view*>(fields);
    return at++ == 0;
  };
  for (size_t i = 0; i < std::min<size_t>(literals.size(), 16); i++) {
    const std::string_view field = literal(i + 1);
    const RequestView request{literal(i), literal(i + 1), literal(i + 2), literal(i + 3), next_field, &field,
                              IpAddress::V4(0x0a000001), literal(i)};
    CHECK(first.Holds(request) == second.Holds(request));
  }
  return true;
}

}  // namespace fairlead::discovery
