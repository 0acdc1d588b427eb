#include "dataplane/reaper.h"

#include "base/log.h"

namespace fairlead::dataplane {

Reaper::Reaper(std::unique_ptr<Netlink> netlink) : netlink_(std::move(netlink)), thread_([this] { Loop(); }) {}

Reaper::~Reaper() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Reaper::Wake() {
  {
    std::lock_guard lock(mutex_);
    ++wanted_;
  }
  changed_.notify_all();
}

void Reaper::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || done_ < wanted_; });
    if (done_ == wanted_) return;
    const uint64_t round = wanted_;  // links condemned from here on get a round of their own
    lock.unlock();
    if (Status status = netlink_->DeleteGroup(kCondemnedGroup); !status.ok())
      LOG(kWarning, "deleting interfaces failed; they are down and go with the next ones", {"error", Message(status)});
    lock.lock();
    done_ = round;
  }
}

}  // namespace fairlead::dataplane
