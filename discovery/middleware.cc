#include "discovery/middleware.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/strings.h"
#include "discovery/labels_dialect.h"
#include "discovery/rule_matchers.h"

namespace fairlead::discovery {

namespace {

constexpr std::array<std::string_view, 6> kFeatures = {"retry", "circuitbreaker", "compress", "errors", "contenttype", "grpcweb"};
constexpr std::array<std::string_view, 8> kLater = {"forwardauth", "ratelimit",  "inflightreq",       "buffering",
                                                    "digestauth",  "plugin",     "passtlsclientcert", "encodedcharacters"};
constexpr std::array<std::string_view, 12> kBuilt = {
    "redirectscheme", "redirectregex", "stripprefix", "stripprefixregex", "addprefix",   "replacepath", "replacepathregex",
    "headers",        "basicauth",     "ipallowlist", "ipwhitelist",      "chain"};
// What frames a message or ends at one hop is the balancer's own affair.
constexpr std::array<std::string_view, 11> kFraming = {
    "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "proxy-connection",
    "expect", "via", "max-forwards"};
constexpr size_t kBcryptBytes = 60;
constexpr uint32_t kMaxBcryptCost = 14;  // about a second: all wait for one thread

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= ' ' && c != 0x7f) || static_cast<unsigned char>(c) >= 0x80 || c == '\t'; });
}

// Reads the options of one definition; the first fault is kept, and what nobody read is one.
class OptionReader {
 public:
  explicit OptionReader(const Middleware& definition) : definition_(definition) {
    size_t bytes = 0;
    for (const auto& [key, value] : definition.options) bytes += key.size() + value.size();
    if (definition.options.size() > kMaxMiddlewareOptions || bytes > kMaxMiddlewareBytes)
      Fault("", Cat("more than ", kMaxMiddlewareOptions, " options or ", kMaxMiddlewareBytes, " bytes"));
  }

  void Fault(std::string_view key, std::string_view why) {
    if (!fault_.empty()) return;
    fault_ = key.empty() ? Cat(definition_.kind, ": ", why) : Cat(definition_.kind, ".", Shown(key), ": ", why);
  }
  void Warn(std::string_view key, std::string_view why) { warnings_.push_back(Cat(definition_.kind, ".", Shown(key), ": ", why)); }
  // Says so where the option is given, and goes on.
  void Obsolete(std::string_view key, std::string_view why) {
    if (Find(key) != nullptr) Warn(key, why);
  }
  void NotBuilt(std::string_view key, std::string_view why = "") {
    for (const auto& [name, value] : definition_.options)
      if (name == key || name.starts_with(Cat(key, "."))) {
        known_.insert(name);
        Fault(name, Cat("not yet supported", why));
      }
  }

