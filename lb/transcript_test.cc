// Plays the transcripts of lb/transcripts/ with the real Worker on the simulator: first on a quiet machine, then under
// what TCP and a kernel may do at any time (short reads and writes, delays, late cancels, buffers that run out). The
// language is defined in transcript_fixture.h.
//
//   lb_test --gtest_filter='*Transcript*KeepAlive*'; FAIRLEAD_TRANSCRIPT_SEEDS=1000 for more seeds than the usual 20
#include "lb/transcript_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "base/io/event.h"
#include "base/io/frame_pool.h"
#include "base/io/stream.h"
#include "base/sim/sim_offload.h"
#include "base/sim/sim_proactor.h"
#include "lb/middleware_book.h"
#include "lb/worker.h"

namespace fairlead::lb {
namespace {

using io::IoResult;
using io::Stream;
using io::Task;
using sim::SimProactor;
using sim::SimWorld;

constexpr Nanos kPatience = 5 * kSecond;            // of an expectation
constexpr Nanos kStuckAfter = 1 * kSecond;          // what has not gone by then is stuck
constexpr Nanos kSettle = 100 * kMillisecond;       // at the end, for bytes on their way
constexpr size_t kShownBytes = 300;

const SocketAddress kBalancer(IpAddress::V4(0x0a000001), 80);
IpAddress ClientHost(char letter) { return IpAddress::V4(0x0a000100 + static_cast<uint32_t>(letter - 'a' + 1)); }
IpAddress BackendHost(uint64_t number) { return IpAddress::V4(0x0a000200 + static_cast<uint32_t>(number)); }
uint64_t NumberOf(std::string_view backend) { return *ParseNumber<uint64_t>(backend.substr(backend.find(' ') + 1)); }

sim::Faults FaultsOf(uint64_t seed) {
  if (seed == 1) return {};
  return {.short_reads = 200, .short_writes = 200, .late_completions = 100, .late_cancels = 300, .accept_failures = 20,
          .buffer_shortages = 20, .stalls = 50, .stall = 20 * kMillisecond};
}

std::string Quoted(std::string_view bytes) {
  std::string out = "\"";
  for (char c : bytes.substr(0, kShownBytes)) {
    constexpr char kHex[] = "0123456789abcdef";
    auto byte = static_cast<uint8_t>(c);
    if (c == '\r' || c == '\n') {
      out += c == '\r' ? "\\r" : "\\n";
    } else if (byte < 0x20 || byte > 0x7e) {
      out += Cat("\\x", kHex[byte >> 4], kHex[byte & 15]);
    } else {
      out += c;
    }
  }
  out += "\"";
  return bytes.size() > kShownBytes ? Cat(out, "… (", bytes.size(), " bytes)") : out;
}

// One end of a connection, a client's or a backend's: reads into `unread`, sends what it is told in order.
class Talker {
 public:
  struct Action {
    enum Kind { kSend, kShutdown, kClose, kReset } kind;
    std::string bytes;
    Nanos every = 0;                                // between two bytes
  };
  enum End { kOpen, kEnded, kWasReset };

  explicit Talker(SimProactor& proactor) : proactor_(proactor), told_(proactor), read_on_(proactor) {}

  void Tell(Action action) {
    actions_.push_back(std::move(action));
    told_.Set();
  }
  void Read(bool on) {
    reads_ = on;
    if (on) read_on_.Set();
  }
  bool reads() const { return reads_; }
  bool idle() const { return actions_.empty(); }
  std::string Seen() const {
    constexpr const char* kEnds[] = {"", " and the end", " and a reset"};
    return Cat(Quoted(unread), kEnds[end]);
  }

  static Task<void> Connect(Talker* self, SocketAddress to) {
    StatusOr<Stream> dialled = co_await io::Dial(self->proactor_, to, self->proactor_.Now() + kPatience);
    if (!dialled.ok()) {
      self->end = kWasReset;
      co_return;
    }
    co_await Talk(self, *std::move(dialled));
  }
  static Task<void> Talk(Talker* self, Stream stream) {
    auto race = co_await io::Race<bool, bool>(self->Listen(stream), self->Act(stream));
    if (race.winner == 1 && *race.b) stream.Reset();
  }

  std::string unread;                               // received, not yet expected
  End end = kOpen;

