#include "discovery/epoch.h"

#include <algorithm>

#include "base/io/files.h"

namespace fairlead::discovery {

StatusOr<uint64_t> NextEpoch(io::Files& files, const Clock& clock, const std::string& path) {
  uint64_t last = 0;
  StatusOr<std::string> stored = files.Read(path);
  if (stored.ok()) {
    const auto number = ParseNumber<uint64_t>(Trim(std::string_view(*stored).substr(0, stored->find('\n'))));
    // The wall clock stands in for a counter that cannot be read: nothing is lost but the file's own evidence.
    if (number) last = *number;
  } else if (stored.status().code() != StatusCode::kNotFound) {
    return stored.status();
  }
  const uint64_t epoch = std::max(last + 1, static_cast<uint64_t>(std::max<Nanos>(clock.WallNow(), 0) / kSecond));
  RETURN_IF_ERROR(files.WriteAtomically(path, Cat(epoch, "\n")));
  return epoch;
}

}  // namespace fairlead::discovery
