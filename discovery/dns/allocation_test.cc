// Answering what is asked often allocates nothing. Not counted beside ThreadSanitizer, which has operators of its own.
#include <gmock/gmock.h>

#include <cstdlib>
#include <new>

#include "discovery/dns/answer_fixture.h"

namespace {
thread_local size_t allocations = 0;
}

#if !__has_feature(thread_sanitizer)
void* operator new(size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes != 0 ? bytes : 1)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace fairlead::dns {
namespace {

class AllocationTest : public AnswerTest, public ::testing::WithParamInterface<Ask> {};

TEST_P(AllocationTest, AnswersTheSecondTimeWithoutAny) {
  discovery::EndpointRow row = Serving("a-container-with-a-long-name-1", "host1", "a-service-with-a-long-name", "demo", "10.40.0.10");
  row.aliases = {"an-alias-with-a-long-name"};
  Change({Put("host1", row)});
  Load("*.wild A 192.0.2.1\nalias CNAME target\ntarget A 192.0.2.2\n");
  Packet query = MakeQuery(GetParam());
  Packet out(kMaxUdpBytes);
  IpAddress asker = Ip("10.40.0.10");
  answerer_->Answer(query, asker, Transport::kUdp, out);
  size_t before = allocations;
  size_t bytes = answerer_->Answer(query, asker, Transport::kUdp, out);
  EXPECT_EQ(allocations, before);
  EXPECT_GT(bytes, query.size());
}

INSTANTIATE_TEST_SUITE_P(
    Questions, AllocationTest,
    ::testing::Values(Ask{.name = "a-service-with-a-long-name.demo.svc.fl.internal"},
                      Ask{.name = "a-service-with-a-long-name.demo.svc.fl.internal", .type = kAaaa},
                      Ask{.name = "_http._tcp.a-service-with-a-long-name.demo.svc.fl.internal", .type = kSrv},
                      Ask{.name = "nobody.demo.svc.fl.internal"}, Ask{.name = "x.wild.fl.internal"},
                      Ask{.name = "alias.fl.internal"}, Ask{.name = "a-service-with-a-long-name"},
                      Ask{.name = "a-container-with-a-long-name-1"}, Ask{.name = "an-alias-with-a-long-name"},
                      Ask{.name = "no-such-name-in-this-project"}),
    [](const auto& info) { return Cat("Question", info.index); });

}  // namespace
}  // namespace fairlead::dns