 private:
  Task<bool> Listen(Stream& stream) {
    stream.socket()->ReceiveOnDemand(true);         // stopped, it takes one more piece and not what the ring brings
    while (end == kOpen) {
      if (!reads_ && !(co_await read_on_.Wait()).ok()) co_return false;
      IoResult got = co_await stream.Receive();
      if (got.cancelled()) co_return false;
      if (got.ok() && !got.is_end()) {
        unread += stream.Take().view();
      } else {
        end = got.ok() ? kEnded : kWasReset;
      }
    }
    io::Event never(proactor_);
    (void)co_await never.Wait();
    co_return false;
  }

  // True: ends with a reset.
  Task<bool> Act(Stream& stream) {
    for (;;) {
      while (actions_.empty())
        if (!(co_await told_.Wait()).ok()) co_return false;
      Action& action = actions_.front();
      if (action.kind == Action::kClose || action.kind == Action::kReset) {
        bool reset = action.kind == Action::kReset;
        actions_.pop_front();
        co_return reset;
      }
      if (action.kind == Action::kShutdown) stream.ShutdownWrite();
      size_t piece = action.every > 0 ? 1 : action.bytes.size();
      for (size_t at = 0; at < action.bytes.size(); at += piece) {
        if (at > 0 && !(co_await io::Sleep(proactor_, action.every)).ok()) co_return false;
        if (!(co_await stream.Send(std::string_view(action.bytes).substr(at, piece))).ok()) break;  // it shows in `end`
      }
      actions_.pop_front();
    }
  }

  SimProactor& proactor_;
  std::deque<Action> actions_;
  io::Event told_, read_on_;
  bool reads_ = true;
};

// A host with what it has of connections, in their order. A backend's are `accepted` when the story says so.
struct Host {
  Host(SimWorld& world, const IpAddress& ip)
      : address(ip), proactor(world, ip, {.buffers = {{16, 4096}, {16, 32768}}}) {}
  IpAddress address;
  SimProactor proactor;
  std::optional<io::Listener> listener;
  std::unique_ptr<io::TaskGroup> accepting = std::make_unique<io::TaskGroup>();
  std::vector<std::unique_ptr<Talker>> talkers;
  size_t accepted = 0;
};

class Player {
 public:
  Player(const Story& story, uint64_t seed)
      : story_(story), world_(seed, FaultsOf(seed)),
        balancer_(world_, kBalancer.ip(), {.buffers = {{32, 4096}, {16, 32768}}}), random_(seed),
        service_(story.service) {
    MiddlewareBook book;
    book.SetFile(story.definitions);
    middlewares_ = book.Resolve(story.middlewares).chain;
    for (const Step& step : story.steps) {           // who is only named as an endpoint listens, too
      if (step.who.starts_with("backend ")) HostOf(step.who);
      for (uint64_t number : step.endpoints) HostOf(Cat("backend ", number));
    }
    HostOf("backend 1");
  }

  // "", or the first thing that went otherwise.
  std::string Play() {
    {
      Worker worker(balancer_, random_, metrics_, passwords_);
      worker_ = &worker;
      ListenerSpec spec = story_.listener;
      spec.name = "web";
      spec.bind = kBalancer;
      if (Status listening = worker.Listen(spec); !listening.ok()) return std::string(Message(listening));
      Apply();
      for (const Step& step : story_.steps) {
        Do(step);
        if (!fault_.empty()) break;
      }
      world_.Run(kSettle);
      ExpectNothingLeft();
      worker.Stop();
    }
    for (auto& [name, host] : hosts_) {
      host->accepting->Drain(host->proactor);
      host->listener.reset();
    }
    talking_.Drain(balancer_);
    world_.Run(kSecond);
    int buffers = balancer_.buffers_out(io::BufferGroup::kSmall) + balancer_.buffers_out(io::BufferGroup::kLarge);
    bool all_back = buffers == 0 && balancer_.timers().count() == 0 && balancer_.stats.orphans == 0;
    if (!all_back) FaultOfAll("the balancer kept a timer, a socket or a buffer");
    return fault_;
  }

 private:
  void Do(const Step& step) {
    step_ = &step;
    if (step.who.starts_with("client ") || step.who.starts_with("backend ")) return DoAt(*HostOf(step.who));
    switch (step.verb) {
      case Verb::kAfter: world_.Run(step.time); break;
      case Verb::kDrain: worker_->BeginDrain(); break;
      case Verb::kService:
        service_ = step.service;
        Apply();
        break;
      case Verb::kEndpoints:
        endpoints_ = step.endpoints;
        Apply();
        break;
      case Verb::kExpectIdle:
        if (!Await([&] { return worker_->sessions() == 0; })) Fault("no open connection", Cat(worker_->sessions()));
        break;
      default: ExpectCounter();
    }
  }

