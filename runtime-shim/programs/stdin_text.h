// All of standard input, for the programs that engines give a JSON object there.
#pragma once

#include <unistd.h>

#include <string>
#include <string_view>

namespace fairlead::programs {

inline constexpr size_t kMaxStdin = 1 << 20;  // bytes; what is longer is cut, and then is no JSON any more

inline std::string ReadStdin() {
  std::string text;
  char piece[16 << 10];
  for (ssize_t bytes; text.size() < kMaxStdin && (bytes = read(STDIN_FILENO, piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<size_t>(bytes));
  return text;
}

// Whole, or the reader has gone.
inline void WriteStdout(std::string_view text) {
  while (!text.empty()) {
    const ssize_t bytes = write(STDOUT_FILENO, text.data(), text.size());
    if (bytes <= 0) return;
    text.remove_prefix(static_cast<size_t>(bytes));
  }
}

}  // namespace fairlead::programs
