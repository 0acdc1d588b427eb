#include "base/http/writer.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::http {
namespace {

struct Buffer {
  char bytes[4096];
  HeadWriter writer{bytes, sizeof bytes};
};

TEST(HeadWriter, WritesNumbers) {
  Buffer out;
  out.writer.Decimal(0);
  out.writer.Text(" ");
  out.writer.Decimal(UINT64_MAX);
  out.writer.Text(" ");
  out.writer.Hex(0);
  out.writer.Text(" ");
  out.writer.Hex(0x7fffabc);
  out.writer.Text(" ");
  out.writer.HexPadded(0xabc);
  EXPECT_EQ(out.writer.text(), "0 18446744073709551615 0 7fffabc 0000000000000abc");
  EXPECT_TRUE(out.writer.ok());
}

TEST(HeadWriter, WritesARequestThatParsesToWhatWasSaid) {
  Buffer out;
  out.writer.RequestLine("GET", "/a?b");
  out.writer.Field("Host", "shop");
  out.writer.Field("Content-Length", 17);
  out.writer.EndHead();
  RequestHead head;
  ASSERT_EQ(ParseRequest(out.writer.text(), head), ParseResult::kOk);
  EXPECT_EQ(head.path, "/a?b");
  EXPECT_EQ(head.host, "shop");
  EXPECT_EQ(head.content_length, 17);
}

TEST(HeadWriter, PutsASlashBeforeAQueryWithoutAPath) {
  Buffer out;
  out.writer.RequestLine("GET", "?b");
  EXPECT_EQ(out.writer.text(), "GET /?b HTTP/1.1\r\n");
}

TEST(HeadWriter, WritesStatusLinesWithAndWithoutAReason) {
  Buffer out;
  out.writer.StatusLine(404, "");
  out.writer.StatusLine(200, "Fine");
  out.writer.StatusLine(599, "");
  EXPECT_EQ(out.writer.text(), "HTTP/1.1 404 \r\nHTTP/1.1 200 Fine\r\nHTTP/1.1 599 \r\n");
}

TEST(HeadWriter, CopiesFieldsByteForByte) {
  std::string bytes = "GET / HTTP/1.1\r\nhOST:a\r\nX:  odd \t\r\nY:\r\n\r\n";
  RequestHead head;
  ASSERT_EQ(ParseRequest(bytes, head), ParseResult::kOk);
  Buffer out;
  out.writer.CopyFields(head);
  EXPECT_EQ(out.writer.text(), "hOST:a\r\nX:  odd \t\r\nY:\r\n");
}

TEST(HeadWriter, LeavesOutWhatEndsHereAndWhatIsReplaced) {
  std::string bytes =
      "GET / HTTP/1.1\r\nConnection: X-Hop\r\nHost: a\r\nX-Hop: 1\r\nAccept: b\r\nX-Forwarded-For: c\r\n"
      "Content-Length: 5\r\nContent-Length: 5\r\nVia: d\r\nKeep-Alive: e\r\n\r\n";
  RequestHead head;
  ASSERT_EQ(ParseRequest(bytes, head), ParseResult::kOk);
  Buffer out;
  out.writer.CopyFields(head, FieldBit(FieldId::kXForwardedFor) | FieldBit(FieldId::kMaxForwards));
  EXPECT_EQ(out.writer.text(), "Host: a\r\nAccept: b\r\nContent-Length: 5\r\nVia: d\r\n");
}

TEST(HeadWriter, WritesAWholeReply) {
  Buffer out;
  out.writer.Reply(503, "text/plain", "no endpoint\n", true);
  EXPECT_EQ(out.writer.text(),
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n"
            "Connection: close\r\n\r\nno endpoint\n");
}

TEST(HeadWriter, RemembersWhatDidNotFitAndWritesNothingBehindIt) {
  char bytes[16];
  HeadWriter writer(bytes, sizeof bytes);
  writer.Text("0123456789abcdef");
  EXPECT_TRUE(writer.ok());
  HeadWriter small(bytes, sizeof bytes);
  small.Text("0123456789");
  small.Text("too long");
  small.Text("x");
  EXPECT_FALSE(small.ok());
  EXPECT_EQ(small.text(), "0123456789");
}

}  // namespace
}  // namespace fairlead::http
