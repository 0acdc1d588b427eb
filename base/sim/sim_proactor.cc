#include "base/sim/sim_proactor.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "base/sim/descriptor.h"

namespace fairlead::sim {
namespace {

constexpr int kFirstDescriptor = 1'000'000;                 // no number of the kernel's
constexpr Nanos kCompletionJitter = 5 * kMicrosecond;       // of every result, so that some come in batches
constexpr Nanos kCancelJitter = 30 * kMicrosecond;

}  // namespace

SimProactor::SimProactor(SimWorld& world, const IpAddress& host, const SimProactorOptions& options)
    : Proactor(world.clock()),
      world_(world),
      host_(world.network().Host(host)),
      options_(options),
      next_fd_(kFirstDescriptor) {
  host_.down = false;
  for (size_t g = 0; g < io::kBufferGroups; g++) {
    groups_[g].memory.resize(size_t{options_.buffers[g].count} * options_.buffers[g].bytes);
    for (uint16_t id = 0; id < options_.buffers[g].count; id++) groups_[g].free.push_back(id);
    SizeReceived(static_cast<io::BufferGroup>(g), options_.buffers[g].count);
  }
  world_.Add(*this);
}

SimProactor::~SimProactor() {
  while (stats.orphans > 0) Turn(10 * kMillisecond);
  CHECK(pipes_.empty());
  CHECK(pending_.empty() && finished_.empty());  // whoever waits would be resumed by nobody
  Enter();                  // closes what was released
  while (!files_.empty()) CloseNow(TakeFile(files_.begin()->first), false);
  world_.Remove(*this);
}

void SimProactor::CrashNow(Crash crash) {
  if (crashed_) return;
  for (const auto& [fd, file] : files_) {
    if (crash == Crash::kHost && file->type == Descriptor::Type::kStream) file->connection->Vanish(file->end);
    CloseNow(file, false);
  }
  for (const Submission& s : submitted_)                    // released, and not yet closed
    if (s.file != nullptr) CloseNow(s.file, false);
  files_.clear();
  submitted_.clear();
  crashed_ = true;
  if (crash == Crash::kHost) host_.down = true;
  while (!pending_.empty()) Finish(pending_.begin()->second, -ECONNRESET);
}

// --- descriptors

SimProactor::File SimProactor::At(int fd) const {
  if (crashed_) return nullptr;
  auto found = files_.find(fd);
  CHECK(found != files_.end());  // used after Close(), or another proactor's
  return found->second;
}

SimProactor::File SimProactor::TakeFile(int fd) {
  File file = At(fd);
  files_.erase(fd);
  return file;
}

int SimProactor::Install(const File& file) {
  files_.emplace(next_fd_, file);
  return next_fd_++;
}

SimProactor::File SimProactor::NewFile(int family) { return std::make_shared<Descriptor>(*this, family); }

StatusOr<int> SimProactor::Listen(const SocketAddress& address, const io::ListenOptions& options) {
  std::string what = Cat("listen ", address.ToString());
  if (crashed_) return Unavailable(what, ": the process has crashed");
  File file = NewFile(address.family());
  file->type = Descriptor::Type::kListener;
  file->local = address;
  file->max_backlog = static_cast<size_t>(options.backlog) + 1;  // as Linux counts it
  int error = address.is_unix()
                  ? host_.BindPath(std::string(address.path()), options.replace_stale, *file)
                  : host_.Bind(Transport::kTcp, &file->local, options.reuse_port, /*free_bind=*/false, *file);
  if (error != 0) return ErrnoStatus(error, what);
  return Install(file);
}

Status SimProactor::CheckListenable(const SocketAddress& address) {
  std::string what = Cat("listen ", address.ToString());
  if (crashed_) return Unavailable(what, ": the process has crashed");
  File file = NewFile(address.family());
  file->local = address;
  int error = host_.Bind(Transport::kTcp, &file->local, /*reuse_port=*/true, /*free_bind=*/false, *file);
  host_.Unbind(*file);
  return error == 0 ? OkStatus() : ErrnoStatus(error, what);
}

StatusOr<int> SimProactor::OpenStream(int family) {
  if (crashed_) return Unavailable("open a stream socket: the process has crashed");
  return Install(NewFile(family));
}

StatusOr<int> SimProactor::OpenUdp(const SocketAddress& address, const io::UdpOptions& options) {
  std::string what = Cat("listen udp ", address.ToString());
  if (crashed_) return Unavailable(what, ": the process has crashed");
  File file = NewFile(address.family());
  file->type = Descriptor::Type::kUdp;
  file->local = address;
  if (int error = host_.Bind(Transport::kUdp, &file->local, options.reuse_port, options.free_bind, *file); error != 0)
    return ErrnoStatus(error, what);
  return Install(file);
}

StatusOr<int> SimProactor::AdoptListener(int fd) {
  auto found = files_.find(fd);
  if (found == files_.end() || found->second->type != Descriptor::Type::kListener)
    return InvalidArgument("descriptor ", fd, " is no listening stream socket");
  return fd;
}

SocketAddress SimProactor::LocalAddress(int fd) {
  File file = At(fd);
  return file == nullptr ? SocketAddress() : file->local;
}

SocketAddress SimProactor::PeerAddress(int fd) {
  File file = At(fd);
  if (file == nullptr || file->type != Descriptor::Type::kStream || file->connection->error(file->end) != 0) return {};
  return file->peer;
}

StatusOr<io::PeerCredentials> SimProactor::Credentials(int fd) {
  File file = At(fd);
  if (file == nullptr || file->family != AF_UNIX) return FailedPrecondition("only a unix socket tells who its peer is");
  return file->credentials;
}

void SimProactor::Close(int fd) {
  File file = TakeFile(fd);
  if (file == nullptr) return;
  CHECK(!file->busy());
  CloseNow(file, false);
}

void SimProactor::CloseLater(int fd) {
  if (File file = TakeFile(fd)) submitted_.push_back({Submission::What::kClose, 0, file});
}

void SimProactor::ResetLater(int fd) {
  if (File file = TakeFile(fd)) submitted_.push_back({Submission::What::kReset, 0, file});
}

void SimProactor::CloseNow(const File& file, bool reset) {
  if (!std::exchange(file->open, false)) return;
  switch (file->type) {
    case Descriptor::Type::kStream:
      if (reset) {
        file->connection->Reset(file->end);
      } else {
        file->connection->Close(file->end);
      }
      break;
    case Descriptor::Type::kListener:
      host_.Unbind(*file);
      for (Descriptor::Arrived& waiting : file->backlog) waiting.connection->Reset(1);
      file->backlog.clear();
      break;
    case Descriptor::Type::kUdp: host_.Unbind(*file); break;
    case Descriptor::Type::kUnconnected: break;
  }
}

// --- operations

SimProactor::Pending& SimProactor::Submit(int fd, Kind kind, io::Operation& op) {
  ++stats.submissions;
  const OperationId id = ++next_operation_;
  File file = At(fd);
  Pending& pending = pending_.emplace(id, Pending{.id = id, .kind = kind, .op = &op, .file = file}).first->second;
  CHECK(by_operation_.emplace(&op, id).second);
  submitted_.push_back({Submission::What::kBegin, id, nullptr});
  if (file == nullptr) return pending;
  uint64_t& side = kind == Kind::kSend || kind == Kind::kConnect || kind == Kind::kWritable ? file->out : file->in;
  CHECK(side == 0);  // one operation in flight per direction
  side = id;
  return pending;
}

void SimProactor::Accept(int listener, io::Operation& op) { Submit(listener, Kind::kAccept, op); }

void SimProactor::Connect(int fd, const SocketAddress& address, io::Operation& op) {
  Submit(fd, Kind::kConnect, op).address = &address;
}

void SimProactor::Receive(int fd, io::BufferGroup group, bool multishot, io::Operation& op) {
  Pending& pending = Submit(fd, Kind::kReceive, op);
  pending.group = group;
  pending.multishot = multishot;
}

void SimProactor::Send(int fd, const void* data, size_t bytes, io::Operation& op) {
  ++stats.ring_sends;
  Pending& pending = Submit(fd, Kind::kSend, op);
  pending.data = static_cast<const char*>(data);
  pending.bytes = std::min<size_t>(bytes, 1 << 30);
}

void SimProactor::SendSome(int fd, const void* data, size_t bytes, io::Operation& op) {
  Send(fd, data, bytes, op);
  pending_.at(by_operation_.at(&op)).some = true;
}

void SimProactor::WaitReadable(int fd, io::Operation& op) { Submit(fd, Kind::kReadable, op); }

int SimProactor::TrySend(int fd, const void* data, size_t bytes) {
  ++stats.inline_sends;
  File file = At(fd);
  if (file == nullptr || file->type != Descriptor::Type::kStream) return -ENOTCONN;
  CHECK(file->out == 0);
  Connection& connection = *file->connection;
  if (int error = connection.error(file->end); error != 0) return -error;
  if (connection.finished(file->end)) return -EPIPE;
  size_t taken = connection.Write(file->end, static_cast<const char*>(data), bytes);
  return taken == 0 && bytes > 0 ? -EAGAIN : static_cast<int>(taken);
}

void SimProactor::ShutdownWrite(int fd) {
  File file = At(fd);
  if (file == nullptr || file->type != Descriptor::Type::kStream) return;
  file->connection->FinishWriting(file->end);
  Progress(file);
}

void SimProactor::Cancel(io::Operation& op) {
  ++stats.cancels;
  auto found = by_operation_.find(&op);
  if (found == by_operation_.end()) {
    ++world_.counts.cancels_too_late;
    return;
  }
  pending_.at(found->second).cancel_asked = true;
  submitted_.push_back({Submission::What::kCancel, found->second, nullptr});
}

SimProactor::Pending* SimProactor::FindPending(OperationId id) {
  auto found = pending_.find(id);
  return found == pending_.end() ? nullptr : &found->second;
}

// Ends an operation: its completion waits for a turn.
void SimProactor::Finish(Pending& pending, const io::Completion& last) {
  const File file = pending.file;
  Complete(pending.op, last);
  if (file != nullptr) {
    if (file->in == pending.id) file->in = 0;
    if (file->out == pending.id) file->out = 0;
  }
  by_operation_.erase(pending.op);
  pending_.erase(pending.id);
  if (file != nullptr && file->closing && !file->busy()) CloseNow(file, file->reset_on_close);
}

void SimProactor::Complete(io::Operation* op, const io::Completion& completion) {
  world_.Trace(static_cast<uint64_t>(static_cast<uint32_t>(completion.result)) << 8 | host_.number());
  if (finished_.empty()) {
    Nanos late = world_.UpTo(kCompletionJitter);
    if (world_.Occurs(world_.faults.late_completions, world_.counts.late_completions))
      late += world_.UpTo(world_.faults.completion_delay);
    finished_due_ = world_.Now() + late;
  }
  finished_.push_back({op, completion});
}

// --- the loop

Nanos SimProactor::WakeTime() const {
  Nanos wait = WaitTime(kNever);
  Nanos work = wait == kNever ? kNever : Now() + wait;
  if (!submitted_.empty()) work = 0;
  if (!finished_.empty()) work = std::min(work, finished_due_);
  return std::max(work, busy_until_);
}

// Hands over what was submitted, in order.
void SimProactor::Enter() {
  std::deque<Submission> batch;
  batch.swap(submitted_);
  for (const Submission& s : batch) {
    switch (s.what) {
      case Submission::What::kBegin:
        if (Pending* pending = FindPending(s.id)) Begin(*pending);
        break;
      case Submission::What::kCancel: CancelPending(s.id); break;
      case Submission::What::kClose:
      case Submission::What::kReset:
        s.file->closing = true;
        s.file->reset_on_close = s.what == Submission::What::kReset;
        if (!s.file->busy()) CloseNow(s.file, s.file->reset_on_close);
        break;
    }
  }
}

void SimProactor::RunTurn() {
  ++stats.enters;
  Enter();
  UpdateNow();
  if (finished_due_ <= Now()) {
    std::deque<Finished> batch;
    batch.swap(finished_);
    stats.completions += batch.size();
    for (const Finished& finished : batch) finished.op->Complete(finished.completion);
  }
  FinishTurn();
}

void SimProactor::Begin(Pending& pending) {
  if (pending.file == nullptr) return Finish(pending, -ECONNRESET);
  if (pending.cancel_asked && world_.random().OneIn(2)) return Finish(pending, -ECANCELED);
  const File file = pending.file;  // `pending` may end in the call
  if (pending.kind == Kind::kConnect) return SendSyn(file, pending.id, 0);
  Progress(file);
}

// Within the jitter the operation may still succeed: success beats cancel.
void SimProactor::CancelPending(OperationId id) {
  Pending* pending = FindPending(id);
  if (pending == nullptr) {
    ++world_.counts.cancels_too_late;
    return;
  }
  if (world_.random().OneIn(2)) return Finish(*pending, -ECANCELED);
  Nanos delay = world_.UpTo(kCancelJitter);
  if (world_.Occurs(world_.faults.late_cancels, world_.counts.late_cancels))
    delay += world_.UpTo(world_.faults.cancel_delay);
  world_.After(delay, [this, id, weak = std::weak_ptr<Descriptor>(pending->file)] {
    File file = weak.lock();
    if (file == nullptr || !file->open) return;  // `this` may be gone with it
    if (Pending* late = FindPending(id)) {
      Finish(*late, -ECANCELED);
    } else {
      ++world_.counts.cancels_too_late;
    }
  });
}

void SimProactor::Progress(const File& file) {
  if (Pending* pending = FindPending(file->in)) {
    switch (pending->kind) {
      case Kind::kAccept: ProgressAccept(*pending); break;
      case Kind::kReceive: ProgressReceive(*pending); break;
      default: ProgressReadable(*pending); break;
    }
  }
  if (Pending* pending = FindPending(file->out)) {
    switch (pending->kind) {
      case Kind::kSend: ProgressSend(*pending); break;
      case Kind::kWritable: ProgressWritable(*pending); break;
      default: break;
    }
  }
}

void SimProactor::ProgressAccept(Pending& pending) {
  const File listener = pending.file;
  if (listener->type != Descriptor::Type::kListener) return Finish(pending, -EINVAL);
  while (!listener->backlog.empty()) {
    if (world_.Occurs(world_.faults.accept_failures, world_.counts.accept_failures)) return Finish(pending, -EMFILE);
    Descriptor::Arrived arrived = std::move(listener->backlog.front());
    listener->backlog.pop_front();
    File file = NewFile(listener->family);
    file->type = Descriptor::Type::kStream;
    file->connection = std::move(arrived.connection);
    file->end = 1;
    file->local = arrived.local;
    file->peer = arrived.peer;
    file->credentials = arrived.credentials;
    file->connection->Watch(1, file.get());
    Complete(pending.op, {.result = Install(file), .more = true});
  }
}

void SimProactor::ProgressReceive(Pending& pending) {
  const File file = pending.file;
  if (file->type != Descriptor::Type::kStream) return Finish(pending, -ENOTCONN);
  Connection& connection = *file->connection;
  Group& group = groups_[Index(pending.group)];
  while (connection.readable(file->end) > 0) {
    if (group.free.empty() || world_.Occurs(world_.faults.buffer_shortages, world_.counts.buffer_shortages))
      return Finish(pending, -ENOBUFS);
    uint16_t id = group.free.back();
    group.free.pop_back();
    size_t room = BufferBytes(pending.group);
    if (world_.Occurs(world_.faults.short_reads, world_.counts.short_reads)) room = 1 + world_.random().Below(room);
    auto bytes = static_cast<int32_t>(connection.Read(file->end, Buffer(pending.group, id), room));
    const io::Completion piece{.result = bytes, .more = pending.multishot, .has_buffer = true, .buffer = id};
    if (!pending.multishot) return Finish(pending, piece);
    Complete(pending.op, piece);
  }
  if (int error = connection.error(file->end); error != 0) return Finish(pending, -error);
  if (connection.at_end(file->end)) Finish(pending, 0);
}

void SimProactor::ProgressSend(Pending& pending) {
  const File file = pending.file;
  if (file->type != Descriptor::Type::kStream) return Finish(pending, -ENOTCONN);
  Connection& connection = *file->connection;
  if (int error = connection.error(file->end); error != 0) return Finish(pending, -error);
  if (connection.finished(file->end)) return Finish(pending, -EPIPE);
  size_t wanted = pending.bytes - pending.sent;
  bool cut = wanted > 1 && world_.Occurs(world_.faults.short_writes, world_.counts.short_writes);
  if (cut) wanted = 1 + world_.random().Below(wanted - 1);
  pending.sent += connection.Write(file->end, pending.data + pending.sent, wanted);
  if (pending.some && pending.sent == 0) return Finish(pending, -EAGAIN);
  if (pending.sent == pending.bytes || pending.some || (cut && pending.sent > 0))
    Finish(pending, static_cast<int32_t>(pending.sent));
}

void SimProactor::ProgressReadable(Pending& pending) {
  const Descriptor& file = *pending.file;
  bool ready = !file.inbox.empty() || !file.backlog.empty();
  if (file.type == Descriptor::Type::kStream)
    ready = file.connection->readable(file.end) > 0 || file.connection->at_end(file.end) ||
            file.connection->error(file.end) != 0;
  if (ready) Finish(pending, POLLIN);
}

void SimProactor::ProgressWritable(Pending& pending) {
  const Descriptor& file = *pending.file;
  if (file.type != Descriptor::Type::kStream) return Finish(pending, -ENOTCONN);
  const Connection& connection = *file.connection;
  if (connection.writable(file.end) > 0 || connection.finished(file.end) || connection.error(file.end) != 0)
    Finish(pending, POLLOUT);
}

// --- pipes

io::Pipe SimProactor::TakePipe() {
  int number = next_fd_++;
  pipes_.emplace(number, std::string());
  return {.read_end = number, .write_end = number};
}

void SimProactor::ReturnPipe(io::Pipe pipe) { CHECK(pipes_.erase(pipe.read_end) == 1); }

int SimProactor::SpliceIn(int fd, io::Pipe& pipe) {
  CHECK(pipe.held == 0);
  File file = At(fd);
  if (file == nullptr || file->type != Descriptor::Type::kStream) return -ENOTCONN;
  Connection& connection = *file->connection;
  size_t bytes = connection.readable(file->end);
  if (bytes == 0) {
    int error = connection.error(file->end);
    return error != 0 ? -error : connection.at_end(file->end) ? 0 : -EAGAIN;
  }
  if (world_.Occurs(world_.faults.short_reads, world_.counts.short_reads)) bytes = 1 + world_.random().Below(bytes);
  std::string& held = pipes_.at(pipe.read_end);
  held.resize(bytes);
  connection.Read(file->end, reinterpret_cast<uint8_t*>(held.data()), bytes);
  pipe.held = static_cast<uint32_t>(bytes);
  return static_cast<int>(bytes);
}

int SimProactor::SpliceOut(io::Pipe& pipe, int fd) {
  std::string& held = pipes_.at(pipe.read_end);
  int taken = TrySend(fd, held.data(), held.size());
  if (taken < 0) return taken;
  held.erase(0, static_cast<size_t>(taken));
  pipe.held = static_cast<uint32_t>(held.size());
  stats.spliced_bytes += static_cast<uint64_t>(taken);
  return taken;
}

void SimProactor::WaitStream(int fd, io::StreamSide side, io::Operation& op) {
  Submit(fd, side == io::StreamSide::kIn ? Kind::kReadable : Kind::kWritable, op);
}

// --- receive buffers

uint8_t* SimProactor::Buffer(io::BufferGroup group, uint16_t id) {
  return groups_[Index(group)].memory.data() + size_t{id} * BufferBytes(group);
}

void SimProactor::ReturnBuffer(io::BufferGroup group, uint16_t id) {
  std::vector<uint16_t>& free = groups_[Index(group)].free;
  CHECK(id < BufferCount(group) && std::ranges::count(free, id) == 0);  // given back twice
  free.push_back(id);
}

}  // namespace fairlead::sim
