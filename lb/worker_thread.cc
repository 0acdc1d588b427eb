#include "lb/worker_thread.h"

#include <pthread.h>

#include "base/strings.h"

namespace fairlead::lb {

// Asks the worker from outside to begin its drain.
class WorkerThread::DrainRequest final : public io::Posted {
 public:
  DrainRequest(WorkerThread& thread, Nanos grace) : thread_(thread), grace_(grace) {}
  void Run() override {
    thread_.worker_->BeginDrain();
    thread_.drain_until_ = thread_.proactor_->Now() + grace_;
    delete this;
  }

 private:
  WorkerThread& thread_;
  Nanos grace_;
};

StatusOr<std::unique_ptr<WorkerThread>> WorkerThread::Start(const Config& config, int index, const Clock& clock,
                                                            io::Offload& passwords, std::string* note) {
  std::unique_ptr<WorkerThread> made(new WorkerThread);
  std::promise<Status> started;
  std::future<Status> result = started.get_future();
  made->thread_ = std::thread(&WorkerThread::Main, made.get(), config, index, std::cref(clock),
                              std::ref(passwords), std::move(started), note);
  Status status = result.get();
  if (status.ok()) return made;
  made->Join();
  return status;
}

WorkerThread::~WorkerThread() { CHECK(!thread_.joinable()); }

Status WorkerThread::Open(const Config& config, int index, const Clock& clock, io::Offload& passwords, std::string* note) {
  pthread_setname_np(pthread_self(), Cat("lb-", index).c_str());
  ASSIGN_OR_RETURN(proactor_, io::MakeProactor(config.io, clock, note));
  worker_ = std::make_unique<Worker>(*proactor_, random_, metrics_, passwords);
  worker_->Apply(Picture(config).All());  // before the first connection, which would find no route else
  for (const ListenerSpec& spec : config.listeners) {
    if (Status opened = worker_->Listen(spec); !opened.ok())
      return WithContext(opened, Cat("listener ", spec.name, ": "));
    addresses_.push_back(worker_->address(addresses_.size()));
  }
  return OkStatus();
}

void WorkerThread::Main(Config config, int index, const Clock& clock, io::Offload& passwords, std::promise<Status> started,
                        std::string* note) {
  Status opened = Open(config, index, clock, passwords, note);
  started.set_value(opened);
  if (opened.ok()) {
    while (proactor_->Now() < drain_until_ && !(drain_until_ != kNever && worker_->sessions() == 0))
      proactor_->Turn(kSecond);
  }
  if (worker_ != nullptr) worker_->Stop();
  worker_.reset();
  proactor_.reset();
}

void WorkerThread::Drain(Nanos grace) { proactor_->PostFromAnyThread(*new DrainRequest(*this, grace)); }

void WorkerThread::Join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace fairlead::lb
