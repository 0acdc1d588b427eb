#include "base/io/socket.h"

namespace fairlead::io {

Socket* Socket::New(Proactor& proactor, int fd, BufferGroup group) {
  return new (FramePool::Allocate(sizeof(Socket))) Socket(proactor, fd, group);
}

void Socket::Free() {
  this->~Socket();
  FramePool::Free(this, sizeof(Socket));
}

void Socket::Release() { ReleaseBy(false); }
void Socket::ReleaseReset() { ReleaseBy(true); }

void Socket::ReleaseBy(bool reset) {
  CHECK(waiter_ == nullptr && !orphan_);
  while (head_ != kNone) Take();
  proactor_.timers().Remove(*this);
  idle_listener_ = nullptr;
  if (!armed_ && !reset && !starved_) {
    proactor_.Close(fd_);
    Free();
    return;
  }
  if (armed_) proactor_.Cancel(*this);  // the armed receive holds the file: without its end, close sends no FIN
  if (reset) {
    proactor_.ResetLater(fd_);
  } else {
    proactor_.CloseLater(fd_);          // behind the receive and its cancel
  }
  if (!armed_ && !starved_) {
    Free();
    return;
  }
  orphan_ = true;
  ++proactor_.stats.orphans;
}

void Socket::SetDeadline(Nanos when) {
  deadline_ = when;
  if (when == kNever) return;           // a linked timer finds out when it fires
  if (linked()) {
    if (Timer::when() <= when) return;  // fires early and links itself anew
    proactor_.timers().Remove(*this);
  }
  proactor_.timers().Add(*this, when);
}

void Socket::OnTimer() {
  if (deadline_ == kNever) return;
  if (deadline_ > proactor_.Now()) {
    proactor_.timers().Add(*this, deadline_);
    return;
  }
  if (waiter_ != nullptr) {
    waiter_->Cancel(ETIMEDOUT);
  } else if (idle_listener_ != nullptr) {
    idle_listener_->OnIdleEvent(*this);
  }
}

void Socket::Arm() {
  // The timer is unlinked when the deadline passed while nobody waited: a wait that begins now fails at the next turn.
  if (deadline_ != kNever && !linked()) proactor_.timers().Add(*this, deadline_);
  if (armed_ || starved_ || end_ != kOpen) return;
  armed_ = true;
  proactor_.Receive(fd_, group_, /*multishot=*/!first_ && !bulk_ && !on_demand_, *this);
  first_ = false;
}

void Socket::ReceiveOnDemand(bool on_demand) {
  on_demand_ = on_demand;
  if (on_demand && armed_ && !paused_ && waiter_ == nullptr) {
    paused_ = true;
    proactor_.Cancel(*this);
  }
}

void Socket::Complete(const Completion& completion) {
  if (!completion.more) armed_ = false;
  if (orphan_) {
    if (completion.has_buffer) proactor_.ReturnBuffer(group_, completion.buffer);
    if (!completion.more) {
      --proactor_.stats.orphans;
      Free();
    }
    return;
  }
  if (!completion.more) {
    bool paused = std::exchange(paused_, false);
    if (completion.result == -ECANCELED && paused) {
      if (waiter_ != nullptr) Arm();
      return;
    }
  }
  if (completion.result > 0) {
    Queue(completion.buffer, completion.result);
    if (queued_ >= kMaxQueued && armed_ && !paused_) {
      paused_ = bulk_ = true;
      proactor_.Cancel(*this);
    } else if (bulk_ && !armed_ && static_cast<uint32_t>(completion.result) < proactor_.BufferBytes(group_)) {
      bulk_ = false;
    }
  } else {
    if (completion.has_buffer) proactor_.ReturnBuffer(group_, completion.buffer);
    if (completion.result == -ENOBUFS) {
      if (!starved_) {
        starved_ = true;
        proactor_.AwaitBuffer(group_, *this);
      }
      return;
    }
    end_ = completion.result;
  }
  if (waiter_ != nullptr) {
    waiter_->Wake();
  } else if (idle_listener_ != nullptr) {
    idle_listener_->OnIdleEvent(*this);
  }
}

void Socket::Run() {
  starved_ = false;
  if (orphan_) {
    --proactor_.stats.orphans;
    Free();
    return;
  }
  if (waiter_ != nullptr || idle_listener_ != nullptr) Arm();
}

IoResult Socket::Peek() const {
  if (head_ != kNone) return IoResult::Ok(static_cast<int32_t>(proactor_.received(group_, head_).bytes));
  return IoResult::FromKernel(end_);
}

void Socket::Queue(uint16_t buffer, int32_t bytes) {
  proactor_.received(group_, buffer) = {static_cast<uint32_t>(bytes), kNone};
  if (tail_ == kNone) {
    head_ = buffer;
  } else {
    proactor_.received(group_, tail_).next = buffer;
  }
  tail_ = buffer;
  ++queued_;
}

Chunk Socket::Take() {
  CHECK(head_ != kNone);
  uint16_t id = head_;
  ReceivedBuffer piece = proactor_.received(group_, id);
  head_ = piece.next;
  if (head_ == kNone) tail_ = kNone;
  --queued_;
  return Chunk(proactor_, group_, id, piece.bytes);
}

void Socket::ReceiveAwaiter::Cancel(int why) {
  why_ = why;
  socket_.waiter_ = nullptr;
  scope_->leaf = nullptr;
  socket_.proactor_.Post(*this);
}

void Socket::ReceiveAwaiter::Wake() {
  socket_.waiter_ = nullptr;
  scope_->leaf = nullptr;
  handle_.resume();
}

}  // namespace fairlead::io
