// Where a rule stands in the route table: the hosts and the path under which it is looked for, and what is left to ask
// there. A rule of hosts and a prefix leaves nothing, so it costs a request what the host form costs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/rule.h"
#include "discovery/rule_match.h"

namespace fairlead::lb {

struct RulePlace {
  std::string host;                // exact, "*.x", or "*": any
  std::string path_prefix = "/";
  std::shared_ptr<const discovery::Condition> condition;  // null: host and prefix say all
};

struct PlacedRule {
  std::string canonical;
  discovery::RuleProtocol protocol = discovery::RuleProtocol::kAny;
  std::vector<RulePlace> places;   // by host, each once
  std::string fault;               // why there is no place
};

// A place for each host that the rule names, or "*". None where no request can meet it.
std::vector<RulePlace> PlacesOf(const discovery::Rule& rule, discovery::RegexCache& regexes);

// The rules in use, each parsed and compiled once for all workers. Belongs to the control thread.
class RuleBook {
 public:
  std::shared_ptr<const PlacedRule> Get(const std::string& text);

 private:
  discovery::RegexCache regexes_;
  std::map<std::string, std::weak_ptr<const PlacedRule>> by_text_;
  size_t sweep_at_ = 64;
};

}  // namespace fairlead::lb
