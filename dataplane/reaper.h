// Reaper deletes condemned links behind the caller's back. Deleting a veth waits some 30 ms in the kernel for readers to
// let go; links of one group are deleted together and share that wait. The group is also what a crash leaves behind:
// the next reaper starts with it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "base/net/netlink.h"

namespace fairlead::dataplane {

// "flrd". The kernel keeps groups per namespace; a link of anybody else in this one would go too.
inline constexpr uint32_t kCondemnedGroup = 0x666c7264;

class Reaper {
 public:
  // Its thread speaks `netlink`, in the namespace that was opened in.
  explicit Reaper(std::unique_ptr<Netlink> netlink);
  ~Reaper();  // after the last deletion

  void Wake();  // a link has been put into kCondemnedGroup

 private:
  void Loop();

  const std::unique_ptr<Netlink> netlink_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t wanted_ = 1, done_ = 0;  // rounds; the first one is for what a crash left
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fairlead::dataplane
