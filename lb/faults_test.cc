// Faults that real proxies and servers had, each with the bytes that showed it, and what becomes of them here: CVEs, and
// the findings of differential tests of many implementations (HTTP Garden: G a server's, T an intermediary's). A row is a
// whole stream of a client, since what matters is where the next request begins.
#include "lb/message_tables.h"

#include <string>
#include <vector>

namespace fairlead::lb {
namespace {

using namespace std::string_literals;

struct Fault {
  const char* name;
  std::string stream;
  const char* made;
};

void ExpectEach(const std::vector<Fault>& faults) {
  for (const Fault& fault : faults) EXPECT_EQ(MadeOf(fault.stream), fault.made) << fault.name;
}

std::string Post(std::string_view fields_and_body) { return Cat("POST / HTTP/1.1\r\nHost: a\r\n", fields_and_body); }
const std::string kNext = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

TEST(Faults, RequestsOfCves) {
  ExpectEach({
      {"CVE-2021-40346: a name of 270 bytes that overflowed into a length", Post(Cat("Content-Length0", std::string(255, 'a'),
       ": \r\nContent-Length: 60\r\n\r\n")), "POST/+0..."},
      {"CVE-2019-18277: VT makes an unknown coding of chunked", Post("Transfer-Encoding: \x0b""chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), "400"},
      {"CVE-2023-25725: an empty name ended the head", Post(":\r\nContent-Length: 5\r\n\r\nhello"), "400"},
      {"CVE-2023-40225: empty length before a real one", Post("Content-Length: \r\nContent-Length: 59\r\n\r\n"), "400"},
      {"CVE-2023-45539: '#' in the target passed path rules", "GET /index.html#.png HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"CVE-2026-2833: bytes behind an Upgrade are no part of the tunnel yet",
       "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" + kNext, "GET/ GET/next"},
      {"CVE-2026-2833: nor is a body one", Post("Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nhello") + kNext,
       "POST/+5 GET/next"},
      {"CVE-2026-2835: chunked of HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"CVE-2026-2835: chunked of HTTP/1.0, kept alive with a length",
       "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"CVE-2026-2835: several codings", Post("Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"), "501"},
      // CVE-2026-2836 (a cache's key without the host): there is no cache; requests of one connection are routed each.
      {"CVE-2026-2836: each request has its own host", Cat(kNext, "GET /next HTTP/1.1\r\nHost: b\r\n\r\n"), "GET/next GET/next"},
      {"CVE-2025-4366: a body that nobody asked for is no request", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\n" + kNext,
       "GET/+31"},
      {"CVE-2023-47627: chunk size that Python's int() reads", Post("Transfer-Encoding: chunked\r\n\r\n0_2e\r\n\r\n"), "POST/+400"},
      {"CVE-2023-40518: blanks before the colon", Post("Content-Length : 34\r\n\r\n" + kNext), "400"},
      {"CVE-2023-34188: negative length", Post("Content-Length: -48\r\n\r\n"), "400"},
      {"CVE-2023-40175: chunked body that ended with any two bytes",
       Post("Transfer-Encoding: chunked\r\n\r\n0\r\nX:POST / HTTP/1.1\r\n\r\n") + kNext, "POST/+24 GET/next"},
  });
}

TEST(Faults, LengthsThatAreReadDifferently) {
  ExpectEach({
      {"G10: sign and underscore", Post("Content-Length: +1_0\r\n\r\n0123456789"), "400"},
      {"G16 G38: empty", Post("Content-Length: \r\n\r\n" + kNext), "400"},
      {"G20: 0x85 behind the name", Post("Content-Length\x85: 10\r\n\r\n0123456789"), "400"},
      {"G23 G33 T22: two that differ", Post("Content-Length: 1\r\nContent-Length: 0\r\n\r\nZ"), "400"},
      {"G28: no colon", Post("Content-Length 10\r\n\r\n0123456789"), "400"},
      {"G29: a prefix of digits", Post("Content-Length: 1Z\r\n\r\nZ"), "400"},
      {"G32: leading zero is decimal, and goes on", Post("Content-Length: 010\r\n\r\n0123456789") + kNext, "POST/+10 GET/next"},
      {"T1: hexadecimal", Post("Content-Length: 0x10\r\n\r\nZ"), "400"},
      {"T21: the body of a GET goes on with its length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890" + kNext,
       "GET/+10 GET/next"},
      {"T23: both framings", Post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"},
      {"G48: a length of zero and requests in one piece", Cat(Post("Content-Length: 0\r\n\r\n"), kNext, kNext),
       "POST/ GET/next GET/next"},
  });
}

TEST(Faults, TransferCodingsThatAreReadDifferently) {
  ExpectEach({
      {"G11 T25: chunked on two lines", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"},
      {"G12: 0xa0 around it", Post("Transfer-Encoding: \xa0""chunked\xa0\r\n\r\n0\r\n\r\n"), "400"},
      {"G21 T9 T18: an empty element before it", Post("Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), "400"},
      {"T15: an empty element and no length", Post("Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"), "400"},
      {"G37: a name over two lines", Post("Transfer-\r\nEncoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), "400"},
      {"G44: an unknown coding", Post("Transfer-Encoding: blegh\r\n\r\n1\r\nZ\r\n0\r\n\r\n"), "501"},
      {"G46: 0xff around it", Post("Transfer-Encoding: \xff""chunked\xff\r\n\r\n1\r\nZ\r\n0\r\n\r\n"), "400"},
  });
}

TEST(Faults, ChunksThatAreReadDifferently) {
  auto chunks = [](std::string_view body) { return Post(Cat("Transfer-Encoding: chunked\r\n\r\n", body)); };
  ExpectEach({
      {"G17: empty size", chunks("\r\n\r\n"), "POST/+400"},
      {"G22 T7: a prefix of digits", chunks("1these\r\nZ\r\n0\r\n\r\n"), "POST/+400"},
      {"G25 T19: signs and prefixes", chunks("-0x0\r\n\r\n"), "POST/+400"},
      {"G31 T3: CR CR ends a size", chunks("5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n" + kNext), "POST/+400"},
      {"G36: CR CR in an extension", chunks("41;a=b\r\rXXX\r\n0\r\n\r\n"), "POST/+400"},
      {"G39: no CRLF at the end", chunks("0\r\nXX"), "POST/+5..."},
      {"G47: no request begins behind a bad chunk", chunks("INVALID!!!\r\n" + kNext), "POST/+400"},
      {"T2: no size at all", chunks("Z\r\nZZ\r\nZZZ\r\n\r\n"), "POST/+400"},
      {"T4: an end of CR and something", chunks("1\r0\n"), "POST/+400"},
      {"T13: bare LF behind a chunk", chunks("a\r\n0123456789\n0\r\n\r\n"), "POST/+400"},
      {"T17: an empty line before the last chunk", chunks("5\r\nhello\r\n\r\n0\r\n\r\n"), "POST/+400"},
      {"T24: blanks before a size", chunks("     0\r\n\r\n"), "POST/+400"},
      {"a byte behind the end is the next request's", chunks("0\r\n\r\n\0"s), "POST/+5 400"},
  });
}

TEST(Faults, LinesThatAreReadDifferently) {
  ExpectEach({
      {"G2 T20: NUL and CR in a value", Post("X: v\0\ralue\r\n\r\n"s), "400"},
      {"G4: blank before the first name", "GET / HTTP/1.1\r\n\tContent-Length: 1\r\n\r\nX", "400"},
      {"G5: version of three digits", "GET /test HTTP/1.32\r\nHost: a\r\n\r\n", "400"},
      {"G6: method that is no token", "G=\":<>(e),[T];?\" /get HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"G7: target that is none", "GET ! HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"G8: name beyond ASCII", Post("\xef""foo: bar\r\n\r\n"), "400"},
      {"G9: LF between target and version", "GET /\nHTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"G13 T10: CR as a line end", Post("Visible: :/\rSmuggled: :)\r\n\r\n"), "400"},
      {"G14: controls in a name", Post("\x01\x02\x03: x\r\n\r\n"), "400"},
      {"G15: CR in the version", "GET / HTTP/\r\r1.1\r\nHost: a\r\n\r\n", "400"},
      {"G18 G27: empty name", Post(": ignored\r\n\r\n"), "400"},
      {"G19: value of line ends", Post("Useless:\n\nGET / HTTP/1.1\r\n\r\n"), "400"},
      {"G24: version that overflows", "GET / HTTP/4294967295.255\r\nHost: a\r\n\r\n", "400"},
      {"G30: head ended by CR LF CR and something", Post("\rZGET /evil: HTTP/1.1\r\nHost: a\r\n\r\n"), "400"},
      {"G34: CR in a value", Post("Header: va\rlue\r\n\r\n"), "400"},
      {"G35 G43 T12: NUL cuts a value", "GET / HTTP/1.1\r\nHost: google.com\0.example\r\n\r\n"s, "400"},
      {"G40: neither method nor version", "\0 / HTTP/............0596.7407.\r\n\r\n"s, "400"},
      {"G41: 0x85 around a value goes on as it came, read by nobody here", Post("User: \x85""admin\xa0\r\n\r\n"), "POST/"},
      {"G46: Host of bytes above 0x7f", "GET / HTTP/1.1\r\nHost: \xff""a\xff\r\n\r\n", "400"},
      {"G45: a bad request behind a good one gets its own answer", kNext + "Invalid\r\n\r\n", "GET/next 400"},
      {"T6: 0x85 at the end of a name", Post("Header\x85: value\r\n\r\n"), "400"},
      {"T6: '@' in a name", Post("He@der: value\r\n\r\n"), "400"},
      {"T14: line without a colon", Post("Te\nst: test\r\n\r\n"), "400"},
      {"T16: LF for CRLF", "GET / HTTP/1.1\nHost: whatever\n\n", "400"},
  });
}

TEST(Faults, AnswersOfBackends) {
  static_assert(static_cast<int>(http::Framing::kNone) == 0 && static_cast<int>(http::Framing::kUntilClose) == 3);
  struct Answer {
    const char* name;
    std::string bytes;
    const char* is;
    bool to_head = false;
  };
  const Answer answers[] = {
      {"a plain one", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "ok length, again"},
      {"HTTP/0.9 (passed on by some)", "HELLO\r\n\r\n", "bad"},
      {"HTTP/2.0 in a status line", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "bad"},
      {"status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "bad"},
      {"status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "bad"},
      {"NUL in the status", "HTTP/1.1 2\0 0 OK\r\nContent-Length: 0\r\n\r\n"s, "bad"},
      {"status 000", "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", "bad"},
      {"garbage length", "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello", "bad"},
      {"lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "bad"},
      {"both framings", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "bad"},
      {"folded field", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", "bad"},
      {"empty name", "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n", "bad"},
      {"chunked of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "bad"},
      {"neither framing", "HTTP/1.1 200 OK\r\n\r\n", "ok until close"},
      {"a switch that nobody asked for", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "bad"},
      {"204 with a length: the body may come all the same", "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n", "ok none"},
      {"304 tells the length of what it does not send", "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n", "ok none, again"},
      {"HEAD, too", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "ok none, again", true},
  };
  for (const Answer& answer : answers) EXPECT_EQ(AnswerIs(answer.bytes, answer.to_head), answer.is) << answer.name;
}

}  // namespace
}  // namespace fairlead::lb