  void DoAt(Host& host) {
    const bool client = step_->who.starts_with("client ");
    switch (step_->verb) {
      case Verb::kRefuse: return StopListening(host);
      case Verb::kVanish: return world_.network().Partition(kBalancer.ip(), host.address);
      case Verb::kReturn:
        world_.network().Heal(kBalancer.ip(), host.address);
        return StartListening(host);
      case Verb::kAccept:
        if (Await([&] { return host.talkers.size() > host.accepted; })) {
          ++host.accepted;
        } else {
          Fault("a connection", "none");
        }
        return;
      case Verb::kConnect: return Connect(host);
      default: break;
    }
    if (client && host.talkers.empty()) Connect(host);
    const size_t number = step_->connection != 0 ? step_->connection : host.accepted;
    Talker* talker = number == 0 || number > host.accepted ? nullptr : host.talkers[number - 1].get();
    if (step_->verb == Verb::kExpectNothing) return ExpectNothing(host, talker);
    if (talker == nullptr) return Fault("a connection that was accepted", "none");
    DoWith(*talker);
  }

  void DoWith(Talker& talker) {
    using Action = Talker::Action;
    switch (step_->verb) {
      case Verb::kSend:
      case Verb::kTrickle: return talker.Tell({Action::kSend, step_->bytes, step_->time});
      case Verb::kShutdown: return talker.Tell({Action::kShutdown, {}});
      case Verb::kClose: return talker.Tell({Action::kClose, {}});
      case Verb::kReset: return talker.Tell({Action::kReset, {}});
      case Verb::kStopReading: return talker.Read(false);
      case Verb::kReadOn: return talker.Read(true);
      case Verb::kExpect: return ExpectBytes(talker);
      case Verb::kExpectPart: return ExpectPart(talker);
      case Verb::kExpectHead: return ExpectHead(talker, step_->bytes);
      case Verb::kExpectAnswer: return ExpectAnswer(talker);
      case Verb::kExpectEnd: return ExpectEnd(talker, {Talker::kEnded}, "the end");
      case Verb::kExpectReset: return ExpectEnd(talker, {Talker::kWasReset}, "a reset");
      case Verb::kExpectClosed: return ExpectEnd(talker, {Talker::kEnded, Talker::kWasReset}, "the end or a reset");
      case Verb::kExpectSent:
        if (!Await([&] { return talker.idle(); })) Fault("all to be sent", "some that goes no further");
        return;
      default:
        if (Await([&] { return talker.idle(); }, kStuckAfter)) Fault("some that cannot be sent", "it has all gone");
    }
  }

  // --- expectations

  bool Await(const std::function<bool()>& condition, Nanos limit = kPatience) {
    return world_.RunUntil(condition, limit);
  }

  void Fault(std::string_view expected, std::string_view seen) {
    if (fault_.empty())
      fault_ = Cat(story_.file, ":", step_->line, ": ", step_->who, step_->who.empty() ? "" : ": ",
                   "expected ", expected, ", saw ", seen);
  }
  void FaultOfAll(std::string_view what) {
    if (fault_.empty()) fault_ = Cat(story_.file, ":", story_.line, ": ", what);
  }

  void ExpectBytes(Talker& talker) {
    const std::string& bytes = step_->bytes;
    auto differs = [&] { return !bytes.starts_with(std::string_view(talker.unread).substr(0, bytes.size())); };
    size_t judged = 0;                              // what is long is not compared again for every piece
    Await([&] {
      if (talker.unread.size() == judged && talker.end == Talker::kOpen) return false;
      judged = talker.unread.size();
      return judged >= bytes.size() || talker.end != Talker::kOpen || differs();
    });
    if (!talker.unread.starts_with(bytes)) {
      size_t same = static_cast<size_t>(std::ranges::mismatch(bytes, talker.unread).in1 - bytes.begin());
      if (bytes.size() <= kShownBytes) return Fault(Quoted(bytes), talker.Seen());
      return Fault(Cat(Quoted(bytes), " of which ", same, " bytes came"), talker.Seen());
    }
    talker.unread.erase(0, bytes.size());
  }

  void ExpectPart(Talker& talker) {
    Await([&] { return talker.end != Talker::kOpen; });
    if (talker.end == Talker::kOpen || !step_->bytes.starts_with(talker.unread))
      return Fault(Cat("at most ", Quoted(step_->bytes), " and the end"), talker.Seen());
    talker.unread.clear();
  }

