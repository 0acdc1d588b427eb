#include "app/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sim/sim_files.h"
#include "ipam/ipam_harness.h"
#include "ipam/memory_lease_store.h"

namespace fairlead::app {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Audit : public testing::Test {
 protected:
  AuditLog Log(size_t max_file_bytes = AuditLog::kMaxFileBytes) {
    return AuditLog(files, *host.offload, *host.worker, host.clock, "audit.jsonl", max_file_bytes);
  }
  json Read(AuditLog& log, size_t limit = 100) { return host.Run(log.Read(limit)).value_or(json()); }
  void Make(AuditLog& log, const std::string& object) {
    AuditedChange change{.action = "ip reserve", .object = object};
    auto id = host.Run(log.Begin(change));
    ASSERT_TRUE(id.ok());
    host.Run([](AuditLog* l, std::string i, AuditedChange c) -> io::Task<bool> {
      co_await l->End(std::move(i), c, OkStatus());
      co_return true;
    }(&log, *id, change));
  }

  ipam::MemoryLeaseStore store;
  ipam::Host host{store};
  SystemRandom random;
  sim::SimFiles files{random};
};

TEST_F(Audit, AChangeIsTwoLinesAndOneEntry) {
  AuditLog log = Log();
  Make(log, "web-1");
  std::string text = files.files().at("audit.jsonl");
  EXPECT_EQ(std::ranges::count(text, '\n'), 2);
  EXPECT_THAT(text, HasSubstr("\"outcome\":\"begun\""));
  json entries = Read(log);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0]["outcome"], "done");
  EXPECT_EQ(entries[0]["time"], "2023-11-14T22:13:21Z");
}

TEST_F(Audit, AChangeWhoseEndNobodySawStaysBegun) {
  AuditLog log = Log();
  ASSERT_TRUE(host.Run(log.Begin({.action = "pool rm", .object = "shop"})).ok());
  AuditLog after_a_crash = Log();
  host.clock.Advance(kSecond);
  Make(after_a_crash, "web-1");
  json entries = Read(after_a_crash);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0]["object"], "web-1");
  EXPECT_EQ(entries[1]["outcome"], "begun");
}

TEST_F(Audit, TheLogGoesOnInANewFileAfterARotation) {
  AuditLog log = Log();
  Make(log, "one");
  ASSERT_TRUE(files.Rename("audit.jsonl", "audit.jsonl.1").ok());
  Make(log, "two");
  EXPECT_EQ(std::ranges::count(files.files().at("audit.jsonl"), '\n'), 2);
  json entries = Read(log);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0]["object"], "two");
  EXPECT_EQ(entries[1]["object"], "one");
  EXPECT_EQ(Read(log, 1).size(), 1u);
}

TEST_F(Audit, AFullFileIsMovedAndTheOldestOfTheOldOnesGoes) {
  constexpr size_t kLimit = 1000;
  AuditLog log = Log(kLimit);
  for (int i = 0; i < 60; i++) Make(log, Cat("change-", i));
  EXPECT_EQ(files.files().size(), 1u + AuditLog::kOldFiles);
  for (const auto& [name, text] : files.files()) EXPECT_LE(text.size(), kLimit) << name;
  EXPECT_GT(log.stats().rotations, static_cast<uint64_t>(AuditLog::kOldFiles));
  EXPECT_THAT(files.files().at("audit.jsonl"), HasSubstr("change-59"));
  EXPECT_THAT(files.files().at("audit.jsonl.9"), testing::Not(HasSubstr("change-0\"")));
  json entries = Read(log);
  ASSERT_GT(entries.size(), 10u) << "of all files";
  for (size_t i = 0; i < entries.size(); i++) {
    EXPECT_EQ(entries[i]["object"], Cat("change-", 59 - i));
    EXPECT_EQ(entries[i]["outcome"], "done") << "also where a rotation fell between its lines";
  }
}

TEST_F(Audit, ARestartedAgentKnowsHowFullTheFileIs) {
  constexpr size_t kLimit = 1000;
  for (int i = 0; i < 20; i++) {
    AuditLog log = Log(kLimit);
    host.clock.Advance(kSecond);
    Make(log, Cat("change-", i));
  }
  EXPECT_LE(files.files().at("audit.jsonl").size(), kLimit);
  EXPECT_TRUE(files.files().contains("audit.jsonl.2"));
}

TEST_F(Audit, LongWordsAreCutAndTornLinesPassedOver) {
  AuditLog log = Log();
  Make(log, "one");
  files.Put("audit.jsonl", files.files().at("audit.jsonl") + "{\"action\":\"pool r");
  Make(log, std::string(5000, 'x'));
  json entries = Read(log);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_LT(entries[0]["object"].get<std::string>().size(), 1100u);
}

TEST_F(Audit, WhatCannotBeWrittenIsRefusedAndCounted) {
  AuditLog log = Log();
  files.SetFull(true);
  auto id = host.Run(log.Begin({.action = "pool rm", .object = "shop"}));
  EXPECT_EQ(id.status().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(Message(id.status())), HasSubstr("nothing was changed"));
  EXPECT_EQ(log.stats().failures, 1u);
}

}  // namespace
}  // namespace fairlead::app
