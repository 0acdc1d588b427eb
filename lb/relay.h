// Relay: bytes both ways between two connections, untouched: TCP services, and HTTP connections after an upgrade.
//
// - Back-pressure: a side is read only as fast as the other takes. A reader that is stuck costs one piece of memory.
// - Bulk is not copied: after some large pieces a flow goes through a pipe inside the kernel (base/io/splice.h), which
//   is then the one piece, until it brings small pieces again.
// - Half-close: the end of one side is passed on by shutting down the other's input; the other direction goes on.
// - A reset (RFC 9293 §3.5.3) or any other broken connection is passed on as a reset, after what had been received: who
//   got half must not take it for the whole.
// - Silence: nothing received and nothing taken in either direction for so long ends both.
#pragma once

#include "base/io/stream.h"
#include "base/metrics.h"

namespace fairlead::lb {

enum class RelayEnd : uint8_t {
  kFinished,   // both sides had ended, everything was passed on
  kReset,      // one side broke: so did the other
  kSilent,
  kCancelled,  // from outside, by its scope
};

struct RelayOptions {
  Nanos silence = kHour;
  Counter* a_to_b = nullptr;  // bytes passed on; may be null
  Counter* b_to_a = nullptr;
};

// Runs until both directions have ended; then both streams are closed. They outlive the task. `from_a` and `from_b` are
// what was received already and is to be passed on first.
io::Task<RelayEnd> RelayBothWays(io::Stream& a, io::Stream& b, RelayOptions options, io::Chunk from_a = {},
                                 io::Chunk from_b = {});

}  // namespace fairlead::lb
