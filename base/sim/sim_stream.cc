#include "base/sim/sim_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace fairlead::sim {
namespace {

constexpr Nanos kRepeatAfter = 200 * kMillisecond;
constexpr Nanos kGiveUp = 15 * kMinute;

}  // namespace

size_t Connection::Write(int end, const char* data, size_t bytes) {
  End& from = ends_[end];
  CHECK(!from.closed && !from.finished && from.error == 0);
  size_t taken = std::min(bytes, writable(end));
  from.unread += taken;
  for (size_t at = 0; at < taken; at += kSegmentBytes) {
    if (world_.Occurs(world_.faults.resets, world_.counts.resets)) {
      Break();
      return taken;
    }
    Launch(end, std::string(data + at, std::min(kSegmentBytes, taken - at)), false);
  }
  return taken;
}

void Connection::Launch(int from, std::string bytes, bool fin) {
  End& sender = ends_[from];
  Nanos delay = world_.network().Delay(*sender.host, *ends_[1 - from].host);
  if (world_.Occurs(world_.faults.stalls, world_.counts.stalls)) delay += world_.UpTo(world_.faults.stall);
  sender.last_arrival = std::max(sender.last_arrival, world_.Now() + delay);
  sender.flying.push_back({std::move(bytes), fin, sender.last_arrival, world_.Now()});
  if (sender.flying.size() == 1) Expect(from);
}

void Connection::Expect(int from) {
  world_.After(ends_[from].flying.front().arrives - world_.Now(),
               [self = shared_from_this(), from] { self->Arrive(from); });
}

// The front segment is at the other end, or was lost on the way. One such event is on its way while any is flying, but
// a reset empties the queue under it.
void Connection::Arrive(int from) {
  End& sender = ends_[from];
  if (sender.flying.empty() || sender.flying.front().arrives > world_.Now()) return;
  if (world_.network().Loses(*sender.host, *ends_[1 - from].host)) {
    Segment& lost = sender.flying.front();
    if (world_.Now() - lost.first_sent > kGiveUp) return Fail(from, ETIMEDOUT);
    lost.arrives = world_.Now() + kRepeatAfter;
    return Expect(from);
  }
  Segment segment = std::move(sender.flying.front());
  sender.flying.pop_front();
  if (!sender.flying.empty()) {
    sender.flying.front().arrives = std::max(sender.flying.front().arrives, world_.Now());
    Expect(from);
  }
  Apply(from, std::move(segment));
}

void Connection::Apply(int from, Segment segment) {
  End& receiver = ends_[1 - from];
  if (receiver.error != 0) return;
  if (receiver.closed) {
    if (!segment.fin) SendReset(1 - from);
    return;
  }
  world_.Trace(segment.bytes.size() << 1 | (segment.fin ? 1 : 0));
  receiver.arrived += segment.bytes;
  if (segment.fin) receiver.peer_finished = true;
  Changed(1 - from);
}

size_t Connection::Read(int end, uint8_t* into, size_t room) {
  End& e = ends_[end];
  size_t bytes = std::min(room, readable(end));
  std::memcpy(into, e.arrived.data() + e.read, bytes);
  e.read += bytes;
  if (e.read == e.arrived.size()) {
    e.arrived.clear();
    e.read = 0;
  }
  Acknowledge(end, bytes, world_.network().Delay(*e.host, *ends_[1 - end].host));
  return bytes;
}

void Connection::Acknowledge(int reader, size_t bytes, Nanos delay) {
  world_.After(delay, [self = shared_from_this(), reader, bytes] {
    End& writer = self->ends_[1 - reader];
    if (writer.error != 0) return;
    if (self->world_.network().Loses(*self->ends_[reader].host, *writer.host))
      return self->Acknowledge(reader, bytes, kRepeatAfter);
    writer.unread -= bytes;
    self->Changed(1 - reader);
  });
}

void Connection::FinishWriting(int end) {
  End& e = ends_[end];
  if (e.finished || e.error != 0) return;
  e.finished = true;
  Launch(end, {}, true);
}

void Connection::Close(int end) {
  if (ends_[end].closed) return;
  if (readable(end) > 0) return Reset(end);
  FinishWriting(end);
  ends_[end].closed = true;
  ends_[end].watcher = nullptr;
}

void Connection::Reset(int end) {
  End& e = ends_[end];
  if (e.closed) return;
  if (e.error == 0) SendReset(end);
  e.closed = true;
  e.watcher = nullptr;
}

void Connection::Vanish(int end) {
  End& e = ends_[end];
  e.closed = true;
  e.watcher = nullptr;
  e.flying.clear();
}

void Connection::Break() {
  for (int end : {0, 1}) {
    ends_[end].flying.clear();
    world_.After(world_.network().Delay(*ends_[0].host, *ends_[1].host),
                 [self = shared_from_this(), end] { self->Fail(end, ECONNRESET); });
  }
}

// Behind what was sent, and not repeated when lost: the other end learns of it when it sends.
void Connection::SendReset(int from) {
  End& sender = ends_[from];
  Nanos arrives = std::max(sender.last_arrival,
                           world_.Now() + world_.network().Delay(*sender.host, *ends_[1 - from].host));
  world_.After(arrives - world_.Now(), [self = shared_from_this(), from] {
    if (self->world_.network().Loses(*self->ends_[from].host, *self->ends_[1 - from].host)) return;
    self->ends_[from].flying.clear();
    self->Fail(1 - from, ECONNRESET);
  });
}

void Connection::Fail(int end, int error) {
  End& e = ends_[end];
  if (e.error != 0) return;
  world_.Trace(static_cast<uint64_t>(error));
  e.error = error;
  e.flying.clear();
  Changed(end);
}

void Connection::Changed(int end) {
  if (ends_[end].watcher != nullptr) ends_[end].watcher->OnStreamChange();
}

}  // namespace fairlead::sim
