#include "base/sim/sim_files.h"

#include <cerrno>
#include <utility>

namespace fairlead::sim {

Status SimFiles::Lost(std::string_view what, const std::string& path) {
  return Unavailable(what, " ", path, ": the host is down");
}

StatusOr<std::string> SimFiles::Read(const std::string& path) {
  if (down_) return Lost("read", path);
  auto found = files_.find(path);
  if (found == files_.end()) return NotFound("there is no file ", path);
  return found->second;
}

Status SimFiles::Crashes(const std::string& path) {
  down_ = true;
  return Lost("write", path);
}

// The steps of SystemFiles: write and sync the temporary file, rename, sync the folder.
Status SimFiles::WriteAtomically(const std::string& path, std::string_view bytes) {
  if (down_) return Lost("write", path);
  const CrashPoint crash = std::exchange(crash_at_, CrashPoint::kNone);
  const std::string fresh = path + ".new";
  if (full_) return ErrnoStatus(ENOSPC, Cat("write ", fresh));
  if (crash == CrashPoint::kInTheTemporaryFile) {
    files_[fresh] = std::string(bytes.substr(0, random_.Below(bytes.size() + 1)));
    return Crashes(path);
  }
  files_[fresh] = std::string(bytes);
  if (crash == CrashPoint::kBeforeRename) return Crashes(path);
  // Before the folder is synced, the rename may be on the disk or not.
  if (crash == CrashPoint::kBeforeFolderSync && random_.OneIn(2)) return Crashes(path);
  files_[path] = std::move(files_.extract(fresh).mapped());
  if (crash == CrashPoint::kBeforeFolderSync || crash == CrashPoint::kAfterwards) return Crashes(path);
  ++writes_;
  return OkStatus();
}

Status SimFiles::Rename(const std::string& from, const std::string& to) {
  if (down_) return Lost("rename", from);
  auto file = files_.extract(from);
  if (file.empty()) return ErrnoStatus(ENOENT, Cat("rename ", from, " to ", to));
  files_[to] = std::move(file.mapped());
  return OkStatus();
}

Status SimFiles::AppendLine(const std::string& path, std::string_view line) {
  if (down_) return Lost("write", path);
  if (full_) return ErrnoStatus(ENOSPC, Cat("write ", path));
  const CrashPoint crash = std::exchange(crash_at_, CrashPoint::kNone);
  std::string& bytes = files_[path];
  if (!bytes.empty() && bytes.back() != '\n') bytes += '\n';
  bytes += crash == CrashPoint::kInTheTemporaryFile ? std::string(line.substr(0, random_.Below(line.size() + 1))) : Cat(line, "\n");
  if (crash != CrashPoint::kNone) return Crashes(path);
  ++writes_;
  return OkStatus();
}

StatusOr<std::string> SimFiles::ReadTail(const std::string& path, size_t max_bytes) {
  ASSIGN_OR_RETURN(std::string bytes, Read(path));
  return bytes.size() <= max_bytes ? bytes : bytes.substr(bytes.size() - max_bytes);
}

void SimFiles::FlipByte(const std::string& path) {
  std::string& bytes = files_.at(path);
  CHECK(!bytes.empty());
  bytes[random_.Below(bytes.size())] ^= static_cast<char>(1 << random_.Below(8));
}

}  // namespace fairlead::sim
