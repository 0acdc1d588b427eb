#include "base/http/path.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace fairlead::http {
namespace {

std::string Normal(const std::string& path) {
  std::string out(path.size(), '\0');
  out.resize(NormalizePath(path, out.data()));
  return out;
}

TEST(NormalizePath, MergesSlashesAndResolvesDots) {
  struct {
    const char* path;
    const char* normal;
  } cases[] = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"/a/b/", "/a/b/"},
      {"//", "/"},
      {"///a//b///", "/a/b/"},
      {"/.", "/"},
      {"/..", "/"},
      {"/./a", "/a"},
      {"/a/.", "/a/"},
      {"/a/..", "/"},
      {"/a/b/..", "/a/"},
      {"/a/b/../c", "/a/c"},
      {"/a/./b/../../c/d", "/c/d"},
      {"/../../etc/passwd", "/etc/passwd"},
      {"/a//../b", "/b"},
      {"/a/b/c/./../../g", "/a/g"},                       // RFC 3986 5.2.4
      {"/mid/content=5/../6", "/mid/6"},
      {"/%2e%2E/admin", "/admin"},
      {"/a/.%2e/b", "/b"},
      {"/a/%2e/b", "/a/b"},
      {"/a/%2e%2e", "/"},
      {"/...", "/..."},
      {"/.a/..b/c.", "/.a/..b/c."},
      {"/%2e%2e%2e", "/%2e%2e%2e"},
      {"/%2", "/%2"},
      {"/a%2F..%2fb", "/a%2F..%2fb"},                     // an encoded slash parts nothing
      {"/%61/\xc3\xa9", "/%61/\xc3\xa9"},
      {"/a/..?b//../c", "/?b//../c"},                     // a query is none of ours
      {"/?", "/?"},
      {"//?x", "/?x"},
      {"/..;/a", "/..;/a"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Normal(c.path), c.normal) << c.path;
    EXPECT_EQ(IsNormalPath(c.path), std::string(c.path) == c.normal) << c.path;
  }
}

TEST(NormalizePath, IsIdempotentAndNeverGrows) {
  SeededRandom random(3);
  constexpr std::string_view kPieces[] = {"/", ".", "%2e", "%2E", "a", "?", "%", "2", ".."};
  for (int i = 0; i < 20000; i++) {
    std::string path = "/";
    for (uint64_t n = random.Below(12); n > 0; n--) path += kPieces[random.Below(std::size(kPieces))];
    std::string normal = Normal(path);  // the sanitizer sees a byte too many
    ASSERT_LE(normal.size(), path.size()) << path;
    ASSERT_EQ(normal.front(), '/') << path;
    ASSERT_EQ(Normal(normal), normal) << path;
    ASSERT_EQ(IsNormalPath(path), normal == path) << path;
  }
}

}  // namespace
}  // namespace fairlead::http
