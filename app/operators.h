// Who may change things by the API: root, the agent's own user and members of group fairlead, over the unix socket, whose
// peers the kernel tells. Not the user that name server and balancer run as, though its group is fairlead too: those
// parse what comes from the network.
#pragma once

#include <optional>

#include "base/http/server.h"
#include "base/status.h"

namespace fairlead::app {

struct Operators {
  uint32_t own_uid = 0;
  std::optional<uint32_t> group = {};        // gid of group fairlead
  std::optional<uint32_t> service_uid = {};  // of name server and balancer

  Status MayChange(const http::RequestContext& context) const;
  // The same people: the audit log tells who did what, and what they asked for.
  Status MayReadAudit(const http::RequestContext& context) const;
  // OK for an operator; else the words for where and who.
  Status Allow(const http::RequestContext& context, std::string_view over_tcp, std::string_view others) const;
  // As this process and the machine's users and groups are.
  static Operators OfThisHost();
};

}  // namespace fairlead::app
