// SimFiles: the disk of one host. Whole files; what a call has made durable survives a crash, what it was in the middle
// of does not. A crash may strike at any step of a write; from then on every call fails until Restart().
#pragma once

#include <map>
#include <string>

#include "base/io/files.h"
#include "base/random.h"

namespace fairlead::sim {

class SimFiles final : public io::Files {
 public:
  // Where in the next write the power fails. An appended line is torn by kInTheTemporaryFile, and whole with the others.
  enum class CrashPoint { kNone, kInTheTemporaryFile, kBeforeRename, kBeforeFolderSync, kAfterwards };

  explicit SimFiles(Random& random) : random_(random) {}
  StatusOr<std::string> Read(const std::string& path) override;
  Status WriteAtomically(const std::string& path, std::string_view bytes) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status AppendLine(const std::string& path, std::string_view line) override;
  StatusOr<std::string> ReadTail(const std::string& path, size_t max_bytes) override;

  void CrashAt(CrashPoint point) { crash_at_ = point; }
  void CrashNow() { down_ = true; }
  void Restart() { down_ = false; }
  bool down() const { return down_; }
  void SetFull(bool full) { full_ = full; }
  void FlipByte(const std::string& path);               // a byte of the seed's choice; the file is not empty
  void Put(const std::string& path, std::string bytes) { files_[path] = std::move(bytes); }
  const std::map<std::string, std::string>& files() const { return files_; }
  uint64_t writes() const { return writes_; }           // that succeeded

 private:
  Status Lost(std::string_view what, const std::string& path);
  Status Crashes(const std::string& path);

  Random& random_;
  std::map<std::string, std::string> files_;            // durable
  CrashPoint crash_at_ = CrashPoint::kNone;
  bool down_ = false, full_ = false;
  uint64_t writes_ = 0;
};

}  // namespace fairlead::sim
