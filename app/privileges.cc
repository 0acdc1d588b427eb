#include "app/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/strings.h"

namespace fairlead::app {
namespace {

Status KeepOnlyBindService() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  uint32_t bit = 1u << CAP_NET_BIND_SERVICE;
  data[0] = {bit, bit, bit};
  if (syscall(SYS_capset, &header, data) != 0) return ErrnoStatus(errno, "capset");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) != 0)
    return ErrnoStatus(errno, "keep CAP_NET_BIND_SERVICE");
  return OkStatus();
}

}  // namespace

StatusOr<ServiceUser> FindServiceUser() {
  for (const char* name : {"fairlead", "nobody"})
    if (const passwd* user = getpwnam(name)) return ServiceUser{name, user->pw_uid, user->pw_gid};
  return NotFound("there is neither a user fairlead nor nobody: useradd --system fairlead");
}

Status DropPrivileges(const std::string& folder) {
  if (geteuid() != 0) return OkStatus();
  ASSIGN_OR_RETURN(ServiceUser user, FindServiceUser());
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return ErrnoStatus(error.value(), Cat("make ", folder));
  if (chown(folder.c_str(), user.uid, user.gid) != 0) return ErrnoStatus(errno, Cat("give ", folder, " to ", user.name));
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (lchown(entry.path().c_str(), user.uid, user.gid) != 0) return ErrnoStatus(errno, Cat("give ", entry.path().string(), " to ", user.name));
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return ErrnoStatus(errno, "keep capabilities");
  if (setgroups(0, nullptr) != 0 || setresgid(user.gid, user.gid, user.gid) != 0 ||
      setresuid(user.uid, user.uid, user.uid) != 0)
    return ErrnoStatus(errno, Cat("become user ", user.name));
  RETURN_IF_ERROR(KeepOnlyBindService());
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoStatus(errno, "no_new_privs");
  EndWithParent();
  return OkStatus();
}

void EndWithParent() {
  const char* parent = getenv("FAIRLEAD_PARENT");
  if (parent == nullptr) return;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (Cat(getppid()) != parent) _exit(1);  // it ended before we asked
}

}  // namespace fairlead::app
