// Every input of the fuzz corpora through the functions of the fuzz targets, in ordinary builds.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/http/fuzz_properties.h"

namespace fairlead::http {
namespace {

// Gives how many inputs there were.
int RunCorpus(const char* name, void (*check)(std::string_view)) {
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(FAIRLEAD_HTTP_CORPUS) / name)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    check(std::string(std::istreambuf_iterator<char>(file), {}));
    ++inputs;
  }
  return inputs;
}

TEST(Corpus, Requests) { EXPECT_GE(RunCorpus("request_fuzz", CheckRequests), 60); }
TEST(Corpus, Responses) { EXPECT_GE(RunCorpus("response_fuzz", CheckResponses), 30); }
TEST(Corpus, ChunkedBodies) { EXPECT_GE(RunCorpus("chunked_fuzz", CheckChunked), 36); }
TEST(Corpus, LenientHeads) { EXPECT_GE(RunCorpus("lenient_fuzz", CheckLenient), 12); }
TEST(Corpus, Paths) { EXPECT_GE(RunCorpus("path_fuzz", CheckPath), 12); }

}  // namespace
}  // namespace fairlead::http
