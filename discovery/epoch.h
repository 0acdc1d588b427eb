// The epoch of an agent's catalog: a counter in its state directory, higher at every start.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace fairlead::io {
class Files;
}

namespace fairlead::discovery {

// Reads the counter, stores the next one durably and gives it. It never falls below the wall clock's seconds, so that a
// state directory that was lost or restored from an old copy still begins an epoch that consumers take as newer.
// Blocking: at start, or through Offload.
StatusOr<uint64_t> NextEpoch(io::Files& files, const Clock& clock, const std::string& path);

}  // namespace fairlead::discovery
