// The host of a real installation: dockerd's process, its API, and the plugin's socket.
#pragma once

#include <memory>
#include <string>

#include "app/install.h"
#include "base/io/proactor.h"

namespace fairlead::app {

struct DockerdPlace {
  std::string api_socket;     // engines.docker.socket
  std::string pid_file;       // /run/docker.pid
  std::string plugin_socket;
};

class DockerHost final : public InstallHost {
 public:
  static constexpr Nanos kPluginPatience = 5 * kSecond;
  static constexpr Nanos kReloadPatience = 40 * kSecond;  // dockerd tries an absent plugin for 32 s
  static StatusOr<std::unique_ptr<DockerHost>> Open(DockerdPlace place, const Clock& clock);

  Status CheckPlugin() override;
  Status Validate(const std::string& file) override;
  StatusOr<bool> Reload() override;
  Status WaitForReload() override;

 private:
  DockerHost(DockerdPlace place, std::unique_ptr<io::Proactor> proactor);
  // The body of a 200.
  StatusOr<std::string> Ask(const std::string& socket, std::string method, std::string target, Nanos deadline);
  void Pause(Nanos duration);

  StatusOr<bool> HasReloaded();

  const DockerdPlace place_;
  std::unique_ptr<io::Proactor> proactor_;
  pid_t dockerd_ = -1;         // that was told to read its file,
  Nanos asked_at_wall_ = 0;    // and when
};

}  // namespace fairlead::app
