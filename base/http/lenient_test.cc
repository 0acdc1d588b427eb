#include "base/http/lenient.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::http {
namespace {

// The strict form as it is sent on; "" when it is refused in either form.
std::string Strict(const std::string& bytes) {
  std::string strict;
  size_t taken = 0;
  RequestHead head;
  if (MakeStrict(bytes, strict, taken) != ParseResult::kOk) return "";
  if (ParseRequest(strict, head) != ParseResult::kOk) return "";
  EXPECT_EQ(head.text.size(), strict.size());
  EXPECT_LE(taken, bytes.size());
  for (size_t n = 0; n < taken; n++) {
    std::string part;
    size_t unused;
    EXPECT_EQ(MakeStrict(bytes.substr(0, n), part, unused), ParseResult::kNeedMore) << n << " bytes of " << bytes;
  }
  return strict;
}

TEST(Lenient, BringsTheToleratedToOneReading) {
  const std::string plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  struct {
    const char* why;
    std::string bytes;
    std::string strict;
  } cases[] = {
      {"strict stays as it is", plain, plain},
      {"LF alone (RFC 9112 2.2)", "GET / HTTP/1.1\nHost: a\n\n", plain},
      {"mixed line ends", "GET / HTTP/1.1\nHost: a\r\n\n", plain},
      {"empty lines before it (RFC 9112 2.2)", "\r\n\n\r\n\n" + plain, plain},
      {"runs of blanks in the request line (RFC 9112 3)", "GET \t /  HTTP/1.1 \r\nHost: a\r\n\r\n", plain},
      {"folded field (RFC 9112 5.2)", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n \t c \r\n\td\r\n\r\n",
       "GET / HTTP/1.1\r\nHost: a\r\nX: b c d\r\n\r\n"},
      {"folded behind the colon", "GET / HTTP/1.1\r\nHost: a\r\nX:\n b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n"},
      {"more lines before it than anybody sends", "\n\n\n\n\n\n" + plain, ""},
      {"CR inside a line", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", ""},
      {"CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", ""},
      {"line ends of CR alone", "GET / HTTP/1.1\rHost: a\r\r\n\n", ""},
      {"blank before the request line", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
      {"fold before the first field", "GET / HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n", ""},
      {"fold of nothing", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n \r\n\r\n", ""},
      {"folded Host", "GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", ""},
      {"folded Transfer-Encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", ""},
      {"folded Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n 0\r\n\r\n", ""},
      {"blank before the colon", "GET / HTTP/1.1\nHost : a\n\n", ""},
      {"a fold hides no framing", "POST / HTTP/1.1\r\nHost: a\r\nX : b\r\n c\r\n\r\n", ""},
      {"both framings", "POST / HTTP/1.1\nHost: a\nContent-Length: 1\nTransfer-Encoding: chunked\n\n", ""},
      {"framing behind a lone LF counts", "POST / HTTP/1.1\r\nHost: a\r\nX: b\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ""},
      {"four words", "GET / b HTTP/1.1\nHost: a\n\n", ""},
      {"NUL", std::string("GET / HTTP/1.1\nHost: a\nX: \0\n\n", 30), ""},
      {"another version", "GET / HTTP/1.2\nHost: a\n\n", ""},
  };
  for (const auto& c : cases) EXPECT_EQ(Strict(c.bytes), c.strict) << c.why;
}

TEST(Lenient, TakesOnlyTheHead) {
  std::string strict, bytes = "GET / HTTP/1.1\nHost: a\n\nGET /next";
  size_t taken = 0;
  ASSERT_EQ(MakeStrict(bytes, strict, taken), ParseResult::kOk);
  EXPECT_EQ(bytes.substr(taken), "GET /next");
}

TEST(TrimFieldNames, TakesBlanksBeforeTheColonAway) {
  std::string trimmed;
  EXPECT_EQ(TrimFieldNames("HTTP/1.1 200 O : K\r\nContent-Length \t: 2\r\nX: a : b\r\n\r\nbody : x", trimmed), 2u);
  EXPECT_EQ(trimmed, "HTTP/1.1 200 O : K\r\nContent-Length: 2\r\nX: a : b\r\n\r\n");
  EXPECT_EQ(TrimFieldNames("HTTP/1.1 200 OK\r\nX : a\r\nY ", trimmed), 2u);  // as far as it has come
  EXPECT_EQ(trimmed, "HTTP/1.1 200 OK\r\nX: a\r\nY");
}

TEST(TrimFieldNames, LeavesWhatIsNoName) {
  std::string trimmed;
  for (std::string head : {"HTTP/1.1 200 OK\r\n : a\r\n\r\n", "HTTP/1.1 200 OK\r\nX\r\n\r\n", ""}) {
    EXPECT_EQ(TrimFieldNames(head, trimmed), 0u) << head;
    EXPECT_EQ(trimmed, head);
  }
}

}  // namespace
}  // namespace fairlead::http