  const std::string* Find(std::string_view key) {
    for (const auto& [name, value] : definition_.options) {
      if (name != key) continue;
      known_.insert(name);
      return &value;
    }
    return nullptr;
  }
  bool Text(std::string_view key, std::string& out) {
    const std::string* value = Find(key);
    if (value == nullptr) return false;
    if (!IsPrintable(*value)) Fault(key, "holds bytes that a message cannot carry");
    out = *value;
    return true;
  }
  std::string Needed(std::string_view key) {
    std::string text;
    if (!Text(key, text) || text.empty()) Fault(key, "is missing");
    return text;
  }
  void Bool(std::string_view key, bool& out) {
    const std::string* value = Find(key);
    if (value == nullptr) return;
    const auto truth = BoolOf(*value);
    if (!truth) return Fault(key, Cat("\"", Shown(*value), "\" is neither true nor false"));
    out = *truth;
  }
  bool Number(std::string_view key, int64_t& out, int64_t low, int64_t high) {
    const std::string* value = Find(key);
    if (value == nullptr) return false;
    const auto number = ParseNumber<uint64_t>(*value);
    if (!number || static_cast<int64_t>(*number) < low || *number > static_cast<uint64_t>(high)) {
      Fault(key, Cat("\"", Shown(*value), "\" is no number from ", low, " to ", high));
      return false;
    }
    out = static_cast<int64_t>(*number);
    return true;
  }
  // "a, b", or KEY[0], KEY[1], …, whose values may hold commas.
  std::vector<std::string> List(std::string_view key) {
    std::vector<std::string> list;
    const std::string indexed = Cat(key, "[");
    for (const auto& [name, value] : definition_.options) {
      if (name != key && !name.starts_with(indexed)) continue;
      known_.insert(name);
      if (!IsPrintable(value)) Fault(name, "holds bytes that a message cannot carry");
      if (name == key) {
        for (std::string& item : ListOf(value)) list.push_back(std::move(item));
      } else {
        list.push_back(value);
      }
    }
    return list;
  }
  // KEY.FIELD = VALUE.
  NamedValues Fields(std::string_view key) {
    NamedValues fields;
    const std::string prefix = Cat(key, ".");
    for (const auto& [name, value] : definition_.options) {
      if (!name.starts_with(prefix)) continue;
      known_.insert(name);
      const std::string field = name.substr(prefix.size());
      if (Status fault = CheckField(field); !fault.ok()) Fault(name, Message(fault));
      if (!IsPrintable(value)) Fault(name, "holds bytes that a field cannot carry");
      fields.emplace_back(field, Trim(value));
    }
    return fields;
  }
  static Status CheckField(std::string_view name) {
    const std::string lower = LowerAscii(name);
    if (!IsToken(name)) return InvalidArgument("\"", Shown(name), "\" is no name of a field");
    if (In(kFraming, lower)) return InvalidArgument("field ", name, " is the balancer's own");
    return OkStatus();
  }
  std::string Regex(std::string_view key) {
    std::string regex = Needed(key);
    if (Status valid = CheckRegex(regex); !valid.ok()) Fault(key, Message(valid));
    return regex;
  }
  std::string Path(std::string_view key) {
    std::string path = Needed(key);
    if (!path.starts_with('/')) path = Cat("/", path);
    if (!IsTarget(path) || path.find_first_of("?#") != path.npos) Fault(key, Cat("\"", Shown(path), "\" is no path"));
    return path;
  }
  std::vector<Prefix> Ranges(std::string_view key) {
    std::vector<Prefix> ranges;
    for (const std::string& text : List(key)) {
      auto ip = IpAddress::Parse(text);
      auto range = InterfaceAddress::Parse(text);
      if (ip.ok()) {
        ranges.emplace_back(*ip, ip->is_v6() ? 128 : 32);
      } else if (range.ok()) {
        ranges.push_back(range->prefix());
      } else {
        Fault(key, Cat("\"", Shown(text), "\" is neither an address nor a range, as in 10.0.0.0/8"));
      }
    }
    return ranges;
  }

  StatusOr<ParsedMiddleware> Finish(MiddlewareOptions options) {
    for (const auto& [name, value] : definition_.options)  // the likelier cause of what is missing
      if (!known_.contains(name)) return InvalidArgument(definition_.kind, ".", Shown(name), ": is not understood");
    if (!fault_.empty()) return InvalidArgument(fault_);
    return ParsedMiddleware{std::move(options), std::move(warnings_)};
  }

 private:
  const Middleware& definition_;
  std::set<std::string> known_;
  std::vector<std::string> warnings_;
  std::string fault_;
};

RedirectScheme ReadRedirectScheme(OptionReader& reader) {
  RedirectScheme options;
  options.scheme = LowerAscii(reader.Needed("scheme"));
  if (options.scheme != "http" && options.scheme != "https") reader.Fault("scheme", "is neither http nor https");
  if (reader.Text("port", options.port) && !options.port.empty() && !PortOf(options.port)) reader.Fault("port", "is no port");
  reader.Bool("permanent", options.permanent);
  return options;
}

void CheckTemplate(OptionReader& reader, const std::string& regex, const std::string& replacement, bool of_path) {
  if (auto parts = ParseTemplate(replacement, regex); !parts.ok()) reader.Fault("replacement", Message(parts.status()));
  const std::string_view never = of_path ? " \t?#" : " \t";
  if (replacement.find_first_of(never) != replacement.npos)
    reader.Fault("replacement", Cat("\"", Shown(replacement), "\" is no ", of_path ? "path" : "URL"));
}

RedirectRegex ReadRedirectRegex(OptionReader& reader) {
  RedirectRegex options{.regex = reader.Regex("regex"), .replacement = reader.Needed("replacement")};
  CheckTemplate(reader, options.regex, options.replacement, false);
  reader.Bool("permanent", options.permanent);
  return options;
}

