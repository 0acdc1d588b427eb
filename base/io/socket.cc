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
  if (records_ != nullptr) [[unlikely]] {
    if (!reset) SealEnd();
    records_.reset();
  }
  while (head_ != kNone) TakePiece();
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
      if (waiter_ != nullptr || idle_listener_ != nullptr) Arm();  // a pooled connection has to notice its end
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
  if (records_ != nullptr && (waiter_ != nullptr || idle_listener_ != nullptr) && !Decrypt()) [[unlikely]] {
    Arm();  // a part of a record, or one that carries no bytes
    return;
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
  if (records_ != nullptr) [[unlikely]] {
    if (!records_->plain.empty()) return IoResult::Ok(static_cast<int32_t>(records_->plain.size()));
    return IoResult::FromKernel(records_->end);
  }
  if (head_ != kNone) return IoResult::Ok(static_cast<int32_t>(proactor_.received(group_, head_).bytes));
  return IoResult::FromKernel(end_);
}

void Socket::Queue(uint16_t buffer, int32_t bytes) {
  proactor_.received(group_, buffer) = {static_cast<uint32_t>(bytes), kNone, 0};
  if (tail_ == kNone) {
    head_ = buffer;
  } else {
    proactor_.received(group_, tail_).next = buffer;
  }
  tail_ = buffer;
  ++queued_;
}

Chunk Socket::Take() {
  if (records_ != nullptr) [[unlikely]] {
    CHECK(!records_->plain.empty());
    return std::move(records_->plain);
  }
  return TakePiece();
}

void Socket::Secure(std::unique_ptr<RecordLayer> layer, Chunk rest) {
  CHECK(records_ == nullptr && waiter_ == nullptr);
  records_ = std::make_unique<Records>(std::move(layer), std::move(rest), Chunk(), kOpen);
}

bool Socket::Decrypt() {
  Records& records = *records_;
  if (!records.plain.empty() || records.end != kOpen) return true;
  uint8_t* piece = nullptr;
  for (;;) {
    if (piece == nullptr) piece = PlainPiece::Allocate();
    int got = records.layer->Read(piece, PlainPiece::kBytes);
    if (got != RecordLayer::kNeedMore) {
      if (got > 0) {
        records.plain = Chunk(piece, static_cast<uint32_t>(got));
        return true;
      }
      records.end = got;
      break;
    }
    records.sealed.Reset();
    if (head_ == kNone) {
      // The peer's end without its announcement may be an attacker's: nobody may take what came for whole.
      if (end_ != kOpen) records.end = end_ == 0 ? -ECONNRESET : end_;
      break;
    }
    records.sealed = TakePiece();
    records.layer->Feed(records.sealed.view());
  }
  PlainPiece::Free(piece);
  return records.end != kOpen;
}

// What the kernel does not take at once is lost: nobody waits for a peer that does not read, at the end of a connection.
void Socket::SealEnd() {
  if (end_ < 0) return;
  records_->layer->SealEnd();
  SealedBytes last = records_->layer->TakeSealed();
  if (!last.empty()) (void)proactor_.TrySend(fd_, last.view().data(), last.view().size());
}

void Socket::ShutdownWrite() {
  if (records_ != nullptr) SealEnd();
  proactor_.ShutdownWrite(fd_);
}

Chunk Socket::TakePiece() {
  CHECK(head_ != kNone);
  uint16_t id = head_;
  ReceivedBuffer piece = proactor_.received(group_, id);
  head_ = piece.next;
  if (head_ == kNone) tail_ = kNone;
  --queued_;
  Chunk chunk(proactor_, group_, id, piece.skip + piece.bytes);
  if (piece.skip != 0) chunk.Skip(piece.skip);
  return chunk;
}

void Socket::PutBack(Chunk piece) {
  if (piece.empty()) return;
  if (records_ != nullptr) {
    CHECK(records_->plain.empty());
    records_->plain = std::move(piece);
    return;
  }
  CHECK(piece.proactor_ == &proactor_ && piece.group_ == group_);
  piece.proactor_ = nullptr;  // the buffer is the queue's again
  auto skip = static_cast<uint16_t>(piece.data_ - proactor_.Buffer(group_, piece.id_));
  proactor_.received(group_, piece.id_) = {piece.bytes_, head_, skip};
  head_ = piece.id_;
  if (tail_ == kNone) tail_ = piece.id_;
  ++queued_;
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
