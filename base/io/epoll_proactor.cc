#include "base/io/epoll_proactor.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace fairlead::io {
namespace {

constexpr int kEventsPerTurn = 512;
constexpr int kTriesPerTurn = 32;  // accepts or pieces of one descriptor, then the others have their turn
constexpr uint32_t kEdges = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

}  // namespace

StatusOr<std::unique_ptr<EpollProactor>> EpollProactor::Create(const Clock& clock, const EpollOptions& options) {
  std::unique_ptr<EpollProactor> proactor(new EpollProactor(clock));
  RETURN_IF_ERROR(proactor->SetUp(options));
  return proactor;
}

Status EpollProactor::SetUp(const EpollOptions& options) {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return ErrnoStatus(errno, "epoll_create1");
  RETURN_IF_ERROR(MapBuffers(options.buffers));
  for (size_t g = 0; g < kBufferGroups; g++)
    for (uint16_t id = groups_[g].memory.count(); id > 0; id--)
      free_buffers_[g].push_back(static_cast<uint16_t>(id - 1));
  return OpenWake();
}

EpollProactor::~EpollProactor() {
  while (epoll_fd_ >= 0 && stats.orphans > 0) Turn(10 * kMillisecond);
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

// --- operations

EpollProactor::Descriptor& EpollProactor::At(int fd) {
  CHECK(fd >= 0);
  while (table_.size() <= static_cast<size_t>(fd)) table_.emplace_back();
  return table_[static_cast<size_t>(fd)];
}

EpollProactor::Side& EpollProactor::Begin(int fd, Direction direction, Kind kind, Operation& op) {
  ++stats.submissions;
  Side& side = At(fd).side(direction);
  CHECK(side.op == nullptr);
  side.op = &op;
  side.kind = kind;
  ++side.serial;
  CHECK(in_flight_.try_emplace(&op, fd, direction).second);
  return side;
}

bool EpollProactor::Control(int command, int fd, uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  return epoll_ctl(epoll_fd_, command, fd, &event) == 0;
}

// False, and errno, where the descriptor cannot be waited for. A library may have closed a descriptor of this number
// behind our back, or waited for this one before: so both ways are tried.
bool EpollProactor::Register(int fd) {
  Descriptor& descriptor = At(fd);
  if (!descriptor.registered)
    descriptor.registered =
        Control(EPOLL_CTL_ADD, fd, kEdges) || (errno == EEXIST && Control(EPOLL_CTL_MOD, fd, kEdges));
  return descriptor.registered;
}

void EpollProactor::TryLater(int fd, Direction direction) {
  Side& side = At(fd).side(direction);
  if (side.queued) return;
  side.queued = true;
  to_try_.push_back({fd, direction});
}

Operation* EpollProactor::End(Side& side) {
  Operation* op = std::exchange(side.op, nullptr);
  ++side.serial;
  in_flight_.erase(op);
  return op;
}

void EpollProactor::FinishLater(Side& side, int32_t result) {
  finished_.push_back({End(side), Completion{.result = result}});
}

void EpollProactor::Finish(Side& side, const Completion& completion) {
  ++stats.completions;
  End(side)->Complete(completion);
}

void EpollProactor::Accept(int listener, Operation& op) {
  Side& side = Begin(listener, Direction::kIn, Kind::kAccept, op);
  if (!Register(listener)) return FinishLater(side, -errno);
  if (side.ready) TryLater(listener, Direction::kIn);
}

void EpollProactor::Receive(int fd, BufferGroup group, bool multishot, Operation& op) {
  Side& side = Begin(fd, Direction::kIn, Kind::kReceive, op);
  side.group = group;
  side.multishot = multishot;
  if (!Register(fd)) return FinishLater(side, -errno);
  if (side.ready) TryLater(fd, Direction::kIn);
}

void EpollProactor::Send(int fd, const void* data, size_t bytes, Operation& op) {
  Side& side = Begin(fd, Direction::kOut, Kind::kSend, op);
  side.data = static_cast<const char*>(data);
  side.bytes = std::min<size_t>(bytes, 1 << 30);  // a result is an int: SendOperation sends the rest afterwards
  side.sent = 0;
  if (!Register(fd)) return FinishLater(side, -errno);
  if (side.ready) TryLater(fd, Direction::kOut);
}

void EpollProactor::SendSome(int fd, const void* data, size_t bytes, Operation& op) {
  FinishLater(Begin(fd, Direction::kOut, Kind::kSend, op), TrySend(fd, data, bytes));
}

void EpollProactor::Connect(int fd, const SocketAddress& address, Operation& op) {
  Side& side = Begin(fd, Direction::kOut, Kind::kConnect, op);
  side.address = &address;
  if (connect(fd, address.raw(), address.size()) == 0) return FinishLater(side, 0);
  if (errno != EINPROGRESS) return FinishLater(side, -errno);
  side.ready = false;
  if (!Register(fd)) FinishLater(side, -errno);
}

// Level triggered and once: the descriptor may be a library's, which reads and closes it as it likes.
void EpollProactor::WaitReadable(int fd, Operation& op) {
  Side& side = Begin(fd, Direction::kIn, Kind::kReady, op);
  At(fd).registered = false;
  constexpr uint32_t kOnce = EPOLLIN | EPOLLONESHOT;
  if (!Control(EPOLL_CTL_MOD, fd, kOnce) && (errno != ENOENT || !Control(EPOLL_CTL_ADD, fd, kOnce)))
    FinishLater(side, -errno);
}

// Only EAGAIN tells that nothing is there: a pipe is also full when its places are, whatever they hold.
int EpollProactor::SpliceIn(int fd, Pipe& pipe) {
  int result = KernelProactor::SpliceIn(fd, pipe);
  if (result == -EAGAIN) At(fd).in.ready = false;
  return result;
}

int EpollProactor::SpliceOut(Pipe& pipe, int fd) {
  int result = KernelProactor::SpliceOut(pipe, fd);
  if (result == -EAGAIN) At(fd).out.ready = false;
  return result;
}

void EpollProactor::WaitStream(int fd, StreamSide which, Operation& op) {
  Side& side = Begin(fd, which, Kind::kReady, op);
  if (!Register(fd)) return FinishLater(side, -errno);
  if (side.ready) TryLater(fd, which);
}

void EpollProactor::Cancel(Operation& op) {
  ++stats.cancels;
  auto found = in_flight_.find(&op);
  if (found == in_flight_.end()) return;  // it has its result: success beats cancel
  Place place = found->second;
  FinishLater(At(place.fd).side(place.direction), -ECANCELED);
}

void EpollProactor::Close(int fd) {
  Descriptor& descriptor = At(fd);
  CHECK(descriptor.in.op == nullptr && descriptor.out.op == nullptr);
  descriptor.registered = descriptor.hangup = false;
  descriptor.in.ready = descriptor.out.ready = true;
  close(fd);
}

// A cancel takes its operation from the descriptor at once, so nothing is left to wait for.
void EpollProactor::CloseLater(int fd) { Close(fd); }

void EpollProactor::ResetLater(int fd) {
  SetReset(fd);
  Close(fd);
}

void EpollProactor::ReturnBuffer(BufferGroup group, uint16_t id) {
  free_buffers_[Index(group)].push_back(id);
  --groups_[Index(group)].out;
}

// --- the loop

void EpollProactor::Turn(Nanos max_wait) {
  WaitForEvents(finished_.empty() && to_try_.empty() ? WaitTime(max_wait) : 0);
  UpdateNow();
  DeliverFinished();
  TryReady();
  FinishTurn();
}

void EpollProactor::WaitForEvents(Nanos wait) {
  // Milliseconds, rounded up: a timer must not find the loop spinning before its time.
  int timeout = wait > INT_MAX * (kMillisecond / 2) ? -1 : static_cast<int>((wait + kMillisecond - 1) / kMillisecond);
  epoll_event events[kEventsPerTurn];
  ++stats.enters;
  int count = epoll_wait(epoll_fd_, events, kEventsPerTurn, timeout);
  CHECK(count >= 0 || errno == EINTR);
  for (int i = 0; i < count; i++) {
    Descriptor& descriptor = At(events[i].data.fd);
    uint32_t what = events[i].events;
    if ((what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) descriptor.hangup = true;
    if ((what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
      descriptor.in.ready = true;
      if (descriptor.in.op != nullptr) TryLater(events[i].data.fd, Direction::kIn);
    }
    if ((what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
      descriptor.out.ready = true;
      if (descriptor.out.op != nullptr) TryLater(events[i].data.fd, Direction::kOut);
    }
  }
}

void EpollProactor::DeliverFinished() {
  delivering_.swap(finished_);
  for (const Finished& finished : delivering_) {
    ++stats.completions;
    finished.op->Complete(finished.completion);
  }
  delivering_.clear();
}

void EpollProactor::TryReady() {
  trying_.swap(to_try_);
  for (Place place : trying_) {
    Descriptor& descriptor = At(place.fd);
    Side& side = descriptor.side(place.direction);
    side.queued = false;
    if (side.op == nullptr || !side.ready) continue;
    switch (side.kind) {
      case Kind::kAccept: TryAccept(place.fd, side); break;
      case Kind::kReceive: TryReceive(place.fd, descriptor); break;
      case Kind::kReady: Finish(side, {.result = 0}); break;
      case Kind::kConnect: TryConnect(place.fd, side); break;
      case Kind::kSend: TrySendRest(place.fd, side); break;
    }
  }
  trying_.clear();
}

void EpollProactor::TryAccept(int fd, Side& side) {
  const uint32_t serial = side.serial;
  for (int i = 0; i < kTriesPerTurn; i++) {
    int accepted = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted < 0 && errno == EINTR) continue;
    if (accepted < 0 && errno == EAGAIN) {
      side.ready = false;
      return;
    }
    if (accepted < 0) return Finish(side, {.result = -errno});
    ++stats.completions;
    side.op->Complete({.result = accepted, .more = true});
    if (side.serial != serial) return;
  }
  TryLater(fd, Direction::kIn);
}

void EpollProactor::TryReceive(int fd, Descriptor& descriptor) {
  Side& side = descriptor.in;
  const uint32_t serial = side.serial;
  const BufferGroup group = side.group;
  std::vector<uint16_t>& free_buffers = free_buffers_[Index(group)];
  for (int i = 0; i < kTriesPerTurn; i++) {
    if (free_buffers.empty()) return Finish(side, {.result = -ENOBUFS});
    uint16_t id = free_buffers.back();
    ssize_t got = recv(fd, Buffer(group, id), BufferBytes(group), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      side.ready = false;
      return;
    }
    if (got <= 0) return Finish(side, {.result = got < 0 ? -errno : 0});
    free_buffers.pop_back();
    ++groups_[Index(group)].out;
    // A short piece was all there is, and more of it makes an edge; but an end that came with it made its edge already.
    if (got < BufferBytes(group) && !descriptor.hangup) side.ready = false;
    Completion piece{.result = static_cast<int32_t>(got), .more = side.multishot, .has_buffer = true, .buffer = id};
    if (!side.multishot) return Finish(side, piece);
    ++stats.completions;
    side.op->Complete(piece);
    if (side.serial != serial || !side.ready) return;
  }
  TryLater(fd, Direction::kIn);
}

// Ready may be an edge from before the connect: asking again tells.
void EpollProactor::TryConnect(int fd, Side& side) {
  if (connect(fd, side.address->raw(), side.address->size()) == 0 || errno == EISCONN)
    return Finish(side, {.result = 0});
  if (errno == EALREADY || errno == EINPROGRESS) {
    side.ready = false;
    return;
  }
  Finish(side, {.result = -errno});
}

void EpollProactor::TrySendRest(int fd, Side& side) {
  for (;;) {
    ssize_t sent = send(fd, side.data + side.sent, side.bytes - side.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      side.ready = false;
      return;
    }
    if (sent < 0) return Finish(side, {.result = -errno});
    ++stats.ring_sends;
    side.sent += static_cast<size_t>(sent);
    if (side.sent == side.bytes) return Finish(side, {.result = static_cast<int32_t>(side.bytes)});
  }
}

}  // namespace fairlead::io
