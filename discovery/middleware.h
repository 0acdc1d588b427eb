// Middlewares of routes, in Traefik v3's words (conventions, A2): definitions as they are written in labels or in the
// file, and what they say once every option is checked. What applies them to requests: lb/middleware.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"

namespace fairlead::discovery {

inline constexpr size_t kMaxMiddlewaresOfRow = 64;      // that one container defines
inline constexpr size_t kMaxMiddlewareOptions = 256;    // of one definition
inline constexpr size_t kMaxMiddlewareBytes = 16 << 10; // of all its options
inline constexpr size_t kMaxMiddlewaresOfRoute = 32;    // references of one route

// A definition as it was written.
struct Middleware {
  std::string id;    // lower case, without provider
  std::string kind;  // lower case: "stripprefix"; with several at one id "addprefix+basicauth"
  // In order of their keys, which are in lower case but for names of header fields in them: "customrequestheaders.X-A".
  std::vector<std::pair<std::string, std::string>> options;
  friend bool operator==(const Middleware&, const Middleware&) = default;
};

using NamedValues = std::vector<std::pair<std::string, std::string>>;

struct RedirectScheme {
  std::string scheme, port;
  bool permanent = false;
};
struct RedirectRegex {
  std::string regex, replacement;
  bool permanent = false;
};
struct StripPrefix {
  std::vector<std::string> prefixes;
};
struct StripPrefixRegex {
  std::vector<std::string> regexes;
};
struct AddPrefix {
  std::string prefix;
};
struct ReplacePath {
  std::string path;
};
struct ReplacePathRegex {
  std::string regex, replacement;
};
struct BasicAuth {
  NamedValues users;             // name, hash
  std::string users_file;        // more of them, a line each; they go before `users` (lb/passwords_file.h); "": none
  std::string realm = "traefik";
  std::string header_field;      // gets the user's name; "": none
  bool remove_header = false;    // Authorization does not go on
};
struct IpAllowList {
  std::vector<Prefix> ranges;
  uint32_t depth = 0;            // n-th address of X-Forwarded-For from the right; 0: the client's own
  std::vector<Prefix> excluded;  // without depth: the first from the right that is in none of these
  uint8_t v6_subnet = 128;       // of an IPv6 client the first address of its subnet of so many bits counts
  int reject_status = 403;
};
struct Headers {
  NamedValues request, response;                 // an empty value removes the field
  bool cors = false;                             // one of the next seven is given
  std::vector<std::string> allow_origins, allow_origin_regexes;
  std::string allow_headers, allow_methods, expose_headers;  // joined with ","
  bool allow_credentials = false, add_vary = false;
  int64_t max_age = 0;
  std::vector<std::string> allowed_hosts, host_fields;
  NamedValues tls_fields;                        // a request that has one of these came by TLS
  std::string sts;                               // value of Strict-Transport-Security; "": none
  bool force_sts = false;                        // without TLS too
};
struct Chain {
  std::vector<std::string> members;              // references as written
};

using MiddlewareOptions = std::variant<RedirectScheme, RedirectRegex, StripPrefix, StripPrefixRegex, AddPrefix, ReplacePath,
                                       ReplacePathRegex, BasicAuth, IpAllowList, Headers, Chain>;

struct ParsedMiddleware {
  MiddlewareOptions options;
  std::vector<std::string> warnings;  // options that have no effect, and why
};

// "NAME:HASH" as htpasswd writes it, of a hash that can be verified. The error shows the name, never the hash.
StatusOr<std::pair<std::string, std::string>> ParseUser(std::string_view text);

// The error names the option and what is expected. A definition that is not understood whole is none: it may be a guard.
StatusOr<ParsedMiddleware> ParseMiddleware(const Middleware& definition);

// Kinds that are not built and whose loss is the loss of a feature (compression, retries): requests pass without them.
// All others may keep somebody out.
bool IsFeatureNotBuilt(std::string_view kind);

// "name@provider" in lower case; a name without provider is of `home` ("docker" or "file").
std::string QualifiedMiddleware(std::string_view reference, std::string_view home);

// A template of Go's regexp: $1, ${1}, $name, $$. Parts in order; a part is text, or the group of a match.
struct TemplatePart {
  std::string text;
  int group = -1;                     // not negative: this group in place of the text
};
// InvalidArgument where the regex does not compile. A group that the regex has not is empty, as in Go.
StatusOr<std::vector<TemplatePart>> ParseTemplate(std::string_view replacement, const std::string& regex);

}  // namespace fairlead::discovery
