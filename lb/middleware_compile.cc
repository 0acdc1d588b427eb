// From what a definition says to a step that requests can go through, and to the words that tell people of it.
#include <re2/re2.h>

#include <algorithm>
#include <map>

#include "base/check.h"
#include "base/strings.h"
#include "discovery/rule.h"
#include "lb/middleware.h"

namespace fairlead::lb {

using discovery::RegexCache;
using Chain = MiddlewareChain;

namespace {

constexpr size_t kShownBytes = 200;

// With its groups, which rules do without. Both have passed ParseMiddleware.
Chain::Rewriter RewriterOf(const std::string& regex, const std::string& replacement) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(discovery::kMaxRegexMemory);
  auto compiled = std::make_shared<const re2::RE2>(regex, options);
  CHECK(compiled->ok());
  return {std::move(compiled), *discovery::ParseTemplate(replacement, regex)};
}

std::string Codes(bool permanent) { return permanent ? "301 or 308" : "302 or 307"; }

Chain::Step Of(const discovery::RedirectScheme& options, RegexCache&) {
  const bool usual = options.port.empty() || options.port == (options.scheme == "https" ? "443" : "80");
  const std::string port = usual ? "" : Cat(":", options.port);
  return {{}, Cat("redirectscheme to ", options.scheme, port, ", ", Codes(options.permanent)),
          Chain::SchemeStep{options.scheme, port, options.permanent}};
}
Chain::Step Of(const discovery::RedirectRegex& options, RegexCache&) {
  return {{}, Cat("redirectregex ", options.regex, " to ", options.replacement, ", ", Codes(options.permanent)),
          Chain::UrlStep{RewriterOf(options.regex, options.replacement), options.permanent}};
}
Chain::Step Of(const discovery::StripPrefix& options, RegexCache&) {
  return {{}, Cat("stripprefix ", Join(options.prefixes, ", ")), Chain::StripStep{options.prefixes}};
}
Chain::Step Of(const discovery::StripPrefixRegex& options, RegexCache& regexes) {
  Chain::StripRegexStep step;
  for (const std::string& regex : options.regexes) step.regexes.push_back(regexes.Get(regex));
  return {{}, Cat("stripprefixregex ", Join(options.regexes, ", ")), std::move(step)};
}
Chain::Step Of(const discovery::AddPrefix& options, RegexCache&) {
  return {{}, Cat("addprefix ", options.prefix), Chain::AddStep{options.prefix}};
}
Chain::Step Of(const discovery::ReplacePath& options, RegexCache&) {
  return {{}, Cat("replacepath ", options.path), Chain::PathStep{options.path}};
}
Chain::Step Of(const discovery::ReplacePathRegex& options, RegexCache&) {
  return {{}, Cat("replacepathregex ", options.regex, " to ", options.replacement),
          Chain::PathRegexStep{RewriterOf(options.regex, options.replacement)}};
}
Chain::Step Of(const discovery::BasicAuth& options, RegexCache&) {
  std::string who = Cat("of ", options.users_file);
  if (options.users_file.empty()) {
    std::vector<std::string> names;
    for (const auto& [name, hash] : options.users) names.push_back(name);
    who = Cat("of ", Join(names, ", "));
  }
  discovery::BasicAuth sorted = options;  // a file may have thousands; of two with one name the first holds
  const std::map<std::string, std::string> by_name(options.users.begin(), options.users.end());
  sorted.users.assign(by_name.begin(), by_name.end());
  return {{}, Cat("basicauth ", who, ", else 401"),
          Chain::AuthStep{std::move(sorted), Cat("WWW-Authenticate: Basic realm=\"", options.realm, "\"\r\n")}};
}
Chain::Step Of(const discovery::IpAllowList& options, RegexCache&) {
  std::vector<std::string> ranges;
  for (const Prefix& range : options.ranges) ranges.push_back(range.ToString());
  return {{}, Cat("ipallowlist ", Join(ranges, ", "), ", else ", options.reject_status), Chain::AddressStep{options}};
}
Chain::Step Of(const discovery::Headers& options, RegexCache& regexes) {
  Chain::FieldsStep step{.options = options, .origins = {}, .max_age = options.max_age > 0 ? Cat(options.max_age) : ""};
  for (const std::string& regex : options.allow_origin_regexes) step.origins.push_back(regexes.Get(regex));
  std::vector<std::string> parts;
  for (const auto& [name, value] : options.request) parts.push_back(Cat(value.empty() ? "-" : "", name, " to the endpoint"));
  for (const auto& [name, value] : options.response) parts.push_back(Cat(value.empty() ? "-" : "", name, " to the client"));
  if (!options.sts.empty()) parts.emplace_back("Strict-Transport-Security to the client");
  if (options.cors) parts.emplace_back("CORS");
  if (!options.allowed_hosts.empty()) parts.push_back(Cat("hosts ", Join(options.allowed_hosts, ", "), ", else 403"));
  return {{}, Cat("headers ", Join(parts, ", ")), std::move(step)};
}
Chain::Step Of(const discovery::Chain& options, RegexCache&) {
  return {{}, "chain", Chain::ShutStep{Cat("a chain of ", options.members.size(), " is no step")}};  // the book lays it out
}

}  // namespace

Chain::Step MiddlewareChain::Compile(std::string id, const discovery::MiddlewareOptions& options, RegexCache& regexes) {
  Step step = std::visit([&](const auto& one) { return Of(one, regexes); }, options);
  step.id = std::move(id);
  if (step.what.size() > kShownBytes) step.what = Cat(step.what.substr(0, kShownBytes), "…");
  return step;
}

}  // namespace fairlead::lb
