#include "discovery/rule_matchers.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "base/net/ip_address.h"
#include "discovery/rule_v2.h"

namespace fairlead::discovery {

namespace {

struct Form {
  std::string_view name;
  Matcher matcher;
  RuleProtocol protocol;
  size_t least, most;             // literals
  bool several_in_v2 = false;     // v2 took several values, any of which would do
};
constexpr RuleProtocol kHttp = RuleProtocol::kHttp, kTcp = RuleProtocol::kTcp, kAny = RuleProtocol::kAny;
constexpr std::array<Form, 14> kForms = {{
    {"Host", Matcher::kHost, kHttp, 1, 1, true},
    {"HostRegexp", Matcher::kHostRegexp, kHttp, 1, 1, true},
    {"Path", Matcher::kPath, kHttp, 1, 1, true},
    {"PathPrefix", Matcher::kPathPrefix, kHttp, 1, 1, true},
    {"PathRegexp", Matcher::kPathRegexp, kHttp, 1, 1},
    {"Method", Matcher::kMethod, kHttp, 1, 1, true},
    {"Header", Matcher::kHeader, kHttp, 2, 2},
    {"HeaderRegexp", Matcher::kHeaderRegexp, kHttp, 2, 2},
    {"Query", Matcher::kQuery, kHttp, 1, 2},
    {"QueryRegexp", Matcher::kQueryRegexp, kHttp, 1, 2},
    {"ClientIP", Matcher::kClientIp, kAny, 1, 1, true},
    {"HostSNI", Matcher::kHostSni, kTcp, 1, 1, true},
    {"HostSNIRegexp", Matcher::kHostSniRegexp, kTcp, 1, 1},
    {"ALPN", Matcher::kAlpn, kTcp, 1, 1, true},
}};

const Form& FormOf(Matcher matcher) {
  return *std::find_if(kForms.begin(), kForms.end(), [&](const Form& form) { return form.matcher == matcher; });
}

std::string UpperAscii(std::string_view s) {
  std::string upper(s);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c & ~0x20);
  return upper;
}

// As written, all lower, all upper, or only the first letter upper.
bool IsFormOf(std::string_view name, std::string_view matcher) {
  if (name == matcher) return true;
  std::string lower = LowerAscii(matcher);
  if (name == lower || name == UpperAscii(matcher)) return true;
  return name.front() == matcher.front() && name.substr(1) == std::string_view(lower).substr(1);
}

// Of the user's text in messages.
std::string_view Shown(std::string_view text) { return text.substr(0, 100); }

Status CheckHost(std::string& host) {
  if (std::any_of(host.begin(), host.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
    return InvalidArgument("\"", Shown(host), "\" holds letters beyond ASCII; write the name in punycode, as in xn--bcher-kva.example");
  host = LowerAscii(std::string_view(host));
  if (host.size() > 1 && host.ends_with('.')) host.pop_back();
  std::string_view name = host;
  if (name == "*") return OkStatus();
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (name.contains('*')) return InvalidArgument("\"", Shown(host), "\": a wildcard is \"*\" or \"*.\" and a name");
  const bool bracketed = name.starts_with('[') && name.ends_with(']');
  if (name.empty() || name.size() > 253 || name.find_first_of(" \t\r\n/?#") != name.npos || (!bracketed && name.contains(':')) ||
      name.contains("..") || name.ends_with('.'))
    return InvalidArgument("\"", Shown(host), "\" is no host; write a name without port, as in shop.example.com");
  return OkStatus();
}

}  // namespace

Status CheckRegex(const std::string& pattern) {
  if (pattern.size() > kMaxRegexBytes)
    return InvalidArgument("a regular expression of ", pattern.size(), " bytes; at most ", kMaxRegexBytes);
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxRegexMemory);
  RE2 regex(pattern, options);
  if (!regex.ok()) return InvalidArgument("\"", Shown(pattern), "\" is no regular expression of RE2: ", regex.error());
  return OkStatus();
}

bool IsToken(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

namespace {

Status CheckPath(std::string_view path) {
  if (path.starts_with('/')) return OkStatus();
  return InvalidArgument("\"", Shown(path), "\" begins with no /, so no path would match it");
}

Status CheckClients(std::string& clients) {
  if (auto ip = IpAddress::Parse(clients); ip.ok()) {
    clients = ip->ToString();
    return OkStatus();
  }
  auto range = InterfaceAddress::Parse(clients);
  if (!range.ok()) return InvalidArgument("\"", Shown(clients), "\" is neither an address nor a range, as in 10.0.0.0/8");
  clients = range->prefix().ToString();
  return OkStatus();
}

// Checks the literals and brings them into their one form.
Status CheckLiterals(Rule& rule) {
  std::string& first = rule.literals[0];
  switch (rule.matcher) {
    case Matcher::kHost:
    case Matcher::kHostSni: return CheckHost(first);
    case Matcher::kHostRegexp:
    case Matcher::kPathRegexp:
    case Matcher::kHostSniRegexp: return CheckRegex(first);
    case Matcher::kPath:
    case Matcher::kPathPrefix: return CheckPath(first);
    case Matcher::kMethod:
      if (!IsToken(first)) return InvalidArgument("\"", Shown(first), "\" is no method, as in GET");
      first = UpperAscii(first);
      return OkStatus();
    case Matcher::kHeader:
    case Matcher::kHeaderRegexp:
      if (!IsToken(first)) return InvalidArgument("\"", Shown(first), "\" is no name of a header field, as in X-Version");
      return rule.matcher == Matcher::kHeaderRegexp ? CheckRegex(rule.literals[1]) : OkStatus();
    case Matcher::kQuery:
    case Matcher::kQueryRegexp:
      if (first.empty()) return InvalidArgument("an empty key; write it as in ", NameOf(rule.matcher), "(`page`)");
      if (rule.literals.size() == 1) {  // QueryRegexp with a key alone is Query with it
        rule.matcher = Matcher::kQuery;
        rule.literals.emplace_back();
      }
      return rule.matcher == Matcher::kQueryRegexp ? CheckRegex(rule.literals[1]) : OkStatus();
    case Matcher::kClientIp: return CheckClients(first);
    case Matcher::kAlpn:
      if (first.empty() || first.size() > 255) return InvalidArgument("\"", Shown(first), "\" is no protocol, as in h2");
      return OkStatus();
  }
  return OkStatus();
}

}  // namespace

std::string_view NameOf(Matcher matcher) { return FormOf(matcher).name; }
RuleProtocol ProtocolOf(Matcher matcher) { return FormOf(matcher).protocol; }

StatusOr<NamedMatcher> MatcherNamed(std::string_view name) {
  for (const Form& form : kForms)
    if (IsFormOf(name, form.name)) return NamedMatcher{form.matcher};
  if (IsFormOf(name, "Headers")) return NamedMatcher{Matcher::kHeader, true};
  if (IsFormOf(name, "HeadersRegexp")) return NamedMatcher{Matcher::kHeaderRegexp, true};
  std::vector<std::string_view> names;
  for (const Form& form : kForms) {
    names.push_back(form.name);
    if (EqualsIgnoreCase(name, form.name)) return InvalidArgument("there is no matcher ", Shown(name), "; did you mean ", form.name, "?");
  }
  const std::string_view nearest = Nearest(name, names);
  if (!nearest.empty()) return InvalidArgument("there is no matcher ", Shown(name), "; did you mean ", nearest, "?");
  return InvalidArgument("there is no matcher ", Shown(name), "; there are ", Join({names.begin(), names.end()}, ", "));
}

StatusOr<Rule> RuleOf(NamedMatcher named, std::vector<std::string> literals, std::vector<std::string>& warnings) {
  const Form& form = FormOf(named.matcher);
  const bool several = form.several_in_v2 && literals.size() > form.most;
  if (literals.size() < form.least || (literals.size() > form.most && !several))
    return InvalidArgument(form.name, " takes ", form.least, form.most > form.least ? " or 2 values" : form.least == 1 ? " value" : " values",
                           ", not ", literals.size());
  if (named.v2) warnings.push_back(Cat("Traefik v2's name ", form.name == "Header" ? "Headers" : "HeadersRegexp", ": write ", form.name));
  if (several)
    warnings.push_back(Cat(form.name, " with ", literals.size(), " values is Traefik v2's form: write ", form.name, "(…) || ", form.name, "(…)"));
  std::vector<Rule> any;
  auto add = [&](std::vector<std::string> values) {
    Rule rule;
    rule.matcher = named.matcher;
    rule.literals = std::move(values);
    if (std::string warning = TakeV2Pattern(rule); !warning.empty()) warnings.push_back(std::move(warning));
    Status checked = CheckLiterals(rule);
    any.push_back(std::move(rule));
    return checked;
  };
  if (several) {
    for (std::string& literal : literals) {
      std::vector<std::string> one;
      one.push_back(std::move(literal));
      RETURN_IF_ERROR(add(std::move(one)));
    }
  } else {
    RETURN_IF_ERROR(add(std::move(literals)));
  }
  return Joined(Rule::Op::kAny, std::move(any));
}

Rule Not(Rule rule) {
  if (rule.op == Rule::Op::kMatch) {
    rule.negated = !rule.negated;
    return rule;
  }
  rule.op = rule.op == Rule::Op::kAll ? Rule::Op::kAny : Rule::Op::kAll;
  for (Rule& part : rule.parts) part = Not(std::move(part));
  return rule;
}

Rule Joined(Rule::Op op, std::vector<Rule> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  Rule joined;
  joined.op = op;
  for (Rule& part : parts) {
    if (part.op == op) {
      std::move(part.parts.begin(), part.parts.end(), std::back_inserter(joined.parts));
    } else {
      joined.parts.push_back(std::move(part));
    }
  }
  return joined;
}

}  // namespace fairlead::discovery
