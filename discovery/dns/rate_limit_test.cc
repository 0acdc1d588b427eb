#include "discovery/dns/rate_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace fairlead::dns {
namespace {

IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

TEST(RateLimit, AnswersSoManyASecondThenEverySecondOneShort) {
  RateLimit limit(2, {});
  IpAddress asker = Ip("192.0.2.1");
  EXPECT_EQ(limit.Take(asker, kSecond), RateVerdict::kAnswer);
  EXPECT_EQ(limit.Take(asker, kSecond), RateVerdict::kAnswer);
  EXPECT_EQ(limit.Take(asker, kSecond), RateVerdict::kTruncate);
  EXPECT_EQ(limit.Take(asker, kSecond), RateVerdict::kDrop);
  EXPECT_EQ(limit.Take(asker, kSecond), RateVerdict::kTruncate);
  EXPECT_EQ(limit.Take(asker, 2 * kSecond), RateVerdict::kAnswer);
}

TEST(RateLimit, CountsANetworkTogetherAndOthersApart) {
  RateLimit limit(1, {});
  EXPECT_EQ(limit.Take(Ip("192.0.2.1"), 0), RateVerdict::kAnswer);
  EXPECT_NE(limit.Take(Ip("192.0.2.200"), 0), RateVerdict::kAnswer);
  EXPECT_EQ(limit.Take(Ip("192.0.3.1"), 0), RateVerdict::kAnswer);
  EXPECT_EQ(limit.Take(Ip("fd00::1"), 0), RateVerdict::kAnswer);
  EXPECT_NE(limit.Take(Ip("fd00:0:0:ff::1"), 0), RateVerdict::kAnswer);
  EXPECT_EQ(limit.Take(Ip("fd00:0:0:100::1"), 0), RateVerdict::kAnswer);
}

TEST(RateLimit, CountsForAllThreadsTogether) {
  RateLimit limit(1000, {});
  std::atomic<int> answers = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; i++) answers += limit.Take(Ip("192.0.2.1"), kSecond) == RateVerdict::kAnswer;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answers, 1000);
}

}  // namespace
}  // namespace fairlead::dns
