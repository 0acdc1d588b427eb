// The corpus of stream_fuzz, and each of its streams cut at every byte.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "discovery/stream_fuzz.h"

namespace fairlead::discovery {
namespace {

TEST(StreamCorpus, IsReadToItsEndWhereverItIsCut) {
  int inputs = 0, understood = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FAIRLEAD_STREAM_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::vector<uint8_t> stream{std::istreambuf_iterator<char>(file), {}};
    for (size_t bytes = 0; bytes < stream.size(); bytes++) (void)TryStream(std::span(stream).first(bytes));
    understood += TryStream(stream);
    ++inputs;
  }
  EXPECT_GE(inputs, 8);
  EXPECT_GE(understood, 12);
}

}  // namespace
}  // namespace fairlead::discovery
