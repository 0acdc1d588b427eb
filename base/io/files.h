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
};

class SystemFiles final : public Files {
 public:
  StatusOr<std::string> Read(const std::string& path) override;
  Status WriteAtomically(const std::string& path, std::string_view bytes) override;
  Status Rename(const std::string& from, const std::string& to) override;
};

}  // namespace fairlead::io
