// The corpus of query_fuzz, and each of its queries cut at every byte.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "discovery/dns/fuzz_zone.h"

namespace fairlead::dns {
namespace {

TEST(QueryCorpus, IsAnsweredWellFormed) {
  FuzzZone zone;
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FAIRLEAD_DNS_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    Packet query{std::istreambuf_iterator<char>(file), {}};
    for (size_t bytes = 0; bytes <= query.size(); bytes++) zone.Try(std::span(query).first(bytes));
    ++inputs;
  }
  EXPECT_GE(inputs, 20u);
}

}  // namespace
}  // namespace fairlead::dns
