// What the contract tests of Proactor stand on: a fresh proactor per test, connected pairs, and the check at the end
// that everything was given back. Waiting is by condition in the proactor's own time, real or virtual.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/io/listener.h"
#include "base/io/stream.h"
#include "base/io/udp_socket.h"

namespace fairlead::io {

// A fresh proactor with all it needs.
class ContractHost {
 public:
  virtual ~ContractHost() = default;
  virtual Proactor& proactor() = 0;
  virtual std::string UnixPath() = 0;  // of a socket that does not exist yet
};

struct ContractBackend {
  std::string name;
  // `tiny_buffers`: 4 buffers in either group, so that they run out.
  std::function<std::unique_ptr<ContractHost>(bool tiny_buffers)> make;
};

inline std::string BackendName(const testing::TestParamInfo<ContractBackend>& info) { return info.param.name; }

// Bytes that tell when a piece is missing, doubled or out of place.
inline std::string Pattern(size_t bytes) {
  std::string pattern(bytes, '\0');
  for (size_t i = 0; i < bytes; i++) pattern[i] = static_cast<char>((i * 2654435761u) >> 13);
  return pattern;
}

class ProactorContract : public testing::TestWithParam<ContractBackend> {
 protected:
  void SetUp() override { Start(/*tiny_buffers=*/false); }
  void TearDown() override { ExpectAllReturned(); }

  void Start(bool tiny_buffers) {
    host_.reset();
    host_ = GetParam().make(tiny_buffers);
    group_ = std::make_unique<TaskGroup>();
  }
  Proactor& proactor() { return host_->proactor(); }
  std::string UnixPath() { return host_->UnixPath(); }
  TaskGroup& group() { return *group_; }

  // One test over connections that run out of buffers starts anew with this.
  void UseTinyBuffers() {
    group_.reset();
    Start(/*tiny_buffers=*/true);
  }

  // Turns until it holds; the limit only ends a test that would hang.
  template <class Condition>
  [[nodiscard]] bool Until(Condition condition) {
    Nanos limit = proactor().Now() + 30 * kSecond;
    while (!condition() && proactor().Now() < limit) proactor().Turn(10 * kMillisecond);
    return condition();
  }
  void Run(Task<void> task) {
    group().Spawn(std::move(task));
    ASSERT_TRUE(Until([this] { return group().live() == 0; }));
  }

  void ExpectAllReturned() {
    if (host_ == nullptr) return;
    group().Drain(proactor());
    EXPECT_TRUE(Until([this] { return proactor().stats.orphans == 0; }));
    EXPECT_EQ(proactor().buffers_out(BufferGroup::kSmall), 0);
    EXPECT_EQ(proactor().buffers_out(BufferGroup::kLarge), 0);
    EXPECT_EQ(proactor().timers().count(), 0);
    EXPECT_EQ(FramePool::live(), 0);
    group_.reset();
    host_.reset();
  }

  static SocketAddress Loopback(uint16_t port = 0) { return SocketAddress(IpAddress::V4(0x7f000001), port); }
  Listener OpenListener(const SocketAddress& address = Loopback(), const ListenOptions& options = {}) {
    StatusOr<Listener> listener = Listener::Open(proactor(), address, options);
    EXPECT_TRUE(listener.ok()) << listener.status();
    return *std::move(listener);
  }

  struct Pair {
    Stream client, server;
  };
  // Two ends of one connection.
  Pair Connected(BufferGroup buffers = BufferGroup::kSmall) { return ConnectedAt(Loopback(), buffers); }
  Pair ConnectedAt(const SocketAddress& address, BufferGroup buffers = BufferGroup::kSmall) {
    Pair pair;
    Listener listener = OpenListener(address);
    group().Spawn(DialInto(proactor(), listener.address(), buffers, &pair.client));
    group().Spawn(AcceptInto(listener, buffers, &pair.server));
    EXPECT_TRUE(Until([&] { return pair.client && pair.server; }));
    return pair;
  }
  static Task<void> DialInto(Proactor& p, SocketAddress address, BufferGroup buffers, Stream* out) {
    StatusOr<Stream> stream = co_await Dial(p, address, p.Now() + 5 * kSecond, buffers);
    EXPECT_TRUE(stream.ok()) << stream.status();
    if (stream.ok()) *out = *std::move(stream);
  }
  static Task<void> AcceptInto(Listener& listener, BufferGroup buffers, Stream* out) {
    IoResult fd = co_await listener.Accept();
    EXPECT_TRUE(fd.ok());
    if (fd.ok()) *out = Stream(listener.proactor(), fd.value(), buffers);
  }

  static Task<void> ReceiveOnce(Stream& stream, IoResult* out) { *out = co_await stream.Receive(); }
  static Task<void> SleepFor(Proactor& p, Nanos duration, IoResult* out) { *out = co_await Sleep(p, duration); }
  // Until `p`'s time has moved on by `duration`.
  void Pass(Nanos duration) {
    Nanos until = proactor().Now() + duration;
    ASSERT_TRUE(Until([&] { return proactor().Now() >= until; }));
  }
  // Not a result of any operation: to see whether one has come.
  static IoResult Pending() { return IoResult::FromKernel(kPendingMark); }
  static constexpr int32_t kPendingMark = -9999;

  static Task<void> SendAll(Stream& stream, std::string_view bytes, IoResult* result = nullptr) {
    IoResult sent = co_await stream.Send(bytes);
    if (result != nullptr) *result = sent;
  }
  // Appends up to `bytes`, or what comes until the end or an error, which goes to `*last`.
  static Task<void> ReceiveInto(Stream& stream, size_t bytes, std::string* out, IoResult* last = nullptr) {
    while (out->size() < bytes) {
      IoResult got = co_await stream.Receive();
      if (last != nullptr) *last = got;
      if (!got.ok() || got.is_end()) co_return;
      Chunk chunk = stream.Take();
      out->append(chunk.view());
    }
  }

 private:
  std::unique_ptr<ContractHost> host_;
  std::unique_ptr<TaskGroup> group_;
};

}  // namespace fairlead::io
