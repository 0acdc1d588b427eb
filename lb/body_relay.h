// Moves a message's body from one connection to the other, piece by piece: a piece is sent before the next one is
// received, so a slow receiver slows its sender and costs no memory.
#pragma once

#include "base/io/stream.h"
#include "lb/body_scan.h"

namespace fairlead::lb {

enum class Relayed : uint8_t {
  kWhole, kSourceFailed, kSourceTimedOut, kMalformed, kTooLarge, kSinkFailed, kSinkTimedOut,
};

// Sends the first `bytes` of the piece and drops `taken` from its front. Where buffers are scarce the bytes are copied
// first: a receiver that takes nothing must not keep the buffers that everybody's receives need.
io::Task<io::IoResult> SendPiece(io::Stream& to, io::Chunk& piece, size_t bytes, size_t taken);

// How long the source may say nothing and the sink take nothing of a piece (kNever: its socket has a limit of its own).
struct BodyLimits {
  Nanos silence;
  Nanos stuck = kNever;
};

// `in` may hold the body's first bytes, and afterwards holds what follows it. `dechunk`: only the content goes on.
io::Task<Relayed> RelayBody(io::Proactor& proactor, io::Stream& from, io::Chunk& in, io::Stream& to, BodyScan& scan,
                            bool dechunk, BodyLimits limits);

}  // namespace fairlead::lb
