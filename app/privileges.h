// Dropping root: the name server and the balancer parse what comes from the network, so they run as another user and
// keep one right, to bind ports below 1024.
#pragma once

#include <string>

#include "base/status.h"

namespace fairlead::app {

// The user "fairlead" where it exists, else "nobody".
struct ServiceUser {
  std::string name;
  unsigned uid = 0;
  unsigned gid = 0;
};
StatusOr<ServiceUser> FindServiceUser();

// As root: makes `folder` the user's own, becomes that user, keeps CAP_NET_BIND_SERVICE, sets no_new_privs. Not as
// root: no-op. Before any thread is started.
Status DropPrivileges(const std::string& folder);

// Under `fairlead up` (FAIRLEAD_PARENT names its process): asks the kernel for SIGTERM when the parent ends, however it
// ends. A change of user takes that back, so DropPrivileges() asks again.
void EndWithParent();

}  // namespace fairlead::app
