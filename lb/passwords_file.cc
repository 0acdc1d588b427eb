#include "lb/passwords_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"

namespace fairlead::lb {
namespace {

StatusOr<std::string> ReadRegularFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return ErrnoStatus(errno, path);
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{fd};
  struct stat facts;
  if (fstat(fd, &facts) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(facts.st_mode)) return InvalidArgument(path, ": is no regular file");
  std::string text(kMaxUsersFileBytes + 1, '\0');
  size_t size = 0;
  for (ssize_t got = 1; got > 0 && size < text.size(); size += static_cast<size_t>(got)) {
    got = read(fd, text.data() + size, text.size() - size);
    if (got < 0) return ErrnoStatus(errno, path);
  }
  if (size > kMaxUsersFileBytes) return InvalidArgument(path, ": has more than ", kMaxUsersFileBytes, " bytes");
  text.resize(size);
  return text;
}

}  // namespace

StatusOr<discovery::NamedValues> ReadUsersFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadRegularFile(path));
  discovery::NamedValues users;
  size_t number = 0;
  for (std::string_view line : Split(text, '\n')) {
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string_view said = Trim(line);
    if (said.empty() || said.starts_with('#')) continue;
    auto user = discovery::ParseUser(said);
    if (!user.ok()) return WithContext(user.status(), Cat(path, ":", number, ": "));
    users.push_back(*std::move(user));
  }
  return users;
}

}  // namespace fairlead::lb
