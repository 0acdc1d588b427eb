// Rules made ready to be asked: regular expressions compiled, addresses parsed, the tree laid flat. Immutable, so that
// all workers share one. Asking allocates nothing, but for states that a regular expression meets for the first time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/net/ip_address.h"
#include "discovery/rule.h"

namespace re2 {
class RE2;
}

namespace fairlead::discovery {

// What a rule can ask about: views into a request, or into the first bytes of a TLS connection.
struct RequestView {
  std::string_view host;            // of a request or by SNI: lower case, without port and final dot; "": none
  std::string_view path = "/";      // as it is routed, without query
  std::string_view query = {};      // without "?"
  std::string_view method = {};
  // Gives the next field called `name` (either case) from index `at` on, which it moves behind it; false: no more.
  bool (*next_field)(const void* fields, std::string_view name, int& at, std::string_view& value) = nullptr;
  const void* fields = nullptr;
  IpAddress client_ip = {};         // the peer's, or as PROXY says; never of X-Forwarded-For
  std::string_view alpn = {};       // of a ClientHello: names, each behind its length byte
};

// Regular expressions that are in use, each compiled once. Not thread-safe; what it gives is.
class RegexCache {
 public:
  // `pattern` has passed ParseRule.
  std::shared_ptr<const re2::RE2> Get(const std::string& pattern);
  size_t size() const { return by_pattern_.size(); }

 private:
  std::map<std::string, std::weak_ptr<const re2::RE2>> by_pattern_;
  size_t sweep_at_ = 64;
};

class Condition {
 public:
  Condition(const Rule& rule, RegexCache& regexes);
  bool Holds(const RequestView& request) const { return Holds(0, request); }

 private:
  struct Node {
    Rule::Op op = Rule::Op::kMatch;
    Matcher matcher = Matcher::kHost;
    bool negated = false;
    uint32_t next = 0;               // index behind this node and its parts, which follow it
    std::string first, second;       // literals
    std::shared_ptr<const re2::RE2> regex;
    Prefix clients;
  };

  void Add(const Rule& rule, RegexCache& regexes);
  bool Holds(uint32_t at, const RequestView& request) const;
  static bool Matches(const Node& node, const RequestView& request);

  std::vector<Node> nodes_;
};

// Does a request for `host` meet Host(`pattern`): "*" all, "*.x" one more label than x, else that name.
bool HostMatches(std::string_view pattern, std::string_view host);

}  // namespace fairlead::discovery
