// Offload runs blocking calls (SQLite, netlink, files) in order on one thread of its own and gives their results back
// to the worker that asked. A started call runs to its end: waiting for it cannot be cancelled. In the simulator the
// call runs on the worker after a delay from the seed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/io/await.h"

namespace fairlead::io {

class OffloadedCall : public Posted {
 public:
  virtual void Call() = 0;              // on the offload's thread; then the proactor runs Run()
  Proactor* proactor = nullptr;

 protected:
  ~OffloadedCall() = default;
};

class Offload {
 public:
  virtual ~Offload() = default;         // finishes what was submitted
  virtual void Submit(OffloadedCall& call) = 0;
  virtual size_t queued() const = 0;
};

std::unique_ptr<Offload> MakeThreadOffload(std::string thread_name);

// auto result = co_await OffloadTo(offload, proactor, [&] { return store.Put(lease); });
template <class F>
class [[nodiscard]] OffloadTo final : public OffloadedCall {
 public:
  using Result = std::invoke_result_t<F>;
  OffloadTo(Offload& offload, Proactor& worker, F call) : offload_(offload), call_(std::move(call)) {
    proactor = &worker;
  }
  OffloadTo(const OffloadTo&) = delete;
  OffloadTo& operator=(const OffloadTo&) = delete;

  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    offload_.Submit(*this);
  }
  Result await_resume() { return std::move(*result_); }
  void Call() override { result_.emplace(call_()); }
  void Run() override { handle_.resume(); }

 private:
  Offload& offload_;
  F call_;
  std::optional<Result> result_;
  std::coroutine_handle<> handle_;
};

}  // namespace fairlead::io
