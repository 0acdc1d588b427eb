#include "lb/passwords.h"

#include <gtest/gtest.h>

#include "base/sim/sim_offload.h"
#include "base/sim/sim_proactor.h"
#include "base/strings.h"
#include "lb/passwords_hash.h"

namespace fairlead::lb {
namespace {

const std::string kSecret = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";  // "secret"

class PasswordBookTest : public testing::Test {
 protected:
  PasswordBookTest() : book_(proactor_, thread_, random_, metrics_) {}
  ~PasswordBookTest() override { book_.Stop(); }

  static io::Task<void> Ask(PasswordBook* book, std::string password, std::vector<PasswordVerdict>* verdicts) {
    PasswordQuestion question{book->KeyOf("carol", password, kSecret), password, kSecret};
    verdicts->push_back(co_await book->Verify(std::move(question)));
  }
  void Ask(const std::string& password) { asking_.Spawn(Ask(&book_, password, &verdicts_)); }
  bool RunUntil(size_t verdicts) {
    return world_.RunUntil([&] { return verdicts_.size() >= verdicts; }, 10 * kSecond);
  }

  sim::SimWorld world_{1};
  sim::SimProactor proactor_{world_, IpAddress::V4(0x0a000001), {.buffers = {{8, 4096}, {2, 32768}}}};
  sim::SimOffload thread_{world_};
  SeededRandom random_{1};
  Metrics metrics_;
  PasswordBook book_;
  std::vector<PasswordVerdict> verdicts_;
  io::TaskGroup asking_;
};

TEST(Passwords, AreThoseOfTheirHash) {
  EXPECT_TRUE(IsPasswordOf(kSecret, "secret"));
  EXPECT_FALSE(IsPasswordOf(kSecret, "Secret"));
  EXPECT_FALSE(IsPasswordOf(kSecret, std::string("secret\0x", 8)));
  EXPECT_FALSE(IsPasswordOf("secret", "secret"));  // no hash of crypt's
  EXPECT_FALSE(IsPasswordOf("*0", "secret"));
}

// Made by openssl passwd -apr1 and openssl sha1.
TEST(Passwords, AreThoseOfApachesOlderHashes) {
  const std::string apr1 = "$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/";  // "test", of Traefik's documentation
  EXPECT_TRUE(IsPasswordOf(apr1, "test"));
  for (const char* wrong : {"", "Test", "test "}) EXPECT_FALSE(IsPasswordOf(apr1, wrong)) << wrong;
  EXPECT_TRUE(IsPasswordOf("$apr1$abcdefgh$Eqv4oIyMsS.tjfvQCJYY1/", "a much longer password than sixteen bytes"));
  EXPECT_FALSE(IsPasswordOf("$apr1$", ""));
  EXPECT_TRUE(IsPasswordOf("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret"));
  for (const char* wrong : {"", "Secret"}) EXPECT_FALSE(IsPasswordOf("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", wrong)) << wrong;
  EXPECT_FALSE(IsPasswordOf("{SHA}", ""));
}

TEST_F(PasswordBookTest, WhoAskTheSameAtOnceShareOneComputation) {
  for (int i = 0; i < 5; i++) Ask("secret");
  EXPECT_EQ(thread_.queued(), 1u);
  ASSERT_TRUE(RunUntil(5));
  EXPECT_EQ(verdicts_, std::vector(5, PasswordVerdict::kRight));
}

TEST_F(PasswordBookTest, AnAnswerIsKeptAWrongOneToo) {
  const auto right = book_.KeyOf("carol", "secret", kSecret), wrong = book_.KeyOf("carol", "x", kSecret);
  EXPECT_EQ(book_.Find(right), std::nullopt);
  Ask("secret");
  Ask("x");
  ASSERT_TRUE(RunUntil(2));
  EXPECT_EQ(book_.Find(right), true);
  EXPECT_EQ(book_.Find(wrong), false);
  EXPECT_EQ(book_.Find(book_.KeyOf("carolsecre", "t", kSecret)), std::nullopt);  // no other split of the same bytes
}

TEST_F(PasswordBookTest, BeyondTheLimitOfThoseWhoWaitNobodyWaits) {
  for (size_t i = 0; i < PasswordBook::kMaxWaitingPasswords + 3; i++) Ask(Cat("guess-", i));
  EXPECT_EQ(thread_.queued(), PasswordBook::kMaxWaitingPasswords);
  EXPECT_EQ(verdicts_, std::vector(3, PasswordVerdict::kBusy));
  EXPECT_EQ(metrics_.counter("fairlead_lb_passwords_refused_total", "").value(), 3u);
  ASSERT_TRUE(RunUntil(PasswordBook::kMaxWaitingPasswords + 3));
}

TEST_F(PasswordBookTest, WhoGoesWhileItWaitsLeavesTheComputationToOthers) {
  {
    io::TaskGroup gone;
    std::vector<PasswordVerdict> verdicts;
    gone.Spawn(Ask(&book_, "secret", &verdicts));
    Ask("secret");
    gone.Cancel();
    gone.Drain(proactor_);
    EXPECT_EQ(verdicts, std::vector(1, PasswordVerdict::kBusy));
  }
  ASSERT_TRUE(RunUntil(1));
  EXPECT_EQ(verdicts_, std::vector(1, PasswordVerdict::kRight));
}

}  // namespace
}  // namespace fairlead::lb
