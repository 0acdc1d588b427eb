// A request on connections that stand allocates nothing: every malloc of the thread is counted while a worker, its
// client and its backends exchange messages on one proactor. What it counts is malloc itself, so it sees operator new,
// the frame pool's refills and the C libraries alike.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

#include "base/io/frame_pool.h"
#include "lb/route_rule.h"
#include "lb/worker.h"

// A sanitizer has a malloc of its own: there the messages are exchanged all the same, but nothing is counted.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define FAIRLEAD_COUNTS_MALLOC 0
#else
#define FAIRLEAD_COUNTS_MALLOC 1
#endif

namespace {
thread_local uint64_t allocations = 0;
}

#if FAIRLEAD_COUNTS_MALLOC
// glibc's own functions under the names that stay when a program replaces malloc (glibc manual, "Replacing malloc").
// free() stays glibc's: the memory is.
extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);

void* malloc(size_t bytes) noexcept {
  ++allocations;
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) noexcept {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) noexcept {
  ++allocations;
  return __libc_realloc(memory, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) noexcept {
  ++allocations;
  void* got = __libc_memalign(alignment, bytes);
  if (got == nullptr) return ENOMEM;
  *memory = got;
  return 0;
}
}
#endif

namespace fairlead::lb {
namespace {

using io::IoResult;
using io::Stream;
using io::Task;

constexpr int kWarm = 100;      // fills the frame pool, the counters, the backends' connections
constexpr int kCounted = 1000;

// One message each way. Each ends with its mark and has it nowhere else at the end of a piece.
struct Messages {
  const char* name;
  std::string request, request_end;
  std::string answer, answer_end;
};

// Receives until what came ends with `mark`. Compares in place: the test's own side allocates nothing either.
Task<bool> ReceiveUntil(Stream& stream, std::string_view mark) {
  char tail[16] = {};
  size_t kept = 0;
  CHECK(mark.size() <= sizeof tail);
  for (;;) {
    IoResult got = co_await stream.Receive();
    if (!got.ok() || got.is_end()) co_return false;
    io::Chunk piece = stream.Take();
    for (char c : piece.view()) {
      if (kept == mark.size()) std::copy(tail + 1, tail + kept--, tail);
      tail[kept++] = c;
    }
    if (std::string_view(tail, kept) == mark) co_return true;
  }
}

Task<void> ServeBackend(Stream stream, const Messages* messages) {
  while (co_await ReceiveUntil(stream, messages->request_end))
    if (!(co_await stream.Send(messages->answer)).ok()) break;
}

struct Counts {
  int answered = 0;
  uint64_t before = 0, after = 0;               // calls of malloc
  int64_t frames_before = 0, frames_after = 0;  // out of the pool between two requests
};

Task<void> Ask(io::Proactor& proactor, SocketAddress balancer, const Messages* messages, Counts* counts) {
  auto client = co_await io::Dial(proactor, balancer, proactor.Now() + 5 * kSecond);
  CHECK(client.ok());
  for (; counts->answered < kWarm + kCounted; ++counts->answered) {
    if (counts->answered == kWarm) {
      counts->before = allocations;
      counts->frames_before = io::FramePool::live();
    }
    client->SetDeadline(proactor.Now() + 10 * kSecond);
    if (!(co_await client->Send(messages->request)).ok()) break;
    if (!co_await ReceiveUntil(*client, messages->answer_end)) break;
  }
  counts->after = allocations;
  counts->frames_after = io::FramePool::live();
}

class SteadyState : public testing::TestWithParam<std::tuple<io::IoBackend, Messages>> {
 protected:
  SteadyState()
      : proactor_(*io::MakeProactor(std::get<0>(GetParam()), clock_, nullptr)), random_(7),
        worker_(*proactor_, random_, metrics_, *passwords_) {
    ListenerSpec spec;
    spec.name = "web";
    spec.bind = *SocketAddress::Parse("127.0.0.1:0");
    CHECK(worker_.Listen(spec).ok());
    ChangeSet changes;
    ClusterChange cluster{.service = "web.demo", .removed = false, .settings = {}, .endpoints = {}};
    for (int i = 0; i < 2; i++) {
      backends_.push_back(*io::Listener::Open(*proactor_, *SocketAddress::Parse("127.0.0.1:0")));
      cluster.Add({Cat("uid-", i), Cat("web-", i), backends_.back().address(), 1});
    }
    for (io::Listener& backend : backends_)
      group_.Spawn(io::AcceptLoop(backend, group_, [this](int fd) {
        return ServeBackend(Stream(*proactor_, fd), &messages_);
      }));
    changes.clusters.push_back(cluster);
    // Behind routes that ask for everything and hold for nothing.
    auto rule = rules_.Get("Host(`h`) && (Header(`X-None`, `1`) || HeaderRegexp(`User-Agent`, `^none`) || Query(`with`, `b%c`) || "
                           "QueryRegexp(`a`, `^[0-9]`) || PathRegexp(`^/none/`) || ClientIP(`192.0.2.0/24`) || HostRegexp(`x`))");
    changes.hosts.push_back({"h", {{"/", "web.demo"}, {"/", "none.demo", ~uint64_t{0}, 100'000'000, rule->places[0].condition}}});
    worker_.Apply(changes);
  }
  ~SteadyState() override {
    worker_.Stop();
    group_.Drain(*proactor_);
    backends_.clear();
    while (proactor_->stats.orphans > 0) proactor_->Turn(kMillisecond);
  }

