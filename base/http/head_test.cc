#include "base/http/head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/strings.h"

namespace fairlead::http {

void PrintTo(ParseResult result, std::ostream* out) {
  constexpr const char* kNames[] = {"ok", "need more", "bad", "no host", "too many fields", "target too long", "bad version", "unsupported coding"};
  *out << kNames[static_cast<int>(result)];
}

namespace {

using enum ParseResult;

// Every prefix must ask for more or give the verdict of the whole.
ParseResult ParsePrefixes(const std::string& bytes, RequestHead& head) {
  ParseResult whole = ParseRequest(bytes, head);
  size_t head_bytes = whole == kOk ? head.text.size() : bytes.size();
  for (size_t n = 0; n < head_bytes; n++) {
    std::string prefix = bytes.substr(0, n);  // of its own, so that reading past it shows under AddressSanitizer
    ParseResult part = ParseRequest(prefix, head);
    EXPECT_TRUE(part == kNeedMore || (whole != kOk && part == whole)) << n << " bytes of " << bytes;
  }
  return ParseRequest(bytes, head);
}

struct Case {
  const char* why;
  std::string bytes;
  ParseResult verdict;
};

// A request of HTTP/1.1 with these field lines besides Host.
std::string With(std::string_view fields) { return Cat("POST / HTTP/1.1\r\nHost: a\r\n", fields, "\r\n"); }
std::string Line(std::string_view line) { return Cat(line, "\r\nHost: a\r\n\r\n"); }

class RequestVerdict : public testing::TestWithParam<Case> {};

TEST_P(RequestVerdict, IsTheSameForEveryPrefix) {
  RequestHead head;
  EXPECT_EQ(ParsePrefixes(GetParam().bytes, head), GetParam().verdict) << GetParam().why;
}

const Case kRequestLines[] = {
    {"plain", Line("GET / HTTP/1.1"), kOk},
    {"HTTP/1.0 needs no Host", "GET / HTTP/1.0\r\n\r\n", kOk},
    {"any token is a method", Line("M-SEARCH!#$%&'*+.^_`|~9 / HTTP/1.1"), kOk},
    {"one empty line before it is skipped (RFC 9112 2.2)", "\r\n" + Line("GET / HTTP/1.1"), kOk},
    {"two are not", "\r\n\r\n" + Line("GET / HTTP/1.1"), kBad},
    {"nor is a bare LF", "\n" + Line("GET / HTTP/1.1"), kBad},
    {"no method", Line(" / HTTP/1.1"), kBad},
    {"method with a colon", Line("GE:T / HTTP/1.1"), kBad},
    {"method with a tab", Line("GET\t/ HTTP/1.1"), kBad},
    {"no target", Line("GET HTTP/1.1"), kBad},
    {"empty target", Line("GET  HTTP/1.1"), kBad},
    {"two spaces before the target", Line("GET  / HTTP/1.1"), kBad},
    {"two spaces before the version", Line("GET /  HTTP/1.1"), kBad},
    {"tab before the version", Line("GET /\tHTTP/1.1"), kBad},
    {"space behind the version", Line("GET / HTTP/1.1 "), kBad},
    {"space in the target", Line("GET /a b HTTP/1.1"), kBad},
    {"'#' in the target (CVE-2023-45539)", Line("GET /a#b HTTP/1.1"), kBad},
    {"DEL in the target", Line("GET /a\x7f HTTP/1.1"), kBad},
    {"control in the target", Line("GET /a\x01 HTTP/1.1"), kBad},
    {"control far into the target", Line("GET /0123456789abcdef0123456789\x1f HTTP/1.1"), kBad},
    {"'#' far into the target", Line("GET /0123456789abcdef0123456789# HTTP/1.1"), kBad},
    {"NUL in the target", Line(std::string("GET /a\0b HTTP/1.1", 17)), kBad},
    {"CR in the target", Line("GET /a\rb HTTP/1.1"), kBad},
    {"UTF-8 in the target", Line("GET /caf\xc3\xa9 HTTP/1.1"), kOk},
    {"GBK and Latin-1 in the target", Line("GET /\xd6\xd0?\xe9=\xff\x80 HTTP/1.1"), kOk},
    {"HTTP/0.9", "GET /\r\n", kBad},
    {"HTTP/1.2", Line("GET / HTTP/1.2"), kBadVersion},
    {"HTTP/2.0", Line("GET / HTTP/2.0"), kBadVersion},
    {"HTTP/0.9 said aloud", Line("GET / HTTP/0.9"), kBadVersion},
    {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", kBad},
    {"HTTP/1.10", Line("GET / HTTP/1.10"), kBad},
    {"HTTP/1", Line("GET / HTTP/1"), kBad},
    {"HTTP/1,1", Line("GET / HTTP/1,1"), kBad},
    {"HTTP/ 1.1", Line("GET / HTTP/ 1.1"), kBad},
    {"http in lower case", Line("GET / http/1.1"), kBad},
    {"another protocol", Line("GET / ICAP/1.0"), kBad},
    {"version with a NUL", Line(std::string("GET / HTTP/1.\0", 14)), kBad},
    {"line end of LF alone", "GET / HTTP/1.1\nHost: a\r\n\r\n", kBad},
    {"line end of CR alone", "GET / HTTP/1.1\rHost: a\r\n\r\n", kBad},
};
INSTANTIATE_TEST_SUITE_P(RequestLine, RequestVerdict, testing::ValuesIn(kRequestLines));

const Case kTargets[] = {
    {"absolute-form", Line("GET http://a/b HTTP/1.1"), kOk},
    {"absolute-form, any case", Line("GET HTTPS://A/b HTTP/1.1"), kOk},
    {"absolute-form without a path", Line("GET http://a HTTP/1.1"), kOk},
    {"absolute-form with a query only", Line("GET http://a?b HTTP/1.1"), kOk},
    {"absolute-form without Host", "GET http://a/ HTTP/1.1\r\n\r\n", kNoHost},
    {"absolute-form without a host", Line("GET http:///b HTTP/1.1"), kBad},
    {"absolute-form with userinfo", Line("GET http://u:p@a/ HTTP/1.1"), kBad},
    {"absolute-form with a bad port", Line("GET http://a:8o/ HTTP/1.1"), kBad},
    {"absolute-form with a bad IPv6", Line("GET http://[::1/ HTTP/1.1"), kBad},
    {"another scheme", Line("GET ftp://a/ HTTP/1.1"), kBad},
    {"no scheme", Line("GET ://a/ HTTP/1.1"), kBad},
    {"relative path", Line("GET a/b HTTP/1.1"), kBad},
    {"relative path to a URI", Line("GET a?u=http://b HTTP/1.1"), kBad},
    {"asterisk-form", Line("OPTIONS * HTTP/1.1"), kOk},
    {"asterisk-form is for OPTIONS", Line("GET * HTTP/1.1"), kBad},
    {"asterisk and more", Line("OPTIONS */ HTTP/1.1"), kBad},
    {"authority-form", Line("CONNECT a:443 HTTP/1.1"), kOk},
    {"authority-form needs a port", Line("CONNECT a HTTP/1.1"), kBad},
    {"authority-form is for CONNECT", Line("GET a:443 HTTP/1.1"), kBad},
    {"CONNECT takes nothing else", Line("CONNECT /a:443 HTTP/1.1"), kBad},
};
INSTANTIATE_TEST_SUITE_P(Target, RequestVerdict, testing::ValuesIn(kTargets));

std::string Host(std::string_view value) { return Cat("GET / HTTP/1.1\r\nHost:", value, "\r\n\r\n"); }

const Case kHosts[] = {
    {"none", "GET / HTTP/1.1\r\n\r\n", kNoHost},
    {"two that differ", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", kBad},
    {"two that agree", "GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n", kBad},
    {"two under HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", kBad},
    {"empty, as dockerd sends it", Host(""), kOk},
    {"empty and blanks", Host(" \t "), kOk},
    {"name", Host(" a-b_c.example.com."), kOk},
    {"port", Host(" a:8080"), kOk},
    {"empty port", Host(" a:"), kOk},
    {"IPv4", Host(" 127.0.0.1:80"), kOk},
    {"IPv6", Host(" [::ffff:10.0.0.1]:80"), kOk},
    {"percent-encoded", Host(" caf%C3%A9"), kOk},
    {"broken percent", Host(" a%4"), kBad},
    {"broken percent at the end", Host(" a%"), kBad},
    {"port without a host", Host(" :80"), kBad},
    {"two ports", Host(" a:80:81"), kBad},
    {"port of letters", Host(" a:http"), kBad},
    {"list", Host(" a, b"), kBad},
    {"space", Host(" a b"), kBad},
    {"path", Host(" a/b"), kBad},
    {"userinfo", Host(" u@a"), kBad},
    {"IPv6 without brackets", Host(" ::1"), kBad},
    {"IPv6 and more", Host(" [::1]a"), kBad},
    {"empty brackets", Host(" []"), kBad},
    {"IPv6 with a zone", Host(" [fe80::1%eth0]"), kBad},
    {"bytes above 0x7f", Host(" caf\xc3\xa9"), kBad},
};
INSTANTIATE_TEST_SUITE_P(Host, RequestVerdict, testing::ValuesIn(kHosts));

const Case kFieldLines[] = {
    {"empty value", With("X:\r\n"), kOk},
    {"blanks around a value", With("X: \t v \t\r\n"), kOk},
    {"tab inside a value", With("X: a\tb\r\n"), kOk},
    {"bytes above 0x7f in a value", With("X: \xff\x80\r\n"), kOk},
    {"empty name (CVE-2023-25725)", With(": v\r\n"), kBad},
    {"no colon", With("X\r\n"), kBad},
    {"blank before the colon", With("X : v\r\n"), kBad},
    {"tab before the colon", With("X\t: v\r\n"), kBad},
    {"folded line", With("X: a\r\n b\r\n"), kBad},
    {"folded line with a tab", With("X: a\r\n\tb\r\n"), kBad},
    {"blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", kBad},
    {"line end of LF alone", With("X: a\nY: b\r\n"), kBad},
    {"blank line of LF alone", "GET / HTTP/1.1\r\nHost: a\r\n\n", kBad},
    {"CR in a value", With("X: a\rb\r\n"), kBad},
    {"CR CR LF", With("X: a\r\r\n"), kBad},
    {"NUL in a value", With(std::string("X: a\0b\r\n", 8)), kBad},
    {"NUL far into a value", With(std::string("X: 0123456789abcdef0123456789\0b\r\n", 33)), kBad},
    {"VT in a value", With("X: a\x0b\r\n"), kBad},
    {"DEL in a value", With("X: a\x7f\r\n"), kBad},
    {"DEL far into a value", With("X: 0123456789abcdef0123456789\x7f\r\n"), kBad},
    {"tab far into a value", With("X: 0123456789abcdef\t0123456789\t\r\n"), kOk},
    {"NUL in a name", With(std::string("X\0Y: a\r\n", 8)), kBad},
    {"parenthesis in a name", With("X(Y): a\r\n"), kBad},
    {"byte above 0x7f in a name", With("X\xe9: a\r\n"), kBad},
    {"name of 300 bytes (CVE-2021-40346)", With(std::string(300, 'x') + ": a\r\n"), kOk},
    {"Content-Length behind 256 letters", With("Content-Length" + std::string(256, 'x') + ": 5\r\n"), kOk},
};
INSTANTIATE_TEST_SUITE_P(FieldLine, RequestVerdict, testing::ValuesIn(kFieldLines));

const Case kFramings[] = {
    {"length", With("Content-Length: 5\r\n"), kOk},
    {"leading zeros", With("Content-Length: 005\r\n"), kOk},
    {"empty (CVE-2023-40225)", With("Content-Length:\r\n"), kBad},
    {"sign", With("Content-Length: +5\r\n"), kBad},
    {"negative", With("Content-Length: -5\r\n"), kBad},
    {"hexadecimal", With("Content-Length: 0x5\r\n"), kBad},
    {"blank inside", With("Content-Length: 5 5\r\n"), kBad},
    {"fraction", With("Content-Length: 5.0\r\n"), kBad},
    {"list of equal lengths", With("Content-Length: 5, 5\r\n"), kBad},
    {"more than 2^64", With("Content-Length: 18446744073709551621\r\n"), kBad},
    {"two that agree", With("Content-Length: 5\r\nContent-Length: 5\r\n"), kOk},
    {"two that differ", With("Content-Length: 5\r\ncontent-length: 6\r\n"), kBad},
    {"the second empty", With("Content-Length: 5\r\nContent-Length:\r\n"), kBad},
    {"chunked", With("Transfer-Encoding: chunked\r\n"), kOk},
    {"chunked, any case", With("tRANSFER-eNCODING: cHUNKED\r\n"), kOk},
    {"chunked and a length", With("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), kBad},
    {"a length and chunked", With("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), kBad},
    {"a coding and a length", With("Content-Length: 5\r\nTransfer-Encoding: gzip\r\n"), kBad},
    {"chunked under HTTP/1.0 (CVE-2026-2835)", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", kBad},
    {"another coding", With("Transfer-Encoding: gzip\r\n"), kUnsupportedCoding},
    {"identity", With("Transfer-Encoding: identity\r\n"), kUnsupportedCoding},
    {"a coding before chunked", With("Transfer-Encoding: gzip, chunked\r\n"), kUnsupportedCoding},
    {"something like chunked", With("Transfer-Encoding: xchunked\r\n"), kUnsupportedCoding},
    {"chunked not last", With("Transfer-Encoding: chunked, gzip\r\n"), kBad},
    {"chunked twice", With("Transfer-Encoding: chunked, chunked\r\n"), kBad},
    {"chunked on two lines", With("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), kBad},
    {"codings on two lines", With("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"), kBad},
    {"empty", With("Transfer-Encoding:\r\n"), kBad},
    {"empty element", With("Transfer-Encoding: ,chunked\r\n"), kBad},
    {"VT before it (CVE-2019-18277)", With("Transfer-Encoding: \x0b""chunked\r\n"), kBad},
    {"quoted", With("Transfer-Encoding: \"chunked\"\r\n"), kBad},
    {"parameter", With("Transfer-Encoding: chunked;a=b\r\n"), kBad},
    {"two words", With("Transfer-Encoding: chunked x\r\n"), kBad},
    {"blank before the colon", With("Transfer-Encoding : chunked\r\n"), kBad},
    {"folded", With("Transfer-Encoding:\r\n chunked\r\n"), kBad},
    {"'_' for '-' is another field", With("Transfer_Encoding: chunked\r\n"), kOk},
};
INSTANTIATE_TEST_SUITE_P(Framing, RequestVerdict, testing::ValuesIn(kFramings));

RequestHead& Parsed(const std::string& bytes, RequestHead& head) {
  EXPECT_EQ(ParseRequest(bytes, head), kOk) << bytes;
  return head;
}

TEST(ParseRequest, SplitsTheHeadInPlace) {
  std::string bytes = "PUT /a?b HTTP/1.1\r\nHost: shop:80\r\nX-A:  1 \r\nx-b:\r\n\r\nbody";
  RequestHead head;
  Parsed(bytes, head);
  EXPECT_EQ(head.method, "PUT");
  EXPECT_EQ(head.target, "/a?b");
  EXPECT_EQ(head.path, "/a?b");
  EXPECT_EQ(head.host, "shop:80");
  EXPECT_EQ(head.minor_version, 1);
  EXPECT_EQ(head.text, bytes.substr(0, bytes.size() - 4));
  EXPECT_EQ(head.fields_text, "Host: shop:80\r\nX-A:  1 \r\nx-b:\r\n");
  ASSERT_EQ(head.field_count, 3);
  EXPECT_EQ(head.fields[0].id, FieldId::kHost);
  EXPECT_EQ(head.fields[1].name, "X-A");
  EXPECT_EQ(head.fields[1].value, "1");
  EXPECT_EQ(head.fields[1].line, "X-A:  1 \r\n");
  EXPECT_EQ(head.fields[2].value, "");
  EXPECT_EQ(head.Find("x-a"), &head.fields[1]);
  EXPECT_EQ(head.Find(FieldId::kHost), &head.fields[0]);
  EXPECT_EQ(head.Find("x-c"), nullptr);
  EXPECT_EQ(head.Find(FieldId::kVia), nullptr);
  EXPECT_GE(head.text.data(), bytes.data());
}

TEST(ParseRequest, CountsTheSkippedEmptyLine) {
  RequestHead head;
  std::string bytes = "\r\nGET / HTTP/1.0\r\n\r\n";
  EXPECT_EQ(Parsed(bytes, head).text.size(), bytes.size());
}

TEST(ParseRequest, TakesPathAndHostFromTheTarget) {
  struct {
    std::string line;
    std::string_view host, path;
  } cases[] = {
      {"GET /x HTTP/1.1", "h", "/x"},
      {"GET //x HTTP/1.1", "h", "//x"},
      {"GET http://a:81/x?y HTTP/1.1", "a:81", "/x?y"},
      {"GET http://a HTTP/1.1", "a", "/"},
      {"GET http://a?y HTTP/1.1", "a", "?y"},
      {"OPTIONS http://a HTTP/1.1", "a", "*"},
      {"OPTIONS http://a/ HTTP/1.1", "a", "/"},
      {"OPTIONS * HTTP/1.1", "h", "*"},
      {"CONNECT a:81 HTTP/1.1", "h", ""},
  };
  for (const auto& c : cases) {
    RequestHead head;
    std::string bytes = c.line + "\r\nHost: h\r\n\r\n";
    Parsed(bytes, head);
    EXPECT_EQ(head.host, c.host) << c.line;
    EXPECT_EQ(head.path, c.path) << c.line;
  }
}

TEST(ParseRequest, DecidesTheFraming) {
  RequestHead head;
  std::string none = With(""), length = With("Content-Length: 0042\r\n"), chunked = With("Transfer-Encoding: Chunked\r\n");
  EXPECT_EQ(Parsed(none, head).framing, Framing::kNone);
  EXPECT_EQ(head.content_length, -1);
  EXPECT_EQ(Parsed(length, head).framing, Framing::kLength);
  EXPECT_EQ(head.content_length, 42);
  EXPECT_EQ(Parsed(chunked, head).framing, Framing::kChunked);
}

TEST(ParseRequest, TakesAHundredFieldsAndNoMore) {
  std::string fields;
  for (int i = 1; i < kMaxFields; i++) fields += "X: y\r\n";
  RequestHead head;
  std::string fits = With(fields), more = With(fields + "X: y\r\n");
  EXPECT_EQ(Parsed(fits, head).field_count, kMaxFields);
  EXPECT_EQ(ParsePrefixes(more, head), kTooManyFields);
}

TEST(ParseRequest, HoldsToTheLimitsItIsGiven) {
  RequestHead head;
  HeadLimits limits{.target_bytes = 8, .fields = 3};
  std::string fields = "Host: a\r\nX: 1\r\nY: 2\r\n";
  std::string fits = Cat("GET /1234567 HTTP/1.1\r\n", fields, "\r\n");
  EXPECT_EQ(ParseRequest(fits, head, limits), kOk);
  std::string more = Cat("GET / HTTP/1.1\r\n", fields, "Z: 3\r\n\r\n");
  EXPECT_EQ(ParseRequest(more, head, limits), kTooManyFields);
  std::string longer = Cat("GET /12345678 HTTP/1.1\r\n", fields, "\r\n");
  for (size_t n = 0; n <= longer.size(); n++)  // 13 bytes tell
    EXPECT_EQ(ParseRequest(longer.substr(0, n), head, limits), n < 13 ? kNeedMore : kTargetTooLong) << n;
}

TEST(ParseRequest, ForgetsTheHeadBefore) {
  RequestHead head;
  std::string first = With("Connection: close, X\r\nContent-Length: 5\r\nExpect: 100-continue\r\n");
  std::string second = "GET / HTTP/1.0\r\n\r\n";
  EXPECT_TRUE(Parsed(first, head).expect_continue);
  Parsed(second, head);
  EXPECT_EQ(head.content_length, -1);
  EXPECT_EQ(head.field_count, 0);
  EXPECT_EQ(head.host, "");
  EXPECT_FALSE(head.connection_close || head.has_hop_by_hop || head.expect_continue || head.connection_lists_fields);
}

TEST(ParseRequest, HonoursExpectOfHttp11) {
  RequestHead head;
  std::string yes = With("Expect: 100-Continue\r\n"), other = With("Expect: 200-ok\r\n");
  std::string old = "POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n";
  EXPECT_TRUE(Parsed(yes, head).expect_continue);
  EXPECT_FALSE(Parsed(other, head).expect_continue);
  EXPECT_FALSE(Parsed(old, head).expect_continue);
}

TEST(Head, PersistsByVersionAndConnection) {
  struct {
    int minor;
    const char* fields;
    bool persistent;
  } cases[] = {
      {1, "", true},
      {1, "Connection: close\r\n", false},
      {1, "Connection: CLOSE\r\n", false},
      {1, "Connection: x, close\r\n", false},
      {1, "Connection: keep-alive\r\nConnection: close\r\n", false},
      {1, "Connection: ,,\t close ,\r\n", false},
      {1, "Connection: closed\r\n", true},
      {0, "", false},
      {0, "Connection: Keep-Alive\r\n", true},
      {0, "Connection: keep-alive, close\r\n", false},
  };
  for (const auto& c : cases) {
    RequestHead head;
    std::string bytes = Cat("GET / HTTP/1.", c.minor, "\r\nHost: a\r\n", c.fields, "\r\n");
    EXPECT_EQ(Parsed(bytes, head).persistent(), c.persistent) << bytes;
  }
}

TEST(Head, KnowsAnUpgradeOfHttp11Only) {
  RequestHead head;
  std::string fields = "Host: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
  std::string new_one = "GET / HTTP/1.1\r\n" + fields, old_one = "GET / HTTP/1.0\r\n" + fields;
  EXPECT_TRUE(Parsed(new_one, head).connection_upgrade);
  EXPECT_FALSE(Parsed(old_one, head).connection_upgrade);
}

std::vector<std::string> HopByHopNames(const Head& head) {
  std::vector<std::string> names;
  for (int i = 0; i < head.field_count; i++)
    if (head.IsHopByHop(head.fields[i])) names.emplace_back(head.fields[i].name);
  return names;
}

TEST(Head, EndsFieldsHereThatAnyConnectionLineLists) {
  RequestHead head;
  std::string bytes = With(
      "Connection: X-One\r\nX-One: 1\r\nX-Two: 2\r\nx-three: 3\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n"
      "Upgrade: h2c\r\nProxy-Connection: keep-alive\r\nVia: 1.1 a\r\nConnection: close, X-THREE\r\n");
  EXPECT_TRUE(Parsed(bytes, head).has_hop_by_hop);
  EXPECT_THAT(HopByHopNames(head), testing::ElementsAre("Connection", "X-One", "x-three", "Keep-Alive", "TE", "Upgrade",
                                                        "Proxy-Connection", "Connection"));
}

TEST(Head, NeverEndsFramingOrHostHere) {
  RequestHead head;
  std::string bytes = With("Connection: Host, Content-Length, Transfer-Encoding\r\nContent-Length: 5\r\n");
  Parsed(bytes, head);
  EXPECT_THAT(HopByHopNames(head), testing::ElementsAre("Connection"));
}

TEST(Head, LetsOneOfTwoContentLengthsGoOn) {
  RequestHead head;
  std::string bytes = With("Content-Length: 5\r\nContent-Length: 5\r\n");
  EXPECT_TRUE(Parsed(bytes, head).has_hop_by_hop);
  EXPECT_FALSE(head.IsHopByHop(head.fields[1]));
  EXPECT_TRUE(head.IsHopByHop(head.fields[2]));
}

TEST(Head, HasNothingHopByHopInAPlainRequest) {
  RequestHead head;
  std::string bytes = With("Accept: */*\r\nUser-Agent: x\r\nContent-Length: 5\r\n");
  EXPECT_FALSE(Parsed(bytes, head).has_hop_by_hop);
}

TEST(IdentifyField, KnowsNamesInAnyCaseAndNothingNear) {
  const std::pair<std::string, FieldId> names[] = {
      {"host", FieldId::kHost}, {"connection", FieldId::kConnection}, {"content-length", FieldId::kContentLength},
      {"transfer-encoding", FieldId::kTransferEncoding}, {"te", FieldId::kTe}, {"trailer", FieldId::kTrailer},
      {"upgrade", FieldId::kUpgrade}, {"keep-alive", FieldId::kKeepAlive},
      {"proxy-connection", FieldId::kProxyConnection}, {"expect", FieldId::kExpect},
      {"x-forwarded-for", FieldId::kXForwardedFor}, {"x-forwarded-proto", FieldId::kXForwardedProto},
      {"x-request-id", FieldId::kXRequestId}, {"via", FieldId::kVia}, {"max-forwards", FieldId::kMaxForwards},
      {"forwarded", FieldId::kForwarded}, {"traceparent", FieldId::kTraceparent},
      {"tracestate", FieldId::kTracestate}, {"b3", FieldId::kB3}, {"x-b3-traceid", FieldId::kB3TraceId},
      {"x-b3-spanid", FieldId::kB3SpanId}, {"x-b3-parentspanid", FieldId::kB3ParentSpanId}};
  for (const auto& [name, id] : names) {
    std::string upper = name;
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c;
    EXPECT_EQ(IdentifyField(name), id);
    EXPECT_EQ(IdentifyField(upper), id);
    EXPECT_EQ(IdentifyField(name + "x"), FieldId::kOther);
    EXPECT_EQ(IdentifyField(name.substr(1)), FieldId::kOther);
    for (size_t i = 0; i < name.size(); i++) {
      std::string other = name;
      other[i] = other[i] == 'x' ? 'y' : 'x';
      EXPECT_EQ(IdentifyField(other), FieldId::kOther) << other;
    }
  }
}

// --- responses

class ResponseVerdict : public testing::TestWithParam<Case> {};

TEST_P(ResponseVerdict, IsTheSameForEveryPrefix) {
  ResponseHead head;
  const std::string& bytes = GetParam().bytes;
  ParseResult whole = ParseResponse(bytes, false, head);
  EXPECT_EQ(whole, GetParam().verdict) << GetParam().why;
  size_t head_bytes = whole == kOk ? head.text.size() : bytes.size();
  for (size_t n = 0; n < head_bytes; n++) {
    ParseResult part = ParseResponse(bytes.substr(0, n), false, head);
    EXPECT_TRUE(part == kNeedMore || (whole != kOk && part == whole)) << n << " bytes of " << bytes;
  }
}

const Case kResponses[] = {
    {"plain", "HTTP/1.1 200 OK\r\n\r\n", kOk},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", kOk},
    {"empty reason", "HTTP/1.1 200 \r\n\r\n", kOk},
    {"no reason and no space", "HTTP/1.1 200\r\n\r\n", kOk},
    {"reason above 0x7f", "HTTP/1.1 200 \xc3\xa9\r\n\r\n", kOk},
    {"status that nobody knows", "HTTP/1.1 999 X\r\n\r\n", kOk},
    {"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", kBad},
    {"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", kBad},
    {"status below 100", "HTTP/1.1 099 X\r\n\r\n", kBad},
    {"status with a NUL", std::string("HTTP/1.1 2\0""0 OK\r\n\r\n", 19), kBad},
    {"status with a sign", "HTTP/1.1 +20 OK\r\n\r\n", kBad},
    {"two spaces before the status", "HTTP/1.1  200 OK\r\n\r\n", kBad},
    {"control in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n", kBad},
    {"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", kBadVersion},
    {"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", kBadVersion},
    {"no version (HTTP/0.9)", "HELLO\r\n\r\n", kBad},
    {"empty line before it", "\r\nHTTP/1.1 200 OK\r\n\r\n", kBad},
    {"line end of LF alone", "HTTP/1.1 200 OK\n\n", kBad},
    {"length of letters", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", kBad},
    {"lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", kBad},
    {"length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", kBad},
    {"chunked under HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", kBad},
    {"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", kUnsupportedCoding},
    {"folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", kBad},
};
INSTANTIATE_TEST_SUITE_P(Response, ResponseVerdict, testing::ValuesIn(kResponses));

TEST(ParseResponse, SplitsTheStatusLine) {
  ResponseHead head;
  std::string bytes = "HTTP/1.0 404 Not  here\r\nX: y\r\n\r\n";
  ASSERT_EQ(ParseResponse(bytes, false, head), kOk);
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.reason, "Not  here");
  EXPECT_EQ(head.minor_version, 0);
  EXPECT_EQ(head.text, bytes);
}

TEST(ParseResponse, DecidesTheFraming) {
  struct {
    int status;
    bool to_head;
    const char* fields;
    Framing framing;
  } cases[] = {
      {200, false, "", Framing::kUntilClose},
      {200, false, "Content-Length: 5\r\n", Framing::kLength},
      {200, false, "Content-Length: 0\r\n", Framing::kLength},
      {200, false, "Transfer-Encoding: chunked\r\n", Framing::kChunked},
      {200, true, "Content-Length: 5\r\n", Framing::kNone},
      {200, true, "Transfer-Encoding: chunked\r\n", Framing::kNone},
      {200, true, "", Framing::kNone},
      {100, false, "", Framing::kNone},
      {101, false, "Content-Length: 5\r\n", Framing::kNone},
      {204, false, "Content-Length: 5\r\n", Framing::kNone},
      {204, false, "Transfer-Encoding: chunked\r\n", Framing::kNone},
      {304, false, "Content-Length: 5\r\n", Framing::kNone},
      {205, false, "", Framing::kUntilClose},
      {404, false, "", Framing::kUntilClose},
  };
  for (const auto& c : cases) {
    ResponseHead head;
    std::string bytes = Cat("HTTP/1.1 ", c.status, " X\r\n", c.fields, "\r\n");
    ASSERT_EQ(ParseResponse(bytes, c.to_head, head), kOk) << bytes;
    EXPECT_EQ(head.framing, c.framing) << bytes;
  }
}

}  // namespace
}  // namespace fairlead::http