StripPrefix ReadStripPrefix(OptionReader& reader) {
  StripPrefix options{.prefixes = reader.List("prefixes")};
  if (options.prefixes.empty()) reader.Fault("prefixes", "is missing");
  for (const std::string& prefix : options.prefixes)
    if (!IsTarget(prefix)) reader.Fault("prefixes", Cat("\"", Shown(prefix), "\" is no path"));
  bool force_slash = true;  // a path of a request always begins with one
  reader.Bool("forceslash", force_slash);
  return options;
}

StripPrefixRegex ReadStripPrefixRegex(OptionReader& reader) {
  StripPrefixRegex options{.regexes = reader.List("regex")};
  if (options.regexes.empty()) reader.Fault("regex", "is missing");
  for (const std::string& regex : options.regexes)
    if (Status valid = CheckRegex(regex); !valid.ok()) reader.Fault("regex", Message(valid));
  return options;
}

ReplacePathRegex ReadReplacePathRegex(OptionReader& reader) {
  ReplacePathRegex options{.regex = reader.Regex("regex"), .replacement = reader.Needed("replacement")};
  CheckTemplate(reader, options.regex, options.replacement, true);
  return options;
}

// What can be verified: bcrypt as htpasswd -B writes it ($2y$COST$…), at a cost that leaves time for others.
bool IsBcrypt(std::string_view hash) {
  const bool form = hash.size() == kBcryptBytes && (hash.starts_with("$2a$") || hash.starts_with("$2b$") || hash.starts_with("$2y$")) &&
                    hash[6] == '$';
  const auto cost = form ? ParseNumber<uint32_t>(hash.substr(4, 2)) : std::nullopt;
  return cost && *cost >= 4 && *cost <= kMaxBcryptCost;
}

// htpasswd's older forms: MD5 in Apache's way ($apr1$SALT$22 letters), and SHA-1 ({SHA}28 letters of Base64). A guesser
// tries millions of either a second; they are here for files that have them.
bool IsApr1(std::string_view hash) {
  constexpr size_t kSaltBytes = 8, kLetters = 22;
  if (!hash.starts_with("$apr1$")) return false;
  const size_t end = hash.find('$', 6);
  return end != hash.npos && end > 6 && end - 6 <= kSaltBytes && hash.size() - end - 1 == kLetters;
}
bool IsSha1(std::string_view hash) { return hash.starts_with("{SHA}") && hash.size() == 5 + 28 && hash.ends_with('='); }

BasicAuth ReadBasicAuth(OptionReader& reader) {
  BasicAuth options;
  for (const std::string& text : reader.List("users")) {
    auto user = ParseUser(text);
    if (user.ok()) {
      options.users.push_back(*std::move(user));
    } else {
      reader.Fault("users", Message(user.status()));
    }
  }
  if (reader.Text("usersfile", options.users_file) && !options.users_file.starts_with('/'))
    reader.Fault("usersfile", Cat("\"", Shown(options.users_file), "\" is no absolute path of a file of the balancer's host"));
  if (options.users.empty() && options.users_file.empty()) reader.Fault("users", "is missing");
  reader.Text("realm", options.realm);
  if (options.realm.find_first_of("\"\\") != options.realm.npos) reader.Fault("realm", "holds a quote or backslash");
  if (reader.Text("headerfield", options.header_field) && !options.header_field.empty())
    if (Status valid = OptionReader::CheckField(options.header_field); !valid.ok()) reader.Fault("headerfield", Message(valid));
  reader.Bool("removeheader", options.remove_header);
  return options;
}

IpAllowList ReadIpAllowList(OptionReader& reader, bool old_name) {
  IpAllowList options{.ranges = reader.Ranges("sourcerange")};
  if (options.ranges.empty()) reader.Fault("sourcerange", "is missing");
  int64_t depth = 0, status = 403;
  reader.Number("ipstrategy.depth", depth, 0, 100);
  reader.Number("rejectstatuscode", status, 400, 599);
  options.depth = static_cast<uint32_t>(depth);
  options.reject_status = static_cast<int>(status);
  options.excluded = reader.Ranges("ipstrategy.excludedips");
  int64_t subnet = 128;
  reader.Number("ipstrategy.ipv6subnet", subnet, 1, 128);
  options.v6_subnet = static_cast<uint8_t>(subnet);
  if (old_name) reader.Warn("sourcerange", "the name since Traefik v3 is ipallowlist");
  return options;
}

