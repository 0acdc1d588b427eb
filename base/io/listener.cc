#include "base/io/listener.h"

namespace fairlead::io {

IoResult Acceptor::Awaiter::await_resume() {
  if (why_ != 0) return IoResult::Error(why_);
  int fd = acceptor_.ready_.front();
  acceptor_.ready_.pop_front();
  return IoResult::Ok(fd);
}

void Acceptor::Awaiter::Cancel(int why) {
  why_ = why;
  acceptor_.waiter_ = nullptr;
  scope_->leaf = nullptr;
  acceptor_.proactor_.Post(*this);
}

void Acceptor::Awaiter::Wake() {
  acceptor_.waiter_ = nullptr;
  scope_->leaf = nullptr;
  handle_.resume();
}

void Acceptor::Arm() {
  if (armed_ || linked()) return;
  armed_ = true;
  proactor_.Accept(fd_, *this);
}

namespace {

// Of one connection, which is gone: the next may succeed (accept(2), "Error handling").
bool IsTransient(int error) {
  switch (error) {
    case ECONNABORTED: case EPROTO: case EINTR: case EAGAIN: case ECANCELED: return true;
    default: return false;
  }
}

}  // namespace

void Acceptor::Complete(const Completion& completion) {
  if (!completion.more) armed_ = false;
  if (orphan_) {
    if (completion.result >= 0) proactor_.Close(completion.result);
    if (!completion.more) {
      --proactor_.stats.orphans;
      delete this;
    }
    return;
  }
  if (!armed_) paused_ = false;
  if (completion.result >= 0) {
    Deliver(completion.result);
  } else if (!IsTransient(-completion.result)) {
    ++proactor_.stats.accept_pauses;
    if (!linked()) proactor_.timers().Add(*this, proactor_.Now() + kPause);
  } else if (waiter_ != nullptr) {
    Arm();
  }
}

void Acceptor::Deliver(int fd) {
  ready_.push_back(fd);
  if (ready_.size() >= kMaxReady && armed_ && !paused_) {
    paused_ = true;
    ++proactor_.stats.accept_pauses;
    proactor_.Cancel(*this);
  }
  // Wake() runs the acceptor's loop until it waits again, which may take several, or release this.
  if (waiter_ != nullptr) waiter_->Wake();
}

void Acceptor::Release() {
  CHECK(waiter_ == nullptr);
  proactor_.timers().Remove(*this);
  for (int fd : ready_) proactor_.Close(fd);
  ready_.clear();
  if (!armed_) {
    proactor_.Close(fd_);
    delete this;
    return;
  }
  orphan_ = true;
  ++proactor_.stats.orphans;
  proactor_.Cancel(*this);
  proactor_.CloseLater(fd_);
}

StatusOr<Listener> Listener::Open(Proactor& proactor, const SocketAddress& address, const ListenOptions& options) {
  ASSIGN_OR_RETURN(int fd, proactor.Listen(address, options));
  return Listener(Acceptor::New(proactor, fd));
}

StatusOr<Listener> Listener::Adopt(Proactor& proactor, int inherited) {
  ASSIGN_OR_RETURN(int fd, proactor.AdoptListener(inherited));
  return Listener(Acceptor::New(proactor, fd));
}

Listener& Listener::operator=(Listener&& other) noexcept {
  std::swap(acceptor_, other.acceptor_);
  return *this;
}

Listener::~Listener() {
  if (acceptor_ != nullptr) acceptor_->Release();
}

SocketAddress Listener::address() const { return acceptor_->proactor().LocalAddress(acceptor_->fd()); }

Task<void> AcceptLoop(Listener& listener, TaskGroup& group, std::function<Task<void>(int fd)> serve) {
  for (;;) {
    IoResult fd = co_await listener.Accept();
    if (!fd.ok()) co_return;
    if (group.cancelled()) {  // it would not start the task that is to own the descriptor
      listener.proactor().Close(fd.value());
      co_return;
    }
    group.Spawn(serve(fd.value()));
  }
}

}  // namespace fairlead::io
