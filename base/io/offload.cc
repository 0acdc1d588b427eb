#include "base/io/offload.h"

#include <pthread.h>
#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace fairlead::io {
namespace {

class ThreadOffload final : public Offload {
 public:
  explicit ThreadOffload(std::string name) : thread_([this, name = std::move(name)] { Loop(name); }) {}

  ~ThreadOffload() override {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    filled_.notify_one();
    thread_.join();
  }

  void Submit(OffloadedCall& call) override {
    {
      std::lock_guard lock(mutex_);
      calls_.Push(call);
      ++queued_;
    }
    filled_.notify_one();
  }

  size_t queued() const override {
    std::lock_guard lock(mutex_);
    return queued_;
  }

 private:
  void Loop(std::string name) {
    sigset_t all;  // signals are for the loops that wait for them
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());  // the kernel's limit
    std::unique_lock lock(mutex_);
    for (;;) {
      filled_.wait(lock, [this] { return ending_ || !calls_.empty(); });
      Posted* next = calls_.Pop();
      if (next == nullptr) return;
      lock.unlock();
      auto& call = static_cast<OffloadedCall&>(*next);
      call.Call();
      call.proactor->PostFromAnyThread(call);  // `call` may be gone from here on
      lock.lock();
      --queued_;
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable filled_;
  PostedList calls_;       // guarded by mutex_, as are the two below
  size_t queued_ = 0;      // with the one that runs
  bool ending_ = false;
  std::thread thread_;     // last: it uses all the others
};

}  // namespace

std::unique_ptr<Offload> MakeThreadOffload(std::string thread_name) {
  return std::make_unique<ThreadOffload>(std::move(thread_name));
}

}  // namespace fairlead::io
