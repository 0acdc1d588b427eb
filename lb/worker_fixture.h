// What tests of sessions share: a worker, scripted backends and clients over loopback sockets on one proactor.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lb/worker.h"

namespace fairlead::lb {

using io::IoResult;
using io::Stream;
using io::Task;

// What a backend does with one connection.
using Script = std::function<Task<void>(io::Proactor&, Stream)>;

class Backend {
 public:
  Backend(io::Proactor& proactor, io::TaskGroup& group, Script script)
      : proactor_(proactor), listener_(*io::Listener::Open(proactor, *SocketAddress::Parse("127.0.0.1:0"))) {
    group.Spawn(io::AcceptLoop(listener_, group, [this, script](int fd) {
      ++connections;
      return script(proactor_, Stream(proactor_, fd, io::BufferGroup::kLarge));
    }));
  }
  SocketAddress address() const { return listener_.address(); }
  int connections = 0;

 private:
  io::Proactor& proactor_;
  io::Listener listener_;
};

// Reads until `end` has been seen, or the stream ended.
inline Task<std::string> ReadUntil(Stream& stream, std::string end) {
  std::string text;
  while (text.find(end) == text.npos) {
    IoResult got = co_await stream.Receive();
    if (!got.ok() || got.is_end()) break;
    text += stream.Take().view();
  }
  co_return text;
}

// A well-behaved backend: answers every request head with `answer`.
inline Script Answering(std::string answer) {
  return [answer](io::Proactor& proactor, Stream stream) -> Task<void> {
    return [](io::Proactor&, Stream connection, std::string text) -> Task<void> {
      while (!(co_await ReadUntil(connection, "\r\n\r\n")).empty())
        if (!(co_await connection.Send(text)).ok()) break;
    }(proactor, std::move(stream), answer);
  };
}

// Reads `expect` bytes' end mark, sends the answer, closes.
inline Script OneShot(std::string until, std::string answer, bool reset = false) {
  return [until, answer, reset](io::Proactor& proactor, Stream stream) -> Task<void> {
    return [](io::Proactor&, Stream connection, std::string mark, std::string text, bool rst) -> Task<void> {
      co_await ReadUntil(connection, mark);
      if (!text.empty()) (void)co_await connection.Send(text);
      if (rst) connection.Reset();
    }(proactor, std::move(stream), until, answer, reset);
  };
}

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() : proactor_(*io::MakeProactor(io::IoBackend::kAuto, clock_, nullptr)), random_(7),
                 worker_(*proactor_, random_, metrics_, *passwords_) {
    ListenerSpec spec;
    spec.name = "web";
    spec.bind = *SocketAddress::Parse("127.0.0.1:0");
    CHECK(worker_.Listen(spec).ok());
    spec.name = "hasty";
    spec.request_header = spec.request_body = spec.keep_alive = 50 * kMillisecond;
    CHECK(worker_.Listen(spec).ok());
    settings_.connect = 2 * kSecond;
  }
  ~WorkerTest() override {
    worker_.Stop();
    group_.Drain(*proactor_);
    backends_.clear();
    while (proactor_->stats.orphans > 0) proactor_->Turn(kMillisecond);
  }

  Backend& AddBackend(Script script) {
    backends_.push_back(std::make_unique<Backend>(*proactor_, backend_group(), std::move(script)));
    return *backends_.back();
  }
  io::TaskGroup& backend_group() { return group_; }

  // Routes every host to these addresses.
  void Route(std::vector<SocketAddress> addresses) {
    ChangeSet changes;
    ClusterChange cluster{.service = "web.demo", .removed = false, .settings = settings_, .endpoints = {}};
    for (size_t i = 0; i < addresses.size(); i++)
      cluster.Add({Cat("uid-", i, "-", addresses[i].ToString()), Cat("web-", i), addresses[i], 1});
    changes.clusters.push_back(cluster);
    changes.hosts.push_back({"h", {{"/", "web.demo"}}});
    worker_.Apply(changes);
  }

  // Sends `pieces` one by one and reads until the end of the connection, or until `until` was seen.
  std::string Talk(std::vector<std::string> pieces, std::string until = "") {
    std::string answer;
    bool done = false;
    group_.Spawn([](WorkerTest* test, std::vector<std::string> sent, std::string mark, std::string* out,
                    bool* finished) -> Task<void> {
      auto client = co_await io::Dial(*test->proactor_, test->worker_.address(test->listener_), test->proactor_->Now() + kSecond);
      CHECK(client.ok());
      for (const std::string& piece : sent) {
        if (!(co_await client->Send(piece)).ok()) break;
        (void)co_await io::Sleep(*test->proactor_, 5 * kMillisecond);
      }
      for (;;) {
        if (!mark.empty() && out->find(mark) != std::string::npos) break;
        client->SetDeadline(test->proactor_->Now() + 5 * kSecond);
        IoResult got = co_await client->Receive();
        if (!got.ok()) *out += Cat("<error ", got.error(), ">");
        if (!got.ok() || got.is_end()) break;
        *out += client->Take().view();
      }
      *finished = true;
    }(this, pieces, until, &answer, &done));
    while (!done) proactor_->Turn(10 * kMillisecond);
    return answer;
  }

  SystemClock clock_;
  std::unique_ptr<io::Proactor> proactor_;
  SeededRandom random_;
  Metrics metrics_;
  ServiceSettings settings_;
  size_t listener_ = 0;  // that clients talk to: 0 is patient, 1 is not
  io::TaskGroup group_;
  std::unique_ptr<io::Offload> passwords_ = io::MakeThreadOffload("passwords");
  Worker worker_;
  std::vector<std::unique_ptr<Backend>> backends_;
};

inline constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

}  // namespace fairlead::lb