void ReadCors(OptionReader& reader, Headers& options) {
  auto list = [&](std::string_view key) { return Join(reader.List(key), ","); };
  options.allow_origins = reader.List("accesscontrolalloworiginlist");
  options.allow_origin_regexes = reader.List("accesscontrolalloworiginlistregex");
  for (const std::string& regex : options.allow_origin_regexes)
    if (Status valid = CheckRegex(regex); !valid.ok()) reader.Fault("accesscontrolalloworiginlistregex", Message(valid));
  options.allow_headers = list("accesscontrolallowheaders");
  options.allow_methods = list("accesscontrolallowmethods");
  options.expose_headers = list("accesscontrolexposeheaders");
  reader.Bool("accesscontrolallowcredentials", options.allow_credentials);
  reader.Bool("addvaryheader", options.add_vary);
  reader.Number("accesscontrolmaxage", options.max_age, 0, INT32_MAX);
  options.cors = !options.allow_origins.empty() || !options.allow_origin_regexes.empty() || !options.allow_headers.empty() ||
                 !options.allow_methods.empty() || !options.expose_headers.empty() || options.allow_credentials || options.max_age != 0;
}

// What is fixed goes into `response`, in Traefik's order: custom fields are set last.
void ReadSecurity(OptionReader& reader, Headers& options) {
  bool development = false, deny = false, nosniff = false, xss = false, subdomains = false, preload = false;
  int64_t seconds = 0;
  std::string frame;
  reader.Bool("isdevelopment", development);
  reader.Bool("framedeny", deny);
  reader.Bool("contenttypenosniff", nosniff);
  reader.Bool("browserxssfilter", xss);
  reader.Bool("stsincludesubdomains", subdomains);
  reader.Bool("stspreload", preload);
  reader.Bool("forcestsheader", options.force_sts);
  if (reader.Number("stsseconds", seconds, 0, INT32_MAX) && seconds > 0 && !development)
    options.sts = Cat("max-age=", seconds, subdomains ? "; includeSubDomains" : "", preload ? "; preload" : "");
  auto put = [&](std::string_view name, std::string value) {
    if (!value.empty()) options.response.emplace_back(name, std::move(value));
  };
  auto put_text = [&](std::string_view key, std::string_view name, std::string value) {
    reader.Text(key, value);
    put(name, std::move(value));
  };
  put_text("customframeoptionsvalue", "X-Frame-Options", deny ? "DENY" : "");
  put("X-Content-Type-Options", nosniff ? "nosniff" : "");
  put_text("custombrowserxssvalue", "X-XSS-Protection", xss ? "1; mode=block" : "");
  put_text("contentsecuritypolicy", "Content-Security-Policy", "");
  put_text("contentsecuritypolicyreportonly", "Content-Security-Policy-Report-Only", "");
  put_text("referrerpolicy", "Referrer-Policy", "");
  put_text("permissionspolicy", "Permissions-Policy", "");
  options.allowed_hosts = reader.List("allowedhosts");
  for (std::string& host : options.allowed_hosts) host = LowerAscii(std::string_view(host));
  if (development) options.allowed_hosts.clear();
  options.host_fields = reader.List("hostsproxyheaders");
  options.tls_fields = reader.Fields("sslproxyheaders");
  for (std::string_view key : {"sslredirect", "ssltemporaryredirect", "sslhost", "sslforcehost"})
    reader.Obsolete(key, "has no effect since Traefik v3: use redirectscheme or redirectregex");
  for (std::string_view key : {"featurepolicy", "publickey"}) reader.Obsolete(key, "has no effect since Traefik v3");
}

Headers ReadHeaders(OptionReader& reader) {
  Headers options;
  ReadCors(reader, options);
  ReadSecurity(reader, options);
  options.request = reader.Fields("customrequestheaders");
  for (auto& field : reader.Fields("customresponseheaders")) options.response.push_back(std::move(field));
  return options;
}

Chain ReadChain(OptionReader& reader) {
  Chain options{.members = reader.List("middlewares")};
  if (options.members.empty()) reader.Fault("middlewares", "is missing");
  if (options.members.size() > kMaxMiddlewaresOfRoute) reader.Fault("middlewares", Cat("more than ", kMaxMiddlewaresOfRoute));
  return options;
}

