// Faults: how often the simulated network and kernel fail, in thousandths of the occasions of each kind. A test may
// change them while the world runs. FaultCounts tells which of them occurred, so that a test can see that it met them.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace fairlead::sim {

struct Faults {
  // Of the kernel: legal at any time, merely rare on a quiet machine.
  uint32_t short_reads = 0;          // a piece is cut where the seed says
  uint32_t short_writes = 0;         // a send takes a part
  uint32_t late_completions = 0;     // the loop sees results up to `completion_delay` late, many at once
  uint32_t late_cancels = 0;         // a cancel takes up to `cancel_delay`: the result may come first
  uint32_t accept_failures = 0;      // EMFILE
  uint32_t buffer_shortages = 0;     // ENOBUFS with buffers free
  // Of the network.
  uint32_t resets = 0;               // of a connection, per segment
  uint32_t stalls = 0;               // a segment, and all behind it, is held up to `stall`
  uint32_t connects_refused = 0;
  uint32_t connects_lost = 0;        // a SYN; it is sent again a second later
  uint32_t datagrams_lost = 0;
  uint32_t datagrams_doubled = 0;
  uint32_t datagrams_reordered = 0;

  Nanos completion_delay = 2 * kMillisecond;
  Nanos cancel_delay = 2 * kMillisecond;
  Nanos stall = 500 * kMillisecond;

  static Faults All() {
    return {.short_reads = 200, .short_writes = 200, .late_completions = 100, .late_cancels = 300,
            .accept_failures = 20, .buffer_shortages = 20, .resets = 5, .stalls = 20, .connects_refused = 30,
            .connects_lost = 30, .datagrams_lost = 50, .datagrams_doubled = 50, .datagrams_reordered = 100};
  }
};

struct FaultCounts {
  uint64_t short_reads = 0, short_writes = 0, late_completions = 0, late_cancels = 0, accept_failures = 0;
  uint64_t buffer_shortages = 0, resets = 0, stalls = 0, connects_refused = 0, connects_lost = 0;
  uint64_t datagrams_lost = 0, datagrams_doubled = 0, datagrams_reordered = 0;
  uint64_t segments_lost = 0;        // by a link's loss or a partition: sent again later
  uint64_t cancels_too_late = 0;     // the success had come: it beats the cancel
};

}  // namespace fairlead::sim
