// Completion of commands and flags for shells, made from the command line's own description: what CLI11 takes is what
// the shell offers. Values (names of pools, files) are left to the shell's own completion of files.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

#include "base/status.h"

namespace fairlead::app {

inline constexpr std::string_view kShells[] = {"bash", "zsh", "fish"};

// The script for `shell`; InvalidArgument for one that there is not.
StatusOr<std::string> CompletionScript(const CLI::App& root, std::string_view shell);

}  // namespace fairlead::app
