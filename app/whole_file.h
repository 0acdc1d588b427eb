// Files that commands read and write as a whole. The calling thread waits for the disk: not for the agent's worker.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/status.h"

namespace fairlead::app {

// The content; nothing when there is no such file.
StatusOr<std::optional<std::string>> ReadWhole(const std::string& file);
// Whole or not at all: a new file in its place, with owner and permissions of the old one; `mode` is for a first one.
Status WriteWhole(const std::string& file, const std::string& text, mode_t mode = 0644);

}  // namespace fairlead::app