  // Takes a head whose first line begins so.
  void ExpectHead(Talker& talker, std::string_view start) {
    size_t end = std::string::npos;
    Await([&] {
      end = talker.unread.find("\r\n\r\n");
      return end != std::string::npos || talker.end != Talker::kOpen;
    });
    if (end == std::string::npos || !talker.unread.starts_with(start))
      return Fault(Cat(Quoted(start), "…"), talker.Seen());
    std::string head = talker.unread.substr(0, end + 2);
    for (const std::string& line : step_->has)
      if (head.find(Cat("\r\n", line, "\r\n")) == head.npos) return Fault(Quoted(line), talker.Seen());
    for (const std::string& name : step_->lacks)
      if (LowerAscii(head).find(Cat("\r\n", LowerAscii(name), ":")) != head.npos)
        return Fault(Cat("no ", name), talker.Seen());
    talker.unread.erase(0, end + 4);
    head_ = std::move(head);
  }

  // Its body's length is told by the head, and it has come whole.
  void ExpectAnswer(Talker& talker) {
    ExpectHead(talker, Cat("HTTP/1.1 ", step_->number, " "));
    if (!fault_.empty()) return;
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    size_t at = head_.find(kLength);
    if (at == head_.npos) return Fault("a Content-Length", Quoted(head_));
    std::string_view value = std::string_view(head_).substr(at + kLength.size());
    size_t bytes = ParseNumber<size_t>(value.substr(0, value.find('\r'))).value_or(0);
    if (!Await([&] { return talker.unread.size() >= bytes; })) return Fault(Cat("a body of ", bytes), talker.Seen());
    talker.unread.erase(0, bytes);
  }

  void ExpectEnd(Talker& talker, std::initializer_list<Talker::End> how, std::string_view name) {
    Await([&] { return talker.end != Talker::kOpen || !talker.unread.empty(); });
    if (!talker.unread.empty() || std::ranges::count(how, talker.end) == 0) Fault(name, talker.Seen());
  }

  void ExpectNothing(Host& host, Talker* talker) {
    const Talker::End before = talker == nullptr ? Talker::kOpen : talker->end;
    auto heard = [&] { return talker != nullptr && (!talker->unread.empty() || talker->end != before); };
    if (Await([&] { return heard() || host.talkers.size() > host.accepted; }, step_->time))
      Fault("nothing", heard() ? talker->Seen() : "a connection");
  }

  // What is counted shows a little later than what is sent.
  void ExpectCounter() {
    const Nanos end = world_.Now() + kPatience;
    while (CounterValue() != step_->number && world_.Now() < end) world_.Run(kSettle);
    if (CounterValue() != step_->number) Fault(Cat(step_->bytes, " of ", step_->number), Cat(CounterValue()));
  }
  // Adds up the series that have all of the labels.
  uint64_t CounterValue() {
    uint64_t sum = 0;
    const std::string text = RenderPrometheus({&metrics_});
    for (std::string_view line : Split(text, '\n')) {
      if (!line.starts_with(step_->bytes) || line.substr(step_->bytes.size()).find_first_of("{ ") != 0) continue;
      bool all = std::ranges::all_of(step_->has, [&](const std::string& label) {
        std::vector<std::string_view> parts = Split(label, '=');
        return line.find(Cat(parts[0], "=\"", parts.back(), "\"")) != line.npos;
      });
      if (all) sum += ParseNumber<uint64_t>(line.substr(line.rfind(' ') + 1)).value_or(0);
    }
    return sum;
  }

  void ExpectNothingLeft() {
    for (auto& [name, host] : hosts_) {
      if (host->talkers.size() > host->accepted)
        FaultOfAll(Cat(name, " got a connection that the story does not tell of"));
      for (size_t i = 0; i < host->accepted; i++)
        if (const Talker& talker = *host->talkers[i]; talker.reads() && !talker.unread.empty())
          FaultOfAll(Cat(name, " got what the story does not tell of: ", talker.Seen()));
    }
  }

  // --- the world

  Host* HostOf(const std::string& name) {
    std::unique_ptr<Host>& host = hosts_[name];
    if (host != nullptr) return host.get();
    bool client = name.starts_with("client ");
    host = std::make_unique<Host>(world_, client ? ClientHost(name.back()) : BackendHost(NumberOf(name)));
    if (!client) StartListening(*host);
    return host.get();
  }

