#include "discovery/dns/worker_thread.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace fairlead::dns {

class WorkerThread::Call final : public io::Posted {
 public:
  Call(WorkerThread& thread, std::function<void()> what) : thread_(thread), what_(std::move(what)) {}
  std::future<void> done() { return done_.get_future(); }
  void Run() override { thread_.call_ = this; }  // what it calls may turn the loop itself
  void Make() {
    std::promise<void> done = std::move(done_);  // this object ends with the wait
    what_();
    done.set_value();
  }

 private:
  WorkerThread& thread_;
  const std::function<void()> what_;
  std::promise<void> done_;
};

StatusOr<std::unique_ptr<WorkerThread>> WorkerThread::Start(std::string name, const Clock& clock, io::IoBackend backend,
                                                            std::string* note) {
  std::unique_ptr<WorkerThread> made(new WorkerThread);
  std::promise<Status> started;
  std::future<Status> result = started.get_future();
  made->thread_ = std::thread(&WorkerThread::Main, made.get(), std::move(name), std::cref(clock), backend, note, std::move(started));
  RETURN_IF_ERROR(result.get());
  return made;
}

WorkerThread::~WorkerThread() {
  if (proactor_ != nullptr) Run([this] { ending_ = true; });
  left_alone_.set_value();
  thread_.join();
}

void WorkerThread::Run(std::function<void()> what) {
  Call call(*this, std::move(what));
  std::future<void> done = call.done();
  proactor_->PostFromAnyThread(call);
  done.wait();
}

void WorkerThread::Main(const std::string& name, const Clock& clock, io::IoBackend backend, std::string* note,
                        std::promise<Status> started) {
  sigset_t all;  // signals are for the loop that waits for them
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());  // the kernel's limit
  auto proactor = io::MakeProactor(backend, clock, note);
  if (!proactor.ok()) return started.set_value(proactor.status());
  proactor_ = std::move(*proactor);
  started.set_value(OkStatus());
  while (!ending_) {
    proactor_->Turn(kSecond);
    if (Call* call = std::exchange(call_, nullptr)) call->Make();
  }
  left_alone_.get_future().wait();
  proactor_.reset();
}

}  // namespace fairlead::dns
