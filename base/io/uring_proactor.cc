#include "base/io/uring_proactor.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "base/io/uring_compat.h"

namespace fairlead::io {
namespace {

uint64_t Id(Operation& op) { return reinterpret_cast<uintptr_t>(&op); }  // 0: nobody wants to know

size_t RingBytes(uint16_t count) { return count * sizeof(io_uring_buf); }

}  // namespace

StatusOr<std::unique_ptr<UringProactor>> UringProactor::Create(const Clock& clock, const UringOptions& options) {
  std::unique_ptr<UringProactor> proactor(new UringProactor(clock));
  RETURN_IF_ERROR(proactor->SetUp(options));
  return proactor;
}

Status UringProactor::SetUp(const UringOptions& options) {
  io_uring_params params{};
  // R_DISABLED until the first enter: the thread that enables the ring is its single issuer.
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED;
  params.cq_entries = options.cq_entries;
  int result = io_uring_queue_init_params(options.entries, &ring_, &params);
  if (result < 0) return ErrnoStatus(-result, "io_uring_setup");
  open_ = true;
  for (unsigned i = 0; i < *ring_.sq.kring_entries; i++) ring_.sq.array[i] = i;  // entry i is always in slot i
  RETURN_IF_ERROR(MapBuffers(options.buffers));
  RETURN_IF_ERROR(RegisterBuffers(BufferGroup::kSmall));
  RETURN_IF_ERROR(RegisterBuffers(BufferGroup::kLarge));
  return OpenWake();
}

Status UringProactor::RegisterBuffers(BufferGroup group) {
  uint16_t count = BufferCount(group);
  void* memory =
      mmap(nullptr, RingBytes(count), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return ErrnoStatus(errno, "map a ring of receive buffers");
  auto* ring = static_cast<io_uring_buf_ring*>(memory);
  buffer_rings_[Index(group)].ring = ring;
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uintptr_t>(ring);
  registration.ring_entries = count;
  registration.bgid = static_cast<uint16_t>(group);
  int result = io_uring_register_buf_ring(&ring_, &registration, 0);
  if (result < 0) return ErrnoStatus(-result, "register receive buffers with io_uring");
  io_uring_buf_ring_init(ring);
  LendMore(group);
  return OkStatus();
}

void UringProactor::LendMore(BufferGroup group) {
  BufferRing& buffers = buffer_rings_[Index(group)];
  const uint16_t count = BufferCount(group);
  const auto more = static_cast<uint16_t>(std::min<int>(std::max<int>((count + 3) / 4, buffers.lent), count - buffers.lent));
  for (uint16_t i = 0; i < more; i++) {
    auto id = static_cast<uint16_t>(buffers.lent + i);
    io_uring_buf_ring_add(buffers.ring, Buffer(group, id), BufferBytes(group), FirstId(group) + id, count - 1, i);
  }
  io_uring_buf_ring_advance(buffers.ring, more);
  buffers.lent = static_cast<uint16_t>(buffers.lent + more);
}

UringProactor::~UringProactor() {
  if (!open_) return;
  // What was released shall be closed. Nothing is left to do where another thread ends the proactor of a joined one.
  while (stats.orphans > 0) Turn(10 * kMillisecond);
  if (Unsubmitted() > 0) Enter(0, 0);
  io_uring_queue_exit(&ring_);
  for (size_t g = 0; g < kBufferGroups; g++)
    if (buffer_rings_[g].ring != nullptr) munmap(buffer_rings_[g].ring, RingBytes(groups_[g].memory.count()));
}

void UringProactor::Attach() {
  attached_ = true;
  CHECK(EnableRing(ring_) == 0);
  registered_ = io_uring_register_ring_fd(&ring_) == 1;
}

void UringProactor::Accept(int listener, Operation& op) {
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_multishot_accept(entry, listener, nullptr, nullptr, SOCK_CLOEXEC);
  entry->user_data = Id(op);
}

void UringProactor::Connect(int fd, const SocketAddress& address, Operation& op) {
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_connect(entry, fd, address.raw(), address.size());
  entry->user_data = Id(op);
}

void UringProactor::Receive(int fd, BufferGroup group, bool multishot, Operation& op) {
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_recv(entry, fd, nullptr, 0, 0);
  if (multishot) entry->ioprio = IORING_RECV_MULTISHOT;
  entry->flags = IOSQE_BUFFER_SELECT;
  entry->buf_group = static_cast<uint16_t>(group);
  entry->user_data = Id(op);
}

void UringProactor::Send(int fd, const void* data, size_t bytes, Operation& op) {
  ++stats.ring_sends;
  io_uring_sqe* entry = NextEntry();
  // A result is an int: SendOperation sends what is beyond it afterwards.
  io_uring_prep_send(entry, fd, data, std::min<size_t>(bytes, 1 << 30), MSG_WAITALL | MSG_NOSIGNAL);
  entry->user_data = Id(op);
}

void UringProactor::SendSome(int fd, const void* data, size_t bytes, Operation& op) {
  ++stats.ring_sends;
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_send(entry, fd, data, std::min<size_t>(bytes, 1 << 30), MSG_DONTWAIT | MSG_NOSIGNAL);
  entry->user_data = Id(op);
}

void UringProactor::WaitReadable(int fd, Operation& op) {
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_poll_add(entry, fd, POLLIN);
  entry->user_data = Id(op);
}

void UringProactor::WaitStream(int fd, StreamSide side, Operation& op) {
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_poll_add(entry, fd, side == StreamSide::kIn ? POLLIN : POLLOUT);
  entry->user_data = Id(op);
}

// Entries are taken in order, and the memory of an operation is only freed after its final completion was seen: a
// cancel meets its own operation or none, never a later one at the same address.
void UringProactor::Cancel(Operation& op) {
  ++stats.cancels;
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_cancel64(entry, Id(op), 0);
  entry->flags = IOSQE_CQE_SKIP_SUCCESS;
  entry->user_data = 0;
}

void UringProactor::Close(int fd) { close(fd); }

// close(2) now could let an entry that is still queued reach a later file of the same number.
void UringProactor::CloseLater(int fd) {
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_close(entry, fd);
  entry->flags = IOSQE_CQE_SKIP_SUCCESS;
  entry->user_data = 0;
}

void UringProactor::ResetLater(int fd) {
  SetReset(fd);
  CloseLater(fd);
}

void UringProactor::ReturnBuffer(BufferGroup group, uint16_t id) {
  io_uring_buf_ring* ring = buffer_rings_[Index(group)].ring;
  io_uring_buf_ring_add(ring, Buffer(group, id), BufferBytes(group), FirstId(group) + id, BufferCount(group) - 1, 0);
  io_uring_buf_ring_advance(ring, 1);
  --groups_[Index(group)].out;
}

io_uring_sqe* UringProactor::NextEntry() {
  ++stats.submissions;
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) [[unlikely]] {
    Enter(0, 0);
    entry = io_uring_get_sqe(&ring_);
    CHECK(entry != nullptr);
  }
  return entry;
}

unsigned UringProactor::Unsubmitted() const { return ring_.sq.sqe_tail - io_uring_smp_load_acquire(ring_.sq.khead); }

bool UringProactor::HasCompletions() const { return *ring_.cq.khead != io_uring_smp_load_acquire(ring_.cq.ktail); }

// Submits what is queued, lets the kernel run its deferred work and waits for `wait_for` completions. Interrupted,
// timed out, short of memory or of completion space: all mean to look at the completions and to come again.
int UringProactor::Enter(unsigned wait_for, Nanos timeout) {
  if (!attached_) [[unlikely]] Attach();
  io_uring_smp_store_release(ring_.sq.ktail, ring_.sq.sqe_tail);
  __kernel_timespec time{.tv_sec = timeout / kSecond, .tv_nsec = timeout % kSecond};
  UringWaitArgument argument;
  if (wait_for > 0 && timeout != kNever) argument.timeout = reinterpret_cast<uintptr_t>(&time);
  unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  if (registered_) flags |= IORING_ENTER_REGISTERED_RING;
  ++stats.enters;
  auto result = syscall(__NR_io_uring_enter, ring_.enter_ring_fd, Unsubmitted(), wait_for, flags, &argument,
                        sizeof argument);
  CHECK(result >= 0 || errno == EINTR || errno == ETIME || errno == EBUSY || errno == EAGAIN);
  return static_cast<int>(result);
}

void UringProactor::Turn(Nanos max_wait) {
  Nanos wait = WaitTime(max_wait);
  Enter(wait > 0 && !HasCompletions() ? 1 : 0, wait);
  UpdateNow();
  DeliverCompletions();
  FinishTurn();
}

void UringProactor::DeliverCompletions() {
  unsigned head = *ring_.cq.khead;
  const unsigned tail = io_uring_smp_load_acquire(ring_.cq.ktail);
  stats.completions += tail - head;
  while (head != tail) {
    const io_uring_cqe& entry = ring_.cq.cqes[head & *ring_.cq.kring_mask];
    auto* op = reinterpret_cast<Operation*>(entry.user_data);
    Completion completion = Translate(entry);
    io_uring_smp_store_release(ring_.cq.khead, ++head);  // before it runs: it may enter the kernel
    if (op != nullptr) op->Complete(completion);
  }
}

Completion UringProactor::Translate(const io_uring_cqe& entry) {
  Completion completion{.result = entry.res, .more = (entry.flags & IORING_CQE_F_MORE) != 0};
  if ((entry.flags & IORING_CQE_F_BUFFER) != 0) {
    auto id = static_cast<uint16_t>(entry.flags >> IORING_CQE_BUFFER_SHIFT);
    auto group = id < FirstId(BufferGroup::kLarge) ? BufferGroup::kSmall : BufferGroup::kLarge;
    completion.has_buffer = true;
    completion.buffer = static_cast<uint16_t>(id - FirstId(group));
    if (2 * ++groups_[Index(group)].out > buffer_rings_[Index(group)].lent) LendMore(group);
  }
  return completion;
}

}  // namespace fairlead::io
