// For the tests of client and server: a proactor of each kind and a raw peer at the other end.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/io/await.h"
#include "base/io/listener.h"
#include "base/io/stream.h"
#include "base/strings.h"

namespace fairlead::http {

class OnProactor : public testing::TestWithParam<io::IoBackend> {
 protected:
  void SetUp() override {
    std::string note;
    StatusOr<std::unique_ptr<io::Proactor>> made = io::MakeProactor(GetParam(), clock_, &note);
    if (!made.ok()) GTEST_SKIP() << made.status();
    proactor_ = *std::move(made);
  }
  // Nothing may be left behind, whatever the peer did.
  void TearDown() override {
    if (proactor_ == nullptr) return;
    group_.Drain(proactor());
    EXPECT_TRUE(Until([this] { return proactor().stats.orphans == 0; }));
    EXPECT_EQ(proactor().buffers_out(io::BufferGroup::kSmall), 0);
    EXPECT_EQ(proactor().buffers_out(io::BufferGroup::kLarge), 0);
    EXPECT_EQ(proactor().timers().count(), 0);
    EXPECT_EQ(io::FramePool::live(), 0);
  }

  io::Proactor& proactor() { return *proactor_; }
  io::TaskGroup& group() { return group_; }
  Nanos Soon() { return proactor().Now() + 20 * kSecond; }  // only ends a test that would hang
  static SocketAddress Loopback() { return SocketAddress(IpAddress::V4(0x7f000001), 0); }

  template <class Condition>
  [[nodiscard]] bool Until(Condition condition) {
    Nanos limit = Soon();
    while (!condition() && proactor().Now() < limit) proactor().Turn(10 * kMillisecond);
    return condition();
  }
  // The value of a task.
  template <class T>
  T Run(io::Task<T> task) {
    std::optional<T> value;
    group_.Spawn(Store(std::move(task), &value));
    EXPECT_TRUE(Until([&] { return value.has_value(); }));
    if (!value) std::abort();
    return *std::move(value);
  }
  void RunVoid(io::Task<void> task) {
    bool done = false;
    group_.Spawn(Finish(std::move(task), &done));
    ASSERT_TRUE(Until([&] { return done; }));
  }

  io::Listener Listen(const SocketAddress& address = Loopback()) {
    StatusOr<io::Listener> listener = io::Listener::Open(proactor(), address);
    EXPECT_TRUE(listener.ok()) << listener.status();
    return *std::move(listener);
  }

  // What has come until `until` ended it, the peer closed ("|end") or the connection broke ("|broken").
  static io::Task<std::string> ReadUntil(io::Stream& stream, std::string until) {
    std::string in;
    while (until.empty() || !in.ends_with(until)) {
      io::IoResult received = co_await stream.Receive();
      if (!received.ok()) co_return in + "|broken";
      if (received.is_end()) co_return in + "|end";
      io::Chunk chunk = stream.Take();
      in += chunk.view();
    }
    co_return in;
  }

 private:
  template <class T>
  static io::Task<void> Store(io::Task<T> task, std::optional<T>* out) {
    out->emplace(co_await std::move(task));
  }
  static io::Task<void> Finish(io::Task<void> task, bool* done) {
    co_await std::move(task);
    *done = true;
  }

  SystemClock clock_;
  std::unique_ptr<io::Proactor> proactor_;
  io::TaskGroup group_;
};

inline std::string IoBackendName(const testing::TestParamInfo<io::IoBackend>& info) {
  return info.param == io::IoBackend::kUring ? "uring" : "epoll";
}

}  // namespace fairlead::http
