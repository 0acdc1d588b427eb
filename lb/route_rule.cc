#include "lb/route_rule.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/strings.h"

namespace fairlead::lb {

using discovery::Condition;
using discovery::Matcher;
using discovery::RegexCache;
using discovery::Rule;

namespace {

bool IsHost(const Rule& rule) { return rule.matcher == Matcher::kHost || rule.matcher == Matcher::kHostSni; }
bool AsksTheHost(const Rule& rule) {
  return IsHost(rule) || rule.matcher == Matcher::kHostRegexp || rule.matcher == Matcher::kHostSniRegexp;
}

using Hosts = std::set<std::string>;

auto Width(const Hosts& hosts) {
  auto wildcards = std::ranges::count_if(hosts, [](const std::string& host) { return host.starts_with('*'); });
  return std::pair(wildcards, hosts.size());
}

// The hosts of which a request must have one for the rule to hold; nothing: it may have any.
std::optional<Hosts> HostsOf(const Rule& rule) {
  if (rule.op == Rule::Op::kMatch) {
    if (!IsHost(rule) || rule.negated || rule.literals[0] == "*") return std::nullopt;
    return Hosts{rule.literals[0]};
  }
  std::optional<Hosts> all;
  for (const Rule& part : rule.parts) {
    std::optional<Hosts> hosts = HostsOf(part);
    if (rule.op == Rule::Op::kAny) {
      if (!hosts) return std::nullopt;
      if (!all) all.emplace();
      all->merge(*hosts);
    } else if (hosts && (!all || Width(*hosts) < Width(*all))) {
      all = std::move(hosts);  // any part will do: the one that leaves least
    }
  }
  return all;
}

enum class Truth : uint8_t { kNo, kYes, kAsk };

// What is known of a matcher for requests that are looked up at `host`.
Truth TruthOf(const Rule& rule, const std::string& host, RegexCache& regexes) {
  if (!AsksTheHost(rule)) return Truth::kAsk;
  if (host.starts_with('*')) {  // of a wildcard's hosts only that they are some host
    const bool any = IsHost(rule) && rule.literals[0] == "*";
    return !any ? Truth::kAsk : rule.negated ? Truth::kNo : Truth::kYes;
  }
  return Condition(rule, regexes).Holds({.host = host}) ? Truth::kYes : Truth::kNo;
}

// The rule for requests that are looked up at `host`: `left` is what is to be asked of them, if it is kAsk.
Truth Specialise(const Rule& rule, const std::string& host, RegexCache& regexes, Rule& left) {
  if (rule.op == Rule::Op::kMatch) {
    left = rule;
    return TruthOf(rule, host, regexes);
  }
  const Truth decides = rule.op == Rule::Op::kAll ? Truth::kNo : Truth::kYes;
  left = {};
  left.op = rule.op;
  for (const Rule& part : rule.parts) {
    Rule left_of_part;
    const Truth truth = Specialise(part, host, regexes, left_of_part);
    if (truth == decides) return decides;
    if (truth == Truth::kAsk) left.parts.push_back(std::move(left_of_part));
  }
  if (left.parts.empty()) return decides == Truth::kNo ? Truth::kYes : Truth::kNo;
  if (left.parts.size() == 1) left = Rule(left.parts.front());
  return Truth::kAsk;
}

bool NeedsPath(const Rule& rule) {
  return rule.op == Rule::Op::kMatch && !rule.negated &&
         (rule.matcher == Matcher::kPathPrefix || rule.matcher == Matcher::kPath);
}

// Takes the longest path that every request must begin with out of `left`. False: nothing else is left to ask.
bool TakePrefix(Rule& left, std::string& prefix) {
  if (NeedsPath(left)) {
    prefix = left.literals[0];
    return left.matcher == Matcher::kPath;
  }
  if (left.op != Rule::Op::kAll) return true;
  auto length = [](const Rule& part) { return NeedsPath(part) ? part.literals[0].size() : 0; };
  auto longest = std::ranges::max_element(left.parts, {}, length);
  if (length(*longest) == 0) return true;
  prefix = longest->literals[0];
  if (longest->matcher == Matcher::kPathPrefix) left.parts.erase(longest);
  if (left.parts.size() == 1) left = Rule(left.parts.front());
  return true;
}

}  // namespace

std::vector<RulePlace> PlacesOf(const Rule& rule, RegexCache& regexes) {
  std::vector<RulePlace> places;
  for (const std::string& host : HostsOf(rule).value_or(Hosts{"*"})) {
    Rule left;
    const Truth truth = Specialise(rule, host, regexes, left);
    if (truth == Truth::kNo) continue;
    RulePlace place{host, "/", nullptr};
    if (truth == Truth::kAsk && TakePrefix(left, place.path_prefix))
      place.condition = std::make_shared<const Condition>(left, regexes);
    places.push_back(std::move(place));
  }
  return places;
}

std::shared_ptr<const PlacedRule> RuleBook::Get(const std::string& text) {
  if (auto known = by_text_.find(text); known != by_text_.end())
    if (auto rule = known->second.lock()) return rule;
  if (by_text_.size() >= sweep_at_) {
    std::erase_if(by_text_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<size_t>(64, 2 * by_text_.size());
  }
  auto placed = std::make_shared<PlacedRule>();
  StatusOr<discovery::ParsedRule> parsed = discovery::ParseRule(text);
  if (parsed.ok()) {
    placed->canonical = discovery::PrintRule(parsed->rule);
    placed->protocol = parsed->protocol;
    placed->places = PlacesOf(parsed->rule, regexes_);
    if (placed->places.empty()) placed->fault = "no request can meet the rule";
  } else {
    placed->canonical = text;
    placed->fault = Message(parsed.status());
  }
  by_text_[text] = placed;
  return placed;
}

}  // namespace fairlead::lb
