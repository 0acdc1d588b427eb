#include "lb/relay.h"

#include <optional>
#include <string>

#include "base/io/event.h"
#include "base/io/splice.h"
#include "lb/body_relay.h"

namespace fairlead::lb {

using io::Chunk;
using io::IoResult;
using io::Stream;
using io::Task;

namespace {

// A flow is received on demand, so that it never holds more than the piece in hand; a standing receive brings up to 32
// pieces in one turn, before anybody could stop it. After so many small messages in a row, each taken at once, a flow
// gets its standing receive, which is cheaper, until the first piece that is larger or stuck.
constexpr size_t kBulkPiece = 16 << 10;
constexpr int kSmallInARow = 4;
// After so many large pieces in a row the bytes pass from socket to socket by splice(2) and are not copied any more, until
// the flow brings small ones again. Nothing is held between two fillings of a pipe, so an idle flow costs no more for it.
constexpr int kLargeInARow = 4;
// What is still read, and dropped, of a side whose peer has said all it wanted and takes no more.
constexpr Nanos kLinger = 1 * kSecond;
constexpr size_t kLingerBytes = 256 << 10;

class Relay {
 public:
  Relay(Stream& a, Stream& b, const RelayOptions& options)
      : proactor_(a.socket()->proactor()),
        sides_{{a, proactor_, options.a_to_b}, {b, proactor_, options.b_to_a}},
        last_activity_(proactor_.Now()) {}

  Task<RelayEnd> BothWays(Chunk from_a, Chunk from_b) {
    auto race = co_await io::Race<RelayEnd, RelayEnd>(Pump(sides_[0], sides_[1], std::move(from_a)),
                                                      Pump(sides_[1], sides_[0], std::move(from_b)));
    co_return race.winner == 0 ? *race.a : *race.b;
  }
  void Close(RelayEnd end) {
    for (Side& side : sides_) {
      // Idle connections end politely; where bytes are stuck, or might have followed, an end would look like the whole.
      bool polite = end == RelayEnd::kFinished || (end == RelayEnd::kSilent && sending_ == 0);
      polite ? side.stream.Close() : side.stream.Reset();
    }
  }
  const Nanos& last_activity() const { return last_activity_; }

 private:
  struct Side {
    Side(Stream& s, io::Proactor& proactor, Counter* bytes) : stream(s), passed_on(bytes), ended(proactor) {}
    int fd() const { return stream.socket()->fd(); }

    Stream& stream;
    Counter* passed_on;
    io::Event ended;          // its FIN has come and was passed on
    bool sending_some = false;  // for at most a turn
    bool reset = false;       // as a send found out
  };

  static RelayEnd Failed(IoResult result) {
    return result.timed_out() ? RelayEnd::kSilent : result.cancelled() ? RelayEnd::kCancelled : RelayEnd::kReset;
  }

  // One direction. Whoever ends first ends the other too, so an end of its own waits for the other one's.
  Task<RelayEnd> Pump(Side& from, Side& to, Chunk piece) {
    bool on_demand = true;
    int small_in_a_row = 0, large_in_a_row = 0;
    from.stream.socket()->ReceiveOnDemand(true);
    for (;;) {
      if (piece.empty()) {
        if (large_in_a_row >= kLargeInARow && MaySplice(from, to)) {
          large_in_a_row = 0;
          if (std::optional<RelayEnd> end = co_await Splice(from, to)) co_return *end;
        }
        IoResult got = co_await from.stream.Receive();
        if (!got.ok()) co_return Failed(got);
        if (got.is_end()) {
          // A socket tells its error once. Where a send has taken that of a reset, the receive finds a mere end.
          while (from.sending_some) co_await io::Yield(proactor_);
          if (from.reset) co_return RelayEnd::kReset;
          break;
        }
        piece = from.stream.Take();
      }
      last_activity_ = proactor_.Now();
      size_t bytes = piece.size();
      to.sending_some = true;
      io::SendSomeOperation some = to.stream.SendSome(piece.view());
      size_t taken = co_await some;
      to.sending_some = false;
      NoteSendError(to, some.error());
      small_in_a_row = taken == bytes && bytes < kBulkPiece ? small_in_a_row + 1 : 0;
      large_in_a_row = bytes >= kBulkPiece ? large_in_a_row + 1 : 0;
      bool demand = small_in_a_row < kSmallInARow;
      if (demand != on_demand) from.stream.socket()->ReceiveOnDemand(on_demand = demand);
      piece.Skip(taken);
      if (!piece.empty()) {
        ++sending_;
        IoResult sent = co_await SendPiece(to.stream, piece, piece.size(), piece.size());
        if (!sent.ok() && (sent.timed_out() || sent.cancelled())) co_return Failed(sent);
        NoteSendError(to, sent.error());
        if (!sent.ok()) co_return co_await SinkFailed(from, to);
        --sending_;
        last_activity_ = proactor_.Now();
      }
      if (from.passed_on != nullptr) from.passed_on->Add(bytes);
    }
    to.stream.ShutdownWrite();
    from.ended.Set();
    IoResult other = co_await to.ended.Wait();
    co_return other.ok() ? RelayEnd::kFinished : Failed(other);
  }