MiddlewareOptions Read(std::string_view kind, OptionReader& reader) {
  if (kind == "redirectscheme") return ReadRedirectScheme(reader);
  if (kind == "redirectregex") return ReadRedirectRegex(reader);
  if (kind == "stripprefix") return ReadStripPrefix(reader);
  if (kind == "stripprefixregex") return ReadStripPrefixRegex(reader);
  if (kind == "addprefix") return AddPrefix{.prefix = reader.Path("prefix")};
  if (kind == "replacepath") return ReplacePath{.path = reader.Path("path")};
  if (kind == "replacepathregex") return ReadReplacePathRegex(reader);
  if (kind == "headers") return ReadHeaders(reader);
  if (kind == "basicauth") return ReadBasicAuth(reader);
  if (kind == "ipallowlist" || kind == "ipwhitelist") return ReadIpAllowList(reader, kind == "ipwhitelist");
  return ReadChain(reader);
}

bool IsWord(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// The group that "1" or "name" means; the count of groups is beyond all: empty.
int GroupOf(std::string_view name, const re2::RE2& regex) {
  if (const auto number = ParseNumber<uint32_t>(name))
    return *number <= static_cast<uint32_t>(regex.NumberOfCapturingGroups()) ? static_cast<int>(*number) : -1;
  const auto& groups = regex.NamedCapturingGroups();
  auto at = groups.find(std::string(name));
  return at != groups.end() ? at->second : -1;
}

}  // namespace

bool IsFeatureNotBuilt(std::string_view kind) { return In(kFeatures, kind); }

StatusOr<std::pair<std::string, std::string>> ParseUser(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string name(text.substr(0, colon)), hash(colon == text.npos ? "" : text.substr(colon + 1));
  if (name.empty() || hash.empty()) return InvalidArgument("an item is not NAME:HASH");
  if (IsBcrypt(hash) || IsApr1(hash) || IsSha1(hash)) return std::pair(name, hash);
  const std::string_view hint = hash.starts_with("$$") ? "; outside compose files $ is not doubled" : "";
  return InvalidArgument("the hash of ", Shown(name), " is neither bcrypt's ($2y$…) of a cost up to ", kMaxBcryptCost,
                         " nor $apr1$… nor {SHA}…: htpasswd -nB ", Shown(name), hint);
}

StatusOr<ParsedMiddleware> ParseMiddleware(const Middleware& definition) {
  if (In(kFeatures, definition.kind) || In(kLater, definition.kind)) return InvalidArgument(definition.kind, " is not yet supported");
  if (definition.kind.contains('+')) return InvalidArgument("several kinds under one name: ", Shown(definition.kind));
  if (!In(kBuilt, definition.kind)) {
    std::vector<std::string_view> known(kBuilt.begin(), kBuilt.end());
    const std::string_view nearest = Nearest(definition.kind, known);
    return InvalidArgument("\"", Shown(definition.kind), "\" is no middleware", nearest.empty() ? std::string() : Cat(" (did you mean ", nearest, "?)"));
  }
  OptionReader reader(definition);
  MiddlewareOptions options = Read(definition.kind, reader);
  return reader.Finish(std::move(options));
}

std::string QualifiedMiddleware(std::string_view reference, std::string_view home) {
  std::string name = LowerAscii(Trim(reference));
  return name.contains('@') ? name : Cat(name, "@", home);
}

StatusOr<std::vector<TemplatePart>> ParseTemplate(std::string_view replacement, const std::string& pattern) {
  RETURN_IF_ERROR(CheckRegex(pattern));
  RE2::Options quiet;
  quiet.set_log_errors(false);
  const re2::RE2 regex(pattern, quiet);
  std::vector<TemplatePart> parts;
  auto text = [&](std::string_view piece) {
    if (parts.empty() || parts.back().group >= 0) parts.emplace_back();
    parts.back().text += piece;
  };
  for (size_t at = 0; at < replacement.size();) {
    const size_t dollar = std::min(replacement.find('$', at), replacement.size());
    if (dollar > at) text(replacement.substr(at, dollar - at));
    if (dollar == replacement.size()) break;
    const bool braced = replacement.substr(dollar + 1).starts_with('{');
    const size_t begin = dollar + 1 + (braced ? 1 : 0);
    size_t end = begin;
    while (end < replacement.size() && IsWord(replacement[end])) ++end;
    if (replacement.substr(dollar).starts_with("$$")) {
      text("$");
      at = dollar + 2;
    } else if (end == begin || (braced && !replacement.substr(end).starts_with('}'))) {
      text("$");  // no group: as it is (Go's Expand)
      at = dollar + 1;
    } else {
      if (const int group = GroupOf(replacement.substr(begin, end - begin), regex); group >= 0) parts.push_back({"", group});
      at = end + (braced ? 1 : 0);
    }
  }
  return parts;
}

}  // namespace fairlead::discovery