  void StartListening(Host& host) {
    if (host.listener) return;
    host.listener.emplace(*io::Listener::Open(host.proactor, SocketAddress(host.address, 80)));
    host.accepting = std::make_unique<io::TaskGroup>();
    host.accepting->Spawn(io::AcceptLoop(*host.listener, talking_, [&host](int fd) {
      host.talkers.push_back(std::make_unique<Talker>(host.proactor));
      return Talker::Talk(host.talkers.back().get(), Stream(host.proactor, fd, io::BufferGroup::kLarge));
    }));
  }
  void StopListening(Host& host) {
    host.accepting->Drain(host.proactor);
    host.listener.reset();
    world_.RunUntil([&] { return host.proactor.stats.orphans == 0; }, kSettle);  // until then its accept may succeed
    world_.Run(kMillisecond);
  }

  void Connect(Host& host) {
    host.talkers.push_back(std::make_unique<Talker>(host.proactor));
    ++host.accepted;
    talking_.Spawn(Talker::Connect(host.talkers.back().get(), kBalancer));
  }

  void Apply() {
    ChangeSet changes;
    ClusterChange cluster{.service = "web.demo", .removed = false, .settings = service_, .endpoints = {}};
    for (uint64_t number : endpoints_)
      cluster.Add({.uid = Cat("uid-", number),
                   .name = Cat("web-", number),
                   .address = SocketAddress(BackendHost(number), 80),
                   .cookie = service_.sticky.enabled ? Cat("cookie-", number) : ""});
    changes.clusters.push_back(cluster);
    changes.hosts.push_back({"h", {{.path_prefix = "/", .service = "web.demo", .middlewares = middlewares_}}});
    worker_->Apply(changes);
  }

