#include "app/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/strings.h"

namespace fairlead::app {

StatusOr<std::optional<std::string>> ReadWhole(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in && errno == ENOENT) return std::optional<std::string>();
  if (!in) return ErrnoStatus(errno, Cat("read ", file));
  std::ostringstream text;
  text << in.rdbuf();
  return std::optional(text.str());
}

Status WriteWhole(const std::string& file, const std::string& text, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), error);
  // A link stays one: what it leads to is replaced.
  std::string target = std::filesystem::exists(file, error) ? std::filesystem::canonical(file, error).string() : file;
  std::string fresh = Cat(target, ".fairlead-new");
  struct stat old;
  bool replaces = stat(target.c_str(), &old) == 0;
  int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, Cat("write ", fresh));
  bool done = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (done && replaces) done = fchown(fd, old.st_uid, old.st_gid) == 0;
  if (done) done = fchmod(fd, replaces ? old.st_mode & 07777 : mode) == 0 && fsync(fd) == 0;
  int why = errno;
  close(fd);
  if (done && rename(fresh.c_str(), target.c_str()) != 0) {
    done = false;
    why = errno;
  }
  if (done) return OkStatus();
  unlink(fresh.c_str());
  return ErrnoStatus(why, Cat("write ", file));
}

}  // namespace fairlead::app
