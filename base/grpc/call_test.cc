// Against a server of the same HTTP/2 library; tests/engines/containerd_test.py has a real one.
#include "base/grpc/call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/grpc/test_server.h"

namespace fairlead::grpc {
namespace {

using std::string_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;

struct Heard {
  std::vector<std::string> messages;
  Status end;
  std::string asked, head;
};

Heard Listen(std::string body, std::string grpc_status) {
  SystemClock clock;
  auto proactor = *io::MakeProactor(io::IoBackend::kAuto, clock, nullptr);
  io::Listener listener = *io::Listener::Open(*proactor, *SocketAddress::Parse("127.0.0.1:0"));
  TestServer server(std::move(body), std::move(grpc_status));
  Heard heard;
  auto listen = [](io::Proactor& p, SocketAddress address, Heard& out) -> io::Task<void> {
    auto call = co_await Call::Open(p, address, {.method = "/p.Events/Subscribe", .metadata = {{"containerd-namespace", "default"}}, .message = "ask"},
                                    p.Now() + kMinute);
    out.end = call.status();
    while (out.end.ok()) {
      auto message = co_await (*call)->Next();
      if (!message.ok()) out.end = message.status();
      if (!message.ok() || !*message) break;
      out.messages.push_back(**message);
    }
  };
  io::TaskGroup group;
  group.Spawn(server.Serve(listener));
  group.Spawn(listen(*proactor, listener.address(), heard));
  while (group.live() > 0) proactor->Turn(kSecond);
  heard.asked = server.asked;
  heard.head = server.head;
  return heard;
}

TEST(GrpcCall, GivesTheMessagesOfAStreamOneByOne) {
  const std::string large(300'000, 'x');  // several windows of HTTP/2
  const Heard heard = Listen(Framed("one") + Framed("") + Framed(large), "0");
  EXPECT_TRUE(heard.end.ok()) << heard.end;
  EXPECT_THAT(heard.messages, ElementsAre("one", "", large));
  EXPECT_EQ(heard.asked, Framed("ask"));
  EXPECT_THAT(heard.head, HasSubstr(":path: /p.Events/Subscribe\n"));
  EXPECT_THAT(heard.head, HasSubstr("containerd-namespace: default\n"));
}

TEST(GrpcCall, AnErrorOfTheServerKeepsItsKindAndItsWords) {
  const Heard heard = Listen("", "5");
  EXPECT_EQ(heard.end.code(), StatusCode::kNotFound);
  EXPECT_EQ(Message(heard.end), "no such container");
}

TEST(GrpcCall, AStreamThatIsCutIsAnError) {
  const Heard heard = Listen(Framed("one"), "");
  EXPECT_THAT(heard.messages, ElementsAre("one"));
  EXPECT_EQ(heard.end.code(), StatusCode::kUnavailable);
}

TEST(GrpcCall, WhatIsNoMessageIsAnError) {
  EXPECT_EQ(Listen("\1\0\0\0\1x"s, "0").end.code(), StatusCode::kDataLoss) << "compressed";
  EXPECT_EQ(Listen("\0\x7f\0\0\0x"s, "0").end.code(), StatusCode::kResourceExhausted) << "2 GiB";
  EXPECT_EQ(Listen("\0\0\0\0\5x"s, "0").end.code(), StatusCode::kDataLoss) << "it ends in the middle";
}

}  // namespace
}  // namespace fairlead::grpc