  const Story& story_;
  SimWorld world_;
  sim::SimOffload passwords_{world_};
  std::shared_ptr<const MiddlewareChain> middlewares_;
  SimProactor balancer_;
  SeededRandom random_;
  Metrics metrics_;
  ServiceSettings service_;
  std::vector<uint64_t> endpoints_ = {1};
  Worker* worker_ = nullptr;
  std::map<std::string, std::unique_ptr<Host>> hosts_;
  io::TaskGroup talking_;
  const Step* step_ = nullptr;
  std::string head_;                                // the last one that was expected
  std::string fault_;
};

std::string Play(const Story& story, uint64_t seed) {
  if (!story.error.empty()) return story.error;
  std::string fault = Player(story, seed).Play();
  if (fault.empty() && io::FramePool::live() != 0) fault = Cat(story.file, ":", story.line, ": a coroutine is left");
  return fault;
}

// --- all stories of the folder

std::vector<Story> AllStories() {
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(FAIRLEAD_LB_TRANSCRIPTS)) files.insert(entry.path());
  std::vector<Story> all;
  for (const std::filesystem::path& file : files)
    for (Story& story : StoryReader::ReadFile(file)) all.push_back(std::move(story));
  return all;
}

// "keep_alive.txt", "a GET is sent again": KeepAlive_AGETIsSentAgain.
std::string NameOf(const testing::TestParamInfo<Story>& info) {
  auto camel = [](std::string_view text) {
    std::string out;
    bool begins = true;
    for (char c : text) {
      bool letter = LowerAscii(c) >= 'a' && LowerAscii(c) <= 'z', digit = c >= '0' && c <= '9';
      if (letter || digit) out += begins && letter ? static_cast<char>(LowerAscii(c) - 'a' + 'A') : c;
      begins = !letter && !digit;
    }
    return out;
  };
  return Cat(camel(info.param.file.substr(0, info.param.file.find('.'))), "_", camel(info.param.name));
}

class Transcript : public testing::TestWithParam<Story> {};

TEST_P(Transcript, HoldsUnderEverySeed) {
  const char* wanted = std::getenv("FAIRLEAD_TRANSCRIPT_SEEDS");
  const uint64_t seeds = wanted == nullptr ? 20 : ParseNumber<uint64_t>(wanted).value_or(20);
  for (uint64_t seed = 1; seed <= seeds; seed++)
    if (std::string fault = Play(GetParam(), seed); !fault.empty())
      FAIL() << FAIRLEAD_LB_TRANSCRIPTS << "/" << fault << "\n(" << GetParam().name << ", seed " << seed << ")";
}

INSTANTIATE_TEST_SUITE_P(Stories, Transcript, testing::ValuesIn(AllStories()), NameOf);

// --- the interpreter itself

constexpr char kHello[] =
    "let GET = \"GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n\"\n"
    "story: hello\n"
    "client a: send GET\n"
    "backend 1: accept\n"
    "backend 1: expect GET\n"
    "backend 1: send \"HTTP/1.1 204 No Content\\r\\n\\r\\n\"\n";

std::string Fault(std::string_view rest) {
  std::vector<Story> stories = StoryReader::ReadText("t.txt", Cat(kHello, rest));
  return Play(stories.at(0), 1);
}

TEST(TranscriptTest, TellsWhichExpectationFailedAndWhatWasSeen) {
  EXPECT_EQ(Fault("client a: expect \"HTTP/1.1 204 No Content\\r\\n\\r\\n\""), "");
  EXPECT_EQ(Fault("client a: expect \"HTTP/1.1 200\""),
            "t.txt:7: client a: expected \"HTTP/1.1 200\", saw \"HTTP/1.1 204 No Content\\r\\n\\r\\n\"");
  EXPECT_EQ(Fault("client a: expect head \"HTTP/1.1 204\" has \"A: b\""),
            "t.txt:7: client a: expected \"A: b\", saw \"HTTP/1.1 204 No Content\\r\\n\\r\\n\"");
  EXPECT_EQ(Fault("client a: expect end"),
            "t.txt:7: client a: expected the end, saw \"HTTP/1.1 204 No Content\\r\\n\\r\\n\"");
  EXPECT_EQ(Fault("client a: expect closed"),
            "t.txt:7: client a: expected the end or a reset, saw \"HTTP/1.1 204 No Content\\r\\n\\r\\n\"");
  EXPECT_EQ(Fault("client a: expect part of \"HTTP/2\""),
            "t.txt:7: client a: expected at most \"HTTP/2\" and the end, saw \"HTTP/1.1 204 No Content\\r\\n\\r\\n\"");
  EXPECT_EQ(Fault("backend 1: close\nbackend 1: accept"), "t.txt:8: backend 1: expected a connection, saw none");
  EXPECT_EQ(Fault("backend 1: expect nothing for 1s\nbackend 1: expect \"more\""),
            "t.txt:8: backend 1: expected \"more\", saw \"\"");
  EXPECT_EQ(Fault("counter: fairlead_lb_requests_total code_class=2xx 2"),
            "t.txt:7: expected fairlead_lb_requests_total of 2, saw 1");
  EXPECT_EQ(Fault("backend 1: expect stuck"),
            "t.txt:7: backend 1: expected some that cannot be sent, saw it has all gone");
}

TEST(TranscriptTest, LeavesNothingUntold) {
  EXPECT_EQ(Fault("after 1ms"),
            "t.txt:2: client a got what the story does not tell of: \"HTTP/1.1 204 No Content\\r\\n\\r\\n\"");
  EXPECT_EQ(Fault("client a: expect head \"HTTP/1.1 204\"\nbackend 1: close\nafter 1s\nclient a: send GET"),
            "t.txt:2: backend 1 got a connection that the story does not tell of");
}

TEST(TranscriptTest, RefusesWhatItDoesNotUnderstand) {
  for (const auto& [line, why] : std::vector<std::pair<std::string, std::string>>{
           {"backend 1: sing", "t.txt:7: backend cannot do that"},
           {"backend 0: accept", "t.txt:7: who acts is a client of a to z or a backend of 1 to 255"},
           {"client a: send UNKNOWN", "t.txt:7: a string is missing, or a name that was given to one"},
           {"client a: send \"no end", "t.txt:7: a string without its end, or with an unknown escape"},
           {"client a: send \"\\q\"", "t.txt:7: a string without its end, or with an unknown escape"},
           {"client a: close now", "t.txt:7: not understood: now"},
           {"after 5", "t.txt:7: not a duration: 5"},
           {"service: patience 5s", "t.txt:7: a service has no patience"},
           {"listener: tcp", "t.txt:7: the listener is what a story begins with"},
           {"counter: fairlead_lb_retries_total", "t.txt:7: a word is missing"},
           {"somebody", "t.txt:7: a word is missing"}})
    EXPECT_EQ(Fault(line), why) << line;
  auto error = [](std::string_view text) { return StoryReader::ReadText("t.txt", text).at(0).error; };
  EXPECT_EQ(error("client a: send \"x\""), "t.txt:1: a story begins with `story: ITS NAME`");
  EXPECT_EQ(error("story: none\n"), "t.txt:1: nothing happens in this story");
}

TEST(TranscriptTest, StoriesAreFound) { EXPECT_GE(AllStories().size(), 200u); }

}  // namespace
}  // namespace fairlead::lb
