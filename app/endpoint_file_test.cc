#include "app/endpoint_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/sim/sim_files.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kPath[] = "/agent/endpoints.json";

EndpointFile::Key KeyOf(size_t i) { return {"db.shop", Cat("10.0.", i / 250, ".", i % 250, ":80")}; }
std::string Value(size_t i) { return Cat(R"({"n":)", i, "}"); }

class EndpointFileTest : public testing::Test {
 protected:
  EndpointFileTest() { EXPECT_TRUE(Open().ok()); }
  // After a restart, with what it read.
  StatusOr<EndpointFile::Values> Open() {
    file_.emplace(files_, kPath);
    return file_->Read();
  }
  Status Write(const EndpointFile::Key& key, std::string value) { return file_->Flush(file_->Add(key, std::move(value))); }
  size_t bytes() const { return files_.files().at(kPath).size(); }

  SeededRandom random_{7};
  sim::SimFiles files_{random_};
  std::optional<EndpointFile> file_;
};

TEST_F(EndpointFileTest, GivesBackWhatWasWritten) {
  ASSERT_TRUE(Write(KeyOf(1), Value(1)).ok());
  ASSERT_TRUE(Write(KeyOf(2), Value(2)).ok());
  ASSERT_TRUE(Write(KeyOf(1), Value(3)).ok());
  ASSERT_TRUE(Write(KeyOf(2), "").ok());
  EXPECT_EQ(*Open(), (EndpointFile::Values{{KeyOf(1), Value(3)}}));
  ASSERT_TRUE(Write(KeyOf(1), "").ok());
  EXPECT_THAT(*Open(), IsEmpty());
}

TEST_F(EndpointFileTest, AChangeCostsItsOwnLineHoweverManyThereAre) {
  for (size_t i = 0; i < 1000; i++) ASSERT_TRUE(Write(KeyOf(i), Value(i)).ok());
  const size_t before = bytes();
  ASSERT_TRUE(Write(KeyOf(1), Value(2)).ok());
  EXPECT_LT(bytes() - before, 100u);
  EXPECT_EQ(Open()->size(), 1000u);
}

TEST_F(EndpointFileTest, IsWrittenAnewBeforeItIsTwiceAsLongAsItNeedBe) {
  const std::string value = Cat(R"({"text":")", std::string(1000, 'x'), R"("})");
  for (size_t i = 0; i < 3000; i++) {
    ASSERT_TRUE(Write(KeyOf(i % 10), value).ok());
    ASSERT_LT(bytes(), EndpointFile::kMinAddedBytes + 30'000);
  }
  EXPECT_EQ(Open()->size(), 10u);
}

TEST_F(EndpointFileTest, WhatComesWhileItIsWrittenIsWrittenTogether) {
  ASSERT_TRUE(Write(KeyOf(0), Value(0)).ok());
  std::vector<uint64_t> changes;
  for (size_t i = 1; i <= 100; i++) changes.push_back(file_->Add(KeyOf(i), Value(i)));
  const uint64_t writes = files_.writes();
  for (uint64_t change : changes) EXPECT_TRUE(file_->Flush(change).ok());
  EXPECT_EQ(files_.writes(), writes + 1);
  EXPECT_EQ(Open()->size(), 101u);
}

TEST_F(EndpointFileTest, OfWhatIsWrittenTogetherAllFailOrNone) {
  ASSERT_TRUE(Write(KeyOf(1), Value(1)).ok());
  files_.SetFull(true);
  const uint64_t first = file_->Add(KeyOf(1), Value(2)), second = file_->Add(KeyOf(2), Value(2));
  EXPECT_FALSE(file_->Flush(first).ok());
  EXPECT_FALSE(file_->Flush(second).ok());
  files_.SetFull(false);
  ASSERT_TRUE(Write(KeyOf(3), Value(3)).ok());
  EXPECT_EQ(*Open(), (EndpointFile::Values{{KeyOf(1), Value(1)}, {KeyOf(3), Value(3)}}));
}

// Of an acknowledged change nothing is lost, and of the one that the crash met all is there or nothing.
TEST_F(EndpointFileTest, ACrashAtAnyStepOfAnyWriteLosesNothing) {
  using enum sim::SimFiles::CrashPoint;
  EndpointFile::Values sure;
  int torn = 0, whole = 0;
  for (size_t i = 0; i < 2000; i++) {
    const EndpointFile::Key key = KeyOf(random_.Below(20));
    const std::string value = random_.OneIn(4) ? "" : Value(i);
    if (i % 200 == 0) ASSERT_TRUE(Write(KeyOf(99), Cat(R"({"x":")", std::string(EndpointFile::kMinAddedBytes, 'x'), R"("})")).ok());  // the next one writes all
    if (i % 200 == 0) sure[KeyOf(99)] = (*Open())[KeyOf(99)];
    for (auto point : {kInTheTemporaryFile, kBeforeRename, kBeforeFolderSync, kAfterwards})
      if (random_.OneIn(8)) files_.CrashAt(point);
    EndpointFile::Values with = sure;
    value.empty() ? void(with.erase(key)) : void(with[key] = value);
    if (Write(key, value).ok()) {
      sure = with;
      continue;
    }
    files_.Restart();
    auto found = Open();
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_TRUE(*found == sure || *found == with) << i;
    ++(*found == with ? whole : torn);
    sure = *found;
  }
  EXPECT_EQ(*Open(), sure);
  EXPECT_GT(torn, 50);
  EXPECT_GT(whole, 50);
}

TEST_F(EndpointFileTest, ATornLineIsLeftOutAndNothingFollowsIt) {
  ASSERT_TRUE(Write(KeyOf(1), Value(1)).ok());
  files_.Put(kPath, files_.files().at(kPath) + R"([{"key": ["db.shop", "10.0)");
  EXPECT_EQ(*Open(), (EndpointFile::Values{{KeyOf(1), Value(1)}}));
  ASSERT_TRUE(Write(KeyOf(2), Value(2)).ok());
  EXPECT_EQ(Open()->size(), 2u);
}

TEST_F(EndpointFileTest, DamageIsAnErrorThatNamesTheLineAndTheWayOut) {
  for (size_t i = 0; i < 3; i++) ASSERT_TRUE(Write(KeyOf(i), Value(i)).ok());
  std::string text = files_.files().at(kPath);
  text[text.find("[{", text.find("10.0.0.0"))] = '?';
  files_.Put(kPath, text);
  const Status damaged = Open().status();
  EXPECT_EQ(damaged.code(), StatusCode::kDataLoss);
  EXPECT_THAT(Message(damaged), HasSubstr("line 3 of /agent/endpoints.json is no list of endpoints; move it away"));
  files_.Put(kPath, "hello\n");
  EXPECT_THAT(Message(Open().status()), HasSubstr("is no list of registered endpoints; move it away"));
}

}  // namespace
}  // namespace fairlead::app
