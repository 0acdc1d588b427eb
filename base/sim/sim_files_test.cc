#include "base/sim/sim_files.h"

#include <gtest/gtest.h>

#include "base/sim/sim_offload.h"
#include "base/sim/sim_proactor.h"

namespace fairlead::sim {
namespace {

using CrashPoint = SimFiles::CrashPoint;

TEST(SimFiles, ReadsWhatWasWritten) {
  SeededRandom random(1);
  SimFiles files(random);
  EXPECT_EQ(files.Read("/state").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(files.WriteAtomically("/state", "rows").ok());
  EXPECT_EQ(*files.Read("/state"), "rows");
}

TEST(SimFiles, CrashAtAnyStepLeavesOldOrNewAndNeverAMixture) {
  int old_kept = 0, new_kept = 0;
  for (CrashPoint point : {CrashPoint::kInTheTemporaryFile, CrashPoint::kBeforeRename, CrashPoint::kBeforeFolderSync,
                           CrashPoint::kAfterwards}) {
    for (uint64_t seed = 0; seed < 50; seed++) {
      SeededRandom random(seed);
      SimFiles files(random);
      ASSERT_TRUE(files.WriteAtomically("/state", "old").ok());
      files.CrashAt(point);
      EXPECT_EQ(files.WriteAtomically("/state", "new content").code(), StatusCode::kUnavailable);
      EXPECT_FALSE(files.Read("/state").ok());
      files.Restart();
      std::string content = *files.Read("/state");
      EXPECT_TRUE(content == "old" || content == "new content") << content;
      if (point == CrashPoint::kBeforeRename) EXPECT_EQ(content, "old");
      if (point == CrashPoint::kAfterwards) EXPECT_EQ(content, "new content");
      ++(content == "old" ? old_kept : new_kept);
    }
  }
  EXPECT_GT(old_kept, 100);  // the first two points, and some of the third
  EXPECT_GT(new_kept, 50);
}

TEST(SimFiles, ACrashTearsAnAppendedLineAndTheNextOneStandsAlone) {
  for (uint64_t seed = 0; seed < 50; seed++) {
    SeededRandom random(seed);
    SimFiles files(random);
    ASSERT_TRUE(files.AppendLine("/log", "first").ok());
    files.CrashAt(CrashPoint::kInTheTemporaryFile);
    EXPECT_EQ(files.AppendLine("/log", "second").code(), StatusCode::kUnavailable);
    files.Restart();
    const std::string torn = *files.Read("/log");
    EXPECT_TRUE(std::string("first\nsecond").starts_with(torn) && torn.starts_with("first\n")) << torn;
    ASSERT_TRUE(files.AppendLine("/log", "third").ok());
    EXPECT_TRUE(files.Read("/log")->ends_with("\nthird\n"));
  }
}

TEST(SimFiles, FullDiskKeepsTheOldAndNamesThePath) {
  SeededRandom random(1);
  SimFiles files(random);
  ASSERT_TRUE(files.WriteAtomically("/state", "old").ok());
  files.SetFull(true);
  Status status = files.WriteAtomically("/state", "new");
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(Message(status).find("/state"), std::string_view::npos);
  EXPECT_EQ(*files.Read("/state"), "old");
}

TEST(SimFiles, FlippedByteChangesTheContent) {
  SeededRandom random(1);
  SimFiles files(random);
  files.Put("/state", "content");
  files.FlipByte("/state");
  EXPECT_NE(*files.Read("/state"), "content");
}

io::Task<void> WriteMany(io::Offload& offload, io::Proactor& worker, io::Files& files, int count, int* acknowledged) {
  for (int i = 1; i <= count; i++) {
    Status written = co_await io::OffloadTo(offload, worker, [&files, i] {
      return files.WriteAtomically("/counter", Cat(i));
    });
    if (written.ok()) *acknowledged = i;
  }
}

TEST(SimOffload, CallsRunInOrderAndTakeTime) {
  SimWorld world(1);
  SimProactor worker(world, IpAddress::V4(1));
  SimOffload offload(world);
  SimFiles files(world.random());
  int acknowledged = 0;
  Nanos before = world.Now();
  io::TaskGroup group;
  group.Spawn(WriteMany(offload, worker, files, 20, &acknowledged));
  EXPECT_EQ(offload.calls(), 0u);  // never from within Submit
  EXPECT_TRUE(world.RunUntil([&] { return group.live() == 0; }, kSecond));
  EXPECT_EQ(acknowledged, 20);
  EXPECT_EQ(*files.Read("/counter"), "20");
  EXPECT_GT(world.Now(), before);
}

TEST(SimOffload, CrashBeforeAnyCallLosesNothingAcknowledged) {
  for (size_t nth = 1; nth <= 10; nth++) {
    SimWorld world(nth);
    SimProactor worker(world, IpAddress::V4(1));
    SimOffload offload(world);
    SimFiles files(world.random());
    int acknowledged = 0;
    io::TaskGroup group;
    group.Spawn(WriteMany(offload, worker, files, 10, &acknowledged));
    offload.Before(nth, [&files] { files.CrashNow(); });
    EXPECT_TRUE(world.RunUntil([&] { return group.live() == 0; }, kSecond));
    EXPECT_EQ(acknowledged, static_cast<int>(nth) - 1);
    files.Restart();
    EXPECT_EQ(files.Read("/counter").value_or("0"), Cat(acknowledged));
  }
}

}  // namespace
}  // namespace fairlead::sim
