#include "base/io/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace fairlead::io {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Status Failed(std::string_view what, const std::string& path) { return ErrnoStatus(errno, Cat(what, " ", path)); }

Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return OkStatus();
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Status SyncFolder(const std::string& path) {
  Descriptor folder(open(FolderOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || fsync(folder.get()) != 0) return Failed("sync the folder of", path);
  return OkStatus();
}

StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  std::string bytes;
  char piece[64 << 10];
  while (true) {
    ssize_t n = read(fd, piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("read", path);
    if (n == 0) return bytes;
    bytes.append(piece, static_cast<size_t>(n));
  }
}

Status WriteDurably(const std::string& path, std::string_view bytes) {
  Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (file.get() < 0) return Failed("create", path);
  RETURN_IF_ERROR(WriteAll(file.get(), bytes, path));
  if (fsync(file.get()) != 0) return Failed("sync", path);
  return OkStatus();
}

}  // namespace

StatusOr<std::string> SystemFiles::Read(const std::string& path) { return ReadTail(path, SIZE_MAX); }

StatusOr<std::string> SystemFiles::ReadTail(const std::string& path, size_t max_bytes) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return errno == ENOENT ? NotFound("there is no file ", path) : Failed("open", path);
  struct stat facts{};
  if (fstat(file.get(), &facts) != 0) return Failed("stat", path);
  if (auto size = static_cast<size_t>(facts.st_size); size > max_bytes)
    lseek(file.get(), static_cast<off_t>(size - max_bytes), SEEK_SET);
  return ReadAll(file.get(), path);
}

Status SystemFiles::AppendLine(const std::string& path, std::string_view line) {
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (file.get() < 0) return Failed("open", path);
  struct stat facts{};
  if (fstat(file.get(), &facts) != 0) return Failed("stat", path);
  char last = '\n';
  if (facts.st_size > 0 && pread(file.get(), &last, 1, facts.st_size - 1) != 1) return Failed("read", path);
  Status written = WriteAll(file.get(), Cat(last == '\n' ? "" : "\n", line, "\n"), path);
  if (written.ok() && fsync(file.get()) != 0) written = Failed("sync", path);
  if (!written.ok() && ftruncate(file.get(), facts.st_size) != 0) return Failed("take back what was written of", path);
  if (written.ok() && facts.st_size == 0) return SyncFolder(path);
  return written;
}

Status SystemFiles::WriteAtomically(const std::string& path, std::string_view bytes) {
  const std::string fresh = path + ".new";
  if (Status written = WriteDurably(fresh, bytes); !written.ok()) {
    unlink(fresh.c_str());  // a full disk gets its space back
    return written;
  }
  return Rename(fresh, path);
}

Status SystemFiles::Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) return Failed(Cat("rename ", from, " to"), to);
  return SyncFolder(to);
}

}  // namespace fairlead::io
