// `fairlead install docker --authz`: names the authorization plugin in dockerd's daemon.json and has dockerd read it, and
// `uninstall`, the way back. dockerd ends when it is to load a plugin that does not answer, and refuses every call while
// one is away: so each step is checked before the next, and undone when dockerd does not come along.
#pragma once

#include <ostream>
#include <string>

#include "base/status.h"

namespace fairlead::app {

// The host as an installation sees it.
class InstallHost {
 public:
  virtual ~InstallHost() = default;
  // OK: the plugin answers Plugin.Activate with "authz".
  virtual Status CheckPlugin() = 0;
  // Whether dockerd takes this file. Unimplemented: it cannot tell (before 23.0).
  virtual Status Validate(const std::string& file) = 0;
  // Has the running dockerd read its file again. False: none runs. FailedPrecondition: it would not take the file, for
  // a flag on its command line.
  virtual StatusOr<bool> Reload() = 0;
  // Waits until dockerd has read it and its API answers, through whatever plugins there are then.
  virtual Status WaitForReload() = 0;
};

struct DaemonJsonPlan {
  std::string file;    // /etc/docker/daemon.json
  std::string plugin;  // "fairlead-authz"
};

// What was done is told on `out`. Safe to repeat. On an error the file is as it was before.
Status InstallAuthz(const DaemonJsonPlan& plan, InstallHost& host, std::ostream& out);
Status UninstallAuthz(const DaemonJsonPlan& plan, InstallHost& host, std::ostream& out);

// Puts the name server's address in front of dockerd's `dns`, and the way back. dockerd reads that key only when it starts:
// nothing is reloaded, and `out` says so.
Status InstallDns(const std::string& file, const std::string& address, std::ostream& out);
Status UninstallDns(const std::string& file, const std::string& address, std::ostream& out);

// The file as it was before the first change, beside it.
std::string BackupOf(const std::string& file);

}  // namespace fairlead::app