  const Messages messages_ = std::get<1>(GetParam());
  SystemClock clock_;
  std::unique_ptr<io::Proactor> proactor_;
  SeededRandom random_;
  Metrics metrics_;
  RuleBook rules_;
  io::TaskGroup group_;
  std::unique_ptr<io::Offload> passwords_ = io::MakeThreadOffload("passwords");
  Worker worker_;
  std::vector<io::Listener> backends_;
};

TEST_P(SteadyState, RequestsAllocateNothing) {
  Counts counts;
  io::TaskGroup client;
  client.Spawn(Ask(*proactor_, worker_.address(0), &messages_, &counts));
  while (client.live() > 0) proactor_->Turn(kSecond);
  EXPECT_EQ(counts.answered, kWarm + kCounted);
  EXPECT_EQ(counts.frames_after, counts.frames_before);  // a session holds no more after a thousand requests
#if FAIRLEAD_COUNTS_MALLOC
  EXPECT_GT(counts.before, 0u);  // the counter counts
  EXPECT_EQ(counts.after - counts.before, 0u) << "mallocs in " << kCounted << " requests";
#endif
}

const std::string kGet = "GET /a/path?with=a&query HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n";
const std::string kBody20k = std::string(20000, 'x') + "the end";  // longer than any piece of the client's buffers

std::vector<Messages> Exchanges() {
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const std::string post = "POST /form HTTP/1.1\r\nHost: h\r\n";
  return {
      {"Get", kGet, "\r\n\r\n", ok, "ok"},
      {"AnswerWhoseHeadIsRewritten", kGet, "\r\n\r\n",
       "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nok", "ok"},
      {"LongAnswer", kGet, "\r\n\r\n", Cat("HTTP/1.1 200 OK\r\nContent-Length: ", kBody20k.size(), "\r\n\r\n", kBody20k),
       "the end"},
      {"ChunkedAnswer", kGet, "\r\n\r\n",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", "\r\n0\r\n\r\n"},
      {"ShortBody", Cat(post, "Content-Length: 8\r\n\r\na=b&endx"), "&endx", ok, "ok"},
      {"LongBody", Cat(post, "Content-Length: ", kBody20k.size(), "\r\n\r\n", kBody20k), "the end", ok, "ok"},
      {"ChunkedBody", Cat(post, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "\r\n0\r\n\r\n", ok, "ok"},
  };
}

INSTANTIATE_TEST_SUITE_P(Kernel, SteadyState,
                         testing::Combine(testing::Values(io::IoBackend::kUring, io::IoBackend::kEpoll),
                                          testing::ValuesIn(Exchanges())),
                         [](const auto& info) {
                           return Cat(std::get<1>(info.param).name,
                                      std::get<0>(info.param) == io::IoBackend::kUring ? "OnUring" : "OnEpoll");
                         });

}  // namespace
}  // namespace fairlead::lb
