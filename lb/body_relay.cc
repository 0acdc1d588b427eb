#include "lb/body_relay.h"

#include <string>

namespace fairlead::lb {

using io::Chunk;
using io::IoResult;
using io::Stream;
using io::Task;

Task<IoResult> SendPiece(Stream& to, Chunk& piece, size_t bytes, size_t taken) {
  if (!piece.scarce()) {
    IoResult sent = co_await to.Send(piece.view().substr(0, bytes));
    piece.Skip(taken);
    co_return sent;
  }
  std::string copy(piece.view().substr(0, bytes));
  piece.Skip(taken);
  co_return co_await to.Send(copy);
}

Task<Relayed> RelayBody(io::Proactor& proactor, Stream& from, Chunk& in, Stream& to, BodyScan& scan, bool dechunk,
                        BodyLimits limits) {
  if (!scan.done()) from.socket()->ReceiveOnDemand(true);
  while (!scan.done()) {
    if (in.empty()) {
      from.SetDeadline(proactor.Now() + limits.silence);
      IoResult got = co_await from.Receive();
      if (got.timed_out()) co_return Relayed::kSourceTimedOut;
      if (got.ok() && got.is_end() && scan.ends_with_close()) co_return Relayed::kWhole;
      if (!got.ok() || got.is_end()) co_return Relayed::kSourceFailed;
      in = from.Take();
    }
    size_t content = 0;
    int64_t taken = dechunk ? scan.FeedDechunked(in.data(), in.size(), &content) : scan.Feed(in.view());
    if (taken < 0) co_return taken == BodyScan::kTooLarge ? Relayed::kTooLarge : Relayed::kMalformed;
    if (!dechunk) content = static_cast<size_t>(taken);
    if (content == 0) {
      in.Skip(static_cast<size_t>(taken));
      continue;
    }
    Task<IoResult> sending = SendPiece(to, in, content, static_cast<size_t>(taken));
    IoResult sent = limits.stuck == kNever ? co_await sending
                                           : co_await io::WithDeadline<IoResult>(
                                                 proactor, proactor.Now() + limits.stuck, std::move(sending));
    if (!sent.ok()) co_return sent.timed_out() ? Relayed::kSinkTimedOut : Relayed::kSinkFailed;
  }
  from.socket()->ReceiveOnDemand(false);
  co_return Relayed::kWhole;
}

}  // namespace fairlead::lb
