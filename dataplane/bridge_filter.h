// BridgeFilter keeps the host's packet filter from dropping what containers of one bridge say to each other.
//
// Where br_netfilter is loaded (Docker loads it) net.bridge.bridge-nf-call-iptables is 1, and every bridged packet of the
// namespace passes iptables' FORWARD chain, whose policy Docker sets to DROP. A bridge's own nf_call_iptables attribute
// can only add to that, not take a bridge out. So each bridge of ours gets one rule: accept from itself to itself, as
// Docker gives its own bridges. It is made only where bridged packets are filtered at all.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

#include "base/status.h"

namespace fairlead::dataplane {

// Used by one thread at a time, in the network namespace it filters.
class BridgeFilter {
 public:
  // Makes the rules that are missing; looks at the filter every time.
  Status Allow(const std::string& bridge);
  // The same once per bridge: a check of microseconds for every attach, since br_netfilter may be loaded later.
  Status AllowOnce(const std::string& bridge);
  Status Forget(const std::string& bridge);  // removes the rules; gone is fine

 private:
  std::unordered_set<std::string> allowed_;
};

}  // namespace fairlead::dataplane
