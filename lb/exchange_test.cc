// What goes on between a request's head and the end of its answer: bodies and answers at once, tunnels, clients that go.
#include "lb/worker_fixture.h"

#include <gmock/gmock.h>

namespace fairlead::lb {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const char kUpgrade[] = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const char kSwitching[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

class ExchangeTest : public WorkerTest {
 public:  // for backends
  using WorkerTest::proactor_;
  // Sends each step's text once the text before it has been seen.
  struct Step {
    std::string after;
    std::string send;
  };
  enum class Ends { kReads, kShutsDown, kResets };  // what the client does behind its last step

  std::string Converse(std::vector<Step> steps, Ends ends = Ends::kReads) {
    std::string seen;
    bool done = false;
    group_.Spawn(Client(this, std::move(steps), ends, &seen, &done));
    while (!done) proactor_->Turn(10 * kMillisecond);
    return seen;
  }

  static Task<void> Client(ExchangeTest* test, std::vector<Step> steps, Ends ends, std::string* seen, bool* done) {
    auto client = co_await io::Dial(*test->proactor_, test->worker_.address(0), test->proactor_->Now() + kSecond);
    CHECK(client.ok());
    for (const Step& step : steps) {
      if (!step.after.empty()) *seen += co_await ReadUntil(*client, step.after);
      if (!(co_await client->Send(step.send)).ok()) break;
    }
    if (ends == Ends::kShutsDown) client->ShutdownWrite();
    if (ends == Ends::kResets) {
      while (test->requests_ == 0) (void)co_await io::Sleep(*test->proactor_, kMillisecond);
      client->Reset();
    } else {
      *seen += co_await ReadUntil(*client, "END");
    }
    *done = true;
  }

  // A backend that sees the head, then goes on with `rest`.
  template <class Rest>
  Script AfterHead(Rest rest) {
    return [this, rest](io::Proactor&, Stream stream) -> Task<void> { return Serve(this, std::move(stream), rest); };
  }
  template <class Rest>
  static Task<void> Serve(ExchangeTest* test, Stream stream, Rest rest) {
    test->head_ = co_await ReadUntil(stream, "\r\n\r\n");
    ++test->requests_;
    co_await rest(*test, stream);
  }

  int requests_ = 0;
  std::string head_;
  bool backend_saw_end_ = false;
};

TEST_F(ExchangeTest, TunnelsBothWaysAfterAnUpgrade) {
  Backend& backend = AddBackend(AfterHead(+[](ExchangeTest&, Stream& stream) -> Task<void> {
    (void)co_await stream.Send(Cat(kSwitching, "hello "));
    std::string heard = co_await ReadUntil(stream, "ping");
    (void)co_await stream.Send(Cat("heard ", heard, " END"));
  }));
  Route({backend.address()});
  EXPECT_THAT(Converse({{"", kUpgrade}, {"hello ", "ping"}}), testing::EndsWith("\r\n\r\nhello heard ping END"));
  EXPECT_THAT(head_, HasSubstr("Upgrade: websocket\r\n"));
}

TEST_F(ExchangeTest, KeepsBytesOfTheNewProtocolUntilTheBackendHasAgreed) {
  Backend& backend = AddBackend(AfterHead(+[](ExchangeTest& test, Stream& stream) -> Task<void> {
    EXPECT_THAT(test.head_, testing::EndsWith("\r\n\r\n"));
    (void)co_await stream.Send(kSwitching);
    (void)co_await stream.Send(Cat(co_await ReadUntil(stream, "early"), " END"));
  }));
  Route({backend.address()});
  EXPECT_THAT(Converse({{"", Cat(kUpgrade, "early")}}), testing::EndsWith("\r\n\r\nearly END"));
}

TEST_F(ExchangeTest, TakesNoSwitchThatNobodyAskedFor) {
  Backend& backend = AddBackend(OneShot("\r\n\r\n", kSwitching));
  Route({backend.address()});
  EXPECT_THAT(Talk({"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, "\n"), StartsWith("HTTP/1.1 502"));
}

TEST_F(ExchangeTest, AnOrdinaryAnswerToAnUpgradeIsOne) {
  Backend& backend = AddBackend(Answering(kOk));
  Route({backend.address()});
  EXPECT_EQ(Talk({Cat(kUpgrade, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")}, "okHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            Cat(kOk, kOk));
}

TEST_F(ExchangeTest, TellsAClientThatWaitsToContinue) {
  Backend& backend = AddBackend(AfterHead(+[](ExchangeTest&, Stream& stream) -> Task<void> {
    (void)co_await stream.Send("HTTP/1.1 100 Continue\r\n\r\n");
    std::string body = co_await ReadUntil(stream, "body");
    (void)co_await stream.Send(Cat("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n", body, " END"));
  }));
  Route({backend.address()});
  EXPECT_THAT(Converse({{"", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"},
                        {"100 Continue\r\n\r\n", "body"}}),
              testing::EndsWith("\r\n\r\nbody END"));
}

TEST_F(ExchangeTest, ABackendMayAnswerAsItReads) {
  Backend& backend = AddBackend(AfterHead(+[](ExchangeTest&, Stream& stream) -> Task<void> {
    (void)co_await stream.Send("HTTP/1.1 200 OK\r\nContent-Length: 600003\r\n\r\n");
    for (size_t left = 600000; left > 0;) {
      if (IoResult got = co_await stream.Receive(); !got.ok() || got.is_end()) co_return;
      io::Chunk piece = stream.Take();
      left -= piece.size();
      if (!(co_await stream.Send(piece.view())).ok()) co_return;
    }
    (void)co_await stream.Send("END");
  }));
  Route({backend.address()});
  std::string part(100000, 'x');
  std::vector<Step> steps = {{"", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 600000\r\n\r\n"}};
  for (int i = 0; i < 6; i++) steps.push_back({i == 0 ? "\r\n\r\n" : "x", part});
  std::string answer = Converse(steps);
  EXPECT_EQ(std::ranges::count(answer, 'x'), 600000);
  EXPECT_THAT(answer.substr(answer.size() - 4), "xEND");
}

TEST_F(ExchangeTest, AnswersAClientThatHasShutDownItsSide) {
  Backend& backend = AddBackend(AfterHead(+[](ExchangeTest& test, Stream& stream) -> Task<void> {
    (void)co_await io::Sleep(*test.proactor_, 300 * kMillisecond);  // past the time from which the client is watched
    (void)co_await stream.Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nEND");
  }));
  Route({backend.address()});
  EXPECT_THAT(Converse({{"", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"}}, Ends::kShutsDown), StartsWith("HTTP/1.1 200"));
}

TEST_F(ExchangeTest, FreesTheBackendWhenTheClientBreaksOff) {
  Backend& backend = AddBackend(AfterHead(+[](ExchangeTest& test, Stream& stream) -> Task<void> {
    IoResult got = co_await stream.Receive();
    test.backend_saw_end_ = !got.ok() || got.is_end();
  }));
  settings_.response = kHour;
  Route({backend.address()});
  Converse({{"", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"}}, Ends::kResets);
  Nanos patience = proactor_->Now() + 10 * kSecond;
  while (!backend_saw_end_ && proactor_->Now() < patience) proactor_->Turn(10 * kMillisecond);
  EXPECT_TRUE(backend_saw_end_);
}

TEST_F(ExchangeTest, FreesTheBackendWhenTheClientBreaksOffInItsBody) {
  Backend& backend = AddBackend(AfterHead(+[](ExchangeTest& test, Stream& stream) -> Task<void> {
    co_await ReadUntil(stream, "never said");
    test.backend_saw_end_ = true;
  }));
  Route({backend.address()});
  Converse({{"", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf"}}, Ends::kResets);
  Nanos patience = proactor_->Now() + 10 * kSecond;
  while (!backend_saw_end_ && proactor_->Now() < patience) proactor_->Turn(10 * kMillisecond);
  EXPECT_TRUE(backend_saw_end_);
}

}  // namespace
}  // namespace fairlead::lb
