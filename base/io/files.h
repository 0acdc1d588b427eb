// Files: small files of our own (state, counters), read and replaced whole. Blocking: at start, or through Offload.
// Thread-safe for different paths. Errors name the path.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace fairlead::io {

class Files {
 public:
  virtual ~Files() = default;
  virtual StatusOr<std::string> Read(const std::string& path) = 0;  // kNotFound: there is none
  // Old or new content, never a mixture, also after a crash; durable when it returns.
  virtual Status WriteAtomically(const std::string& path, std::string_view bytes) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  // Adds `line` and a newline at the end: all of it or nothing, durable when it returns. Makes the file (0600) where
  // there is none. A line that a crash tore is ended first.
  virtual Status AppendLine(const std::string& path, std::string_view line) = 0;
  // At most the last `max_bytes` of the file. kNotFound: there is none.
  virtual StatusOr<std::string> ReadTail(const std::string& path, size_t max_bytes) = 0;
};

class SystemFiles final : public Files {
 public:
  StatusOr<std::string> Read(const std::string& path) override;
  Status WriteAtomically(const std::string& path, std::string_view bytes) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status AppendLine(const std::string& path, std::string_view line) override;
  StatusOr<std::string> ReadTail(const std::string& path, size_t max_bytes) override;
};

}  // namespace fairlead::io