  // EPIPE: it had ended in order before.
  static void NoteSendError(Side& to, int error) {
    if (error != 0 && error != EAGAIN && error != EPIPE && error != ECANCELED) to.reset = true;
  }

  bool MaySplice(const Side& from, const Side& to) {
    return from.stream.socket()->Spliceable() && !to.stream.secured() && proactor_.PrepareSplice(from.fd()) &&
           proactor_.PrepareSplice(to.fd());
  }

  // A pipeful at a time, then the others have their turn. Gives nothing when Receive() shall go on: the flow has become
  // small, or has ended, or there is no pipe.
  Task<std::optional<RelayEnd>> Splice(Side& from, Side& to) {
    for (int small_in_a_row = 0; small_in_a_row < kSmallInARow;) {
      IoResult readable = co_await io::StreamReady(proactor_, from.fd(), io::StreamSide::kIn);
      if (!readable.ok()) co_return Failed(readable);
      io::BorrowedPipe pipe(proactor_);
      if (!pipe) break;
      int got = pipe.Fill(from.fd());
      if (got == -EAGAIN) continue;
      if (got == 0) break;
      if (got < 0) co_return Failed(IoResult::FromKernel(got));
      small_in_a_row = got < static_cast<int>(kBulkPiece) ? small_in_a_row + 1 : 0;
      while (pipe.held() > 0) {
        last_activity_ = proactor_.Now();
        int sent = pipe.DrainTo(to.fd());
        if (sent > 0) {
          if (from.passed_on != nullptr) from.passed_on->Add(static_cast<uint64_t>(sent));
          continue;
        }
        ++sending_;
        NoteSendError(to, -sent);
        if (sent != -EAGAIN) co_return co_await SinkFailed(from, to);
        IoResult writable = co_await io::StreamReady(proactor_, to.fd(), io::StreamSide::kOut);
        if (!writable.ok()) co_return Failed(writable);
        --sending_;
      }
    }
    co_return std::nullopt;
  }

  // The sink takes no more. What it has sent still goes out the other way, whose end tells what this was: a reset, or an
  // orderly end of a side that does not care for the rest.
  Task<RelayEnd> SinkFailed(Side& from, Side& to) {
    IoResult other = co_await to.ended.Wait();
    if (!other.ok()) co_return Failed(other);
    // Closing now would reset the source and destroy what is still on its way to it.
    from.stream.SetDeadline(proactor_.Now() + kLinger);
    for (size_t dropped = 0; dropped < kLingerBytes;) {
      IoResult got = co_await from.stream.Receive();
      if (got.ok() && got.is_end()) co_return RelayEnd::kFinished;
      if (!got.ok()) break;
      dropped += from.stream.Take().size();
    }
    co_return RelayEnd::kReset;
  }

  io::Proactor& proactor_;
  Side sides_[2];
  Nanos last_activity_;
  int sending_ = 0;           // directions that wait for their sink, or whose sink failed
};

}  // namespace

Task<RelayEnd> RelayBothWays(Stream& a, Stream& b, RelayOptions options, Chunk from_a, Chunk from_b) {
  Relay relay(a, b, options);
  a.SetDeadline(kNever);
  b.SetDeadline(kNever);
  RelayEnd end = co_await io::WhileActive<RelayEnd>(a.socket()->proactor(), options.silence, relay.last_activity(),
                                                    relay.BothWays(std::move(from_a), std::move(from_b)));
  relay.Close(end);
  co_return end;
}

}  // namespace fairlead::lb
