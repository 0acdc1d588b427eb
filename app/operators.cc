#include "app/operators.h"

#include <grp.h>
#include <unistd.h>

#include <algorithm>

#include "app/api_reply.h"
#include "app/privileges.h"

namespace fairlead::app {

Status Operators::MayChange(const http::RequestContext& context) const {
  return Allow(context, "changes are taken over the unix socket only; this listener is read-only", "may read but not change");
}

Status Operators::MayReadAudit(const http::RequestContext& context) const {
  return Allow(context, "the audit log is for operators: it is read over the unix socket only", "may not read the audit log");
}

Status Operators::Allow(const http::RequestContext& context, std::string_view over_tcp, std::string_view others) const {
  if (!context.credentials) return WithFix(PermissionDenied(over_tcp), "fairlead --api unix:/run/fairlead/api.sock …");
  const io::PeerCredentials& peer = *context.credentials;
  if (peer.uid == 0 || peer.uid == own_uid) return OkStatus();
  if (peer.uid == service_uid)
    return PermissionDenied("user ", peer.uid, " runs the name server and the balancer: it ", others);
  if (group && (peer.gid == *group || std::ranges::find(peer.groups, *group) != peer.groups.end())) return OkStatus();
  return PermissionDenied("user ", peer.uid, " ", others, ": root may, and members of group fairlead");
}

Operators Operators::OfThisHost() {
  Operators operators{.own_uid = geteuid()};
  if (const struct group* found = getgrnam("fairlead")) operators.group = found->gr_gid;
  if (auto user = FindServiceUser(); user.ok()) operators.service_uid = user->uid;
  return operators;
}

}  // namespace fairlead::app
