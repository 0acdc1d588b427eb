#include <gtest/gtest.h>

#include <string>

#include "base/http/head.h"
#include "base/strings.h"

namespace fairlead::http {
namespace {

void Append(void* context, std::string_view run) { static_cast<std::string*>(context)->append(run); }

struct Fed {
  bool bad = false;
  bool done = false;
  size_t taken = 0;
  std::string content;
  friend bool operator==(const Fed&, const Fed&) = default;
};

Fed Feed(const std::string& bytes, size_t piece) {
  ChunkedBody body;
  Fed fed;
  while (fed.taken < bytes.size() && !body.done()) {
    std::string part = bytes.substr(fed.taken, piece);
    int64_t taken = body.Feed(part, Append, &fed.content);
    fed.bad = taken < 0;
    if (fed.bad) break;
    fed.taken += static_cast<size_t>(taken);
  }
  fed.done = body.done();
  return fed;
}

struct Case {
  const char* why;
  std::string bytes;
  bool valid;
  std::string content = "";
};

class ChunkedVerdict : public testing::TestWithParam<Case> {};

TEST_P(ChunkedVerdict, IsTheSameInPiecesOfAnySize) {
  const Case& c = GetParam();
  Fed whole = Feed(c.bytes + "NEXT", c.bytes.size() + 4);
  EXPECT_EQ(whole.bad, !c.valid) << c.why;
  EXPECT_EQ(whole.done, c.valid) << c.why;
  if (c.valid) {
    EXPECT_EQ(whole.taken, c.bytes.size()) << c.why;
    EXPECT_EQ(whole.content, c.content) << c.why;
  }
  for (size_t piece = 1; piece <= c.bytes.size(); piece++) {
    Fed fed = Feed(c.bytes + "NEXT", piece);
    EXPECT_EQ(fed.bad, whole.bad) << c.why << ", pieces of " << piece;
    if (c.valid) EXPECT_EQ(fed, whole) << c.why << ", pieces of " << piece;
  }
}

const Case kCases[] = {
    {"empty", "0\r\n\r\n", true},
    {"one chunk", "5\r\nhello\r\n0\r\n\r\n", true, "hello"},
    {"two chunks", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", true, "hello!"},
    {"hexadecimal in both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", true, "01234567890123456789"},
    {"leading zeros", "005\r\nhello\r\n000\r\n\r\n", true, "hello"},
    {"line ends as content", "4\r\n\r\n\r\n\r\n0\r\n\r\n", true, "\r\n\r\n"},
    {"extension", "5;a=b;c=\"d e\"\r\nhello\r\n0;z\r\n\r\n", true, "hello"},
    {"blank before an extension", "5 \t;a\r\nhello\r\n0\r\n\r\n", true, "hello"},
    {"trailers", "0\r\nX-Sum: abc\r\nEmpty:\r\n\r\n", true},
    {"no size", "\r\n\r\n", false},
    {"extension without a size", ";a\r\n\r\n", false},
    {"sign", "+5\r\nhello\r\n0\r\n\r\n", false},
    {"negative", "-1\r\n", false},
    {"prefix 0x", "0x5\r\nhello\r\n0\r\n\r\n", false},
    {"no hexadecimal digit", "5g\r\nhello\r\n0\r\n\r\n", false},
    {"15 digits", "000000000000005\r\nhello\r\n0\r\n\r\n", true, "hello"},
    {"16 digits", "0000000000000005\r\nhello\r\n0\r\n\r\n", false},
    {"a size that overflows", "fffffffffffffffff\r\n", false},
    {"blank behind a size", "5 \r\nhello\r\n0\r\n\r\n", false},
    {"blank before a size", " 5\r\nhello\r\n0\r\n\r\n", false},
    {"size line of LF alone", "5\nhello\r\n0\r\n\r\n", false},
    {"extension of LF alone", "5;a\nhello\r\n0\r\n\r\n", false},
    {"CR inside an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", false},
    {"NUL in an extension", std::string("5;a\0\r\nhello\r\n0\r\n\r\n", 19), false},
    {"size and CR CR", "5\r\r\nhello\r\n0\r\n\r\n", false},
    {"chunk longer than its size", "4\r\nhello\r\n0\r\n\r\n", false},
    {"chunk shorter than its size", "6\r\nhello\r\n0\r\n\r\n", false},
    {"chunk ended by LF alone", "5\r\nhello\n0\r\n\r\n", false},
    {"end of LF alone", "0\r\n\n", false},
    {"trailer of LF alone", "0\r\nX: a\n\r\n", false},
    {"trailer without a colon", "0\r\nX\r\n\r\n", false},
    {"trailer without a name", "0\r\n: a\r\n\r\n", false},
    {"blank before the colon of a trailer", "0\r\nX : a\r\n\r\n", false},
    {"folded trailer", "0\r\nX: a\r\n b\r\n\r\n", false},
    {"NUL in a trailer", std::string("0\r\nX: a\0\r\n\r\n", 12), false},
    {"a request for a trailer", "0\r\nGET / HTTP/1.1\r\n\r\n", false},
    {"framing in a trailer", "0\r\nContent-Length: 5\r\n\r\n", false},
    {"framing in a trailer, any case", "0\r\nX: a\r\ntransfer-ENCODING: chunked\r\n\r\n", false},
    {"Host in a trailer", "0\r\nHost: a\r\n\r\n", false},
    {"trailer with a longer name", "0\r\nContent-Length-Of-The-Rest: 5\r\n\r\n", true},
};
INSTANTIATE_TEST_SUITE_P(Chunked, ChunkedVerdict, testing::ValuesIn(kCases));

TEST(ChunkedBody, BoundsAnExtensionPerChunk) {
  std::string longest(ChunkedBody::kMaxExtensionBytes, 'x');
  std::string twice = Cat("1;", longest, "\r\na\r\n1;", longest, "\r\nb\r\n0\r\n\r\n");
  EXPECT_EQ(Feed(twice, twice.size()).content, "ab");
  std::string more = Cat("1;", longest, "x\r\na\r\n0\r\n\r\n");
  EXPECT_TRUE(Feed(more, more.size()).bad);
  std::string blanks = Cat("1", std::string(ChunkedBody::kMaxExtensionBytes + 1, ' '), ";x\r\na\r\n0\r\n\r\n");
  EXPECT_TRUE(Feed(blanks, blanks.size()).bad);
}

TEST(ChunkedBody, BoundsAllTrailersTogether) {
  std::string line = Cat("X: ", std::string(1020, 'y'), "\r\n"), trailers;
  for (int i = 0; i < 7; i++) trailers += line;
  std::string fits = Cat("0\r\n", trailers, "\r\n"), more = Cat("0\r\n", trailers, line, line, "\r\n");
  EXPECT_TRUE(Feed(fits, fits.size()).done);
  EXPECT_TRUE(Feed(more, more.size()).bad);
}

TEST(ChunkedBody, StaysBadAndStaysDone) {
  ChunkedBody bad, done;
  EXPECT_EQ(bad.Feed("x"), -1);
  EXPECT_EQ(bad.Feed("0\r\n\r\n"), -1);
  EXPECT_EQ(done.Feed("0\r\n\r\n"), 5);
  EXPECT_EQ(done.Feed("more"), 0);
}

TEST(ChunkedBody, CountsWithoutACallback) {
  ChunkedBody body;
  EXPECT_EQ(body.Feed("3\r\nabc\r\n0\r\n\r\nGET"), 13);
  EXPECT_TRUE(body.done());
}

}  // namespace
}  // namespace fairlead::http
