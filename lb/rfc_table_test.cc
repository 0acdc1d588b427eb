// The MUSTs of RFC 9112 (HTTP/1.1) and RFC 9110 (semantics) that bind an intermediary, a row each with its section: what
// is made of a client's stream, what a backend's answer is, and what exactly goes on. The parser's own tables
// (base/http/head_test.cc, chunked_test.cc) have the small print of each rule, forward_head_test.cc that of hop-by-hop
// fields; rules of connections are stories:
//
//   9112 §7.1.2  trailers, both ways                           framing: trailers come down, trailers go up
//   9112 §8      an incomplete message is never whole          broken_answers, timeouts
//   9112 §9.2    answers in the order of the requests          clients: two requests at once …
//   9112 §9.3.1  retries only of what may be done twice        retries
//   9112 §9.3.2  pipelining                                    clients
//   9112 §9.5    a connection that fails                       broken_answers, retries
//   9112 §9.6    close, and the answer before it               early_answers, clients, drain
//   9110 §7.8    101, and no bytes of the new protocol before  tunnels
//   9110 §10.1.1 100-continue                                  interim_answers
//   9110 §15.2   1xx pass, but not to HTTP/1.0                 interim_answers
#include "lb/message_tables.h"

#include <string>
#include <vector>

namespace fairlead::lb {
namespace {

struct Row {
  const char* rule;
  std::string bytes;
  std::string is;
};

const std::string kNext = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
std::string Get(std::string_view fields) { return Cat("GET / HTTP/1.1\r\nHost: a\r\n", fields, "\r\n"); }
std::string Post(std::string_view fields_and_body) { return Cat("POST / HTTP/1.1\r\nHost: a\r\n", fields_and_body); }
std::string Ok(std::string_view fields) { return Cat("HTTP/1.1 200 OK\r\n", fields, "\r\n"); }

bool MayBeSentTwice(std::string_view method) {
  static http::RequestHead head;
  std::string request = Cat(method, " / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(http::ParseRequest(request, head) == ParseResult::kOk);
  return Send(head).plan.idempotent;
}

TEST(Rfc9112, MessagesOfClients) {
  const std::vector<Row> rows = {
      {"§2.2 an empty line before the request line is skipped", "\r\n" + kNext, "GET/next"},
      {"§2.2 a bare CR is replaced or refused", Get("X: a\rb\r\n"), "400"},
      {"§2.2 blanks between start line and first field: refused", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"},
      {"§2.3 a version of our major number and above ours", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505"},
      {"§2.3 another major version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
      {"§3 a malformed request line", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"§3.2 no Host", "GET / HTTP/1.1\r\n\r\n", "400"},
      {"§3.2 two Hosts", Get("Host: a\r\n"), "400"},
      {"§3.2 an invalid Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
      {"§3.2.2 absolute-form is accepted", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET/x"},
      {"§3.2.3 authority-form is for CONNECT, which a gateway does not serve", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"§3.2 HTTP/1.0 needs no Host", "GET / HTTP/1.0\r\n\r\n", "GET/"},
      {"9110 §5.5 NUL in a value", std::string("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 34), "400"},
      {"§3.2.4 asterisk-form is for OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"§5.1 a blank before the colon: 400", Get("X : a\r\n"), "400"},
      {"§5.2 obs-fold: 400", Get("X: a\r\n b\r\n"), "400"},
      {"§6.1 chunked applied twice", Post("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), "400"},
      {"§6.1 a coding we do not know: 501", Post("Transfer-Encoding: br, chunked\r\n\r\n0\r\n\r\n"), "501"},
      {"§6.1 codings of HTTP/1.0 are faulty framing", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"§6.2 no Content-Length beside Transfer-Encoding", Post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), "400"},
      {"§6.3 rule 4: chunked, not last", Post("Transfer-Encoding: chunked, gzip\r\n\r\n"), "400"},
      {"§6.3 rule 5: an invalid length", Post("Content-Length: 5x\r\n\r\nhello"), "400"},
      {"§6.3 rule 5: lengths that differ", Post("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), "400"},
      {"§6.3 rule 5: lengths that agree are one", Post("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello") + kNext, "POST/+5 GET/next"},
      {"§6.3 rule 6: the length tells the end", Post("Content-Length: 5\r\n\r\nhello") + kNext, "POST/+5 GET/next"},
      {"§6.3 rule 7: no framing, no body", Post("\r\n") + kNext, "POST/ GET/next"},
      {"§7.1 a size that overflows", Post("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"), "POST/+400"},
      {"§7.1 chunks end the body by themselves", Post("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") + kNext, "POST/+15 GET/next"},
      {"§7.1.1 unknown extensions are no fault", Post("Transfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\n\r\n") + kNext,
       "POST/+21 GET/next"},
      {"§7.1.1 but their size has a limit", Post(Cat("Transfer-Encoding: chunked\r\n\r\n5;", std::string(9000, 'a'), "\r\n")), "POST/+400"},
      {"§9.3 close ends the connection", Get("Connection: close\r\n") + kNext, "GET/"},
      {"§9.3 HTTP/1.0 closes", "GET / HTTP/1.0\r\n\r\n" + kNext, "GET/"},
      {"§9.3 unless it says keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + kNext, "GET/ GET/next"},
      {"§9.3 close beats keep-alive", Get("Connection: keep-alive, close\r\n") + kNext, "GET/"},
      {"§11.2 what may be read in two ways is refused whole", Post("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\nhello"), "400"},
  };
  for (const Row& row : rows) EXPECT_EQ(MadeOf(row.bytes), row.is) << row.rule;
}

TEST(Rfc9112, AnswersOfBackends) {
  const std::vector<Row> rows = {
      {"§4 the reason may be empty", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "ok length, again"},
      {"§4 the status has three digits", "HTTP/1.1 20 OK\r\n\r\n", "bad"},
      {"§5.2 obs-fold: replaced by 502 or unfolded", Ok("X: a\r\n b\r\nContent-Length: 0\r\n"), "bad"},
      {"§6.1 codings of HTTP/1.0 are faulty framing", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "bad"},
      {"§6.3 rule 1: 204 and 1xx have no body", "HTTP/1.1 204 No Content\r\n\r\n", "ok none, again"},
      {"§6.3 rule 1: nor has 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "ok none, again"},
      {"§6.3 rule 3: both framings", Ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), "bad"},
      {"§6.3 rule 4: another coding is ended by close, which nobody here decodes", Ok("Transfer-Encoding: gzip\r\n"), "bad"},
      {"§6.3 rule 5: an invalid length: 502, and the connection is closed", Ok("Content-Length: -1\r\n"), "bad"},
      {"§6.3 rule 5: lengths that differ", Ok("Content-Length: 5\r\nContent-Length: 6\r\n"), "bad"},
      {"§6.3 rule 8: the close ends the body", Ok(""), "ok until close"},
      {"§9.3 close: the connection is not used again", Ok("Connection: close\r\nContent-Length: 0\r\n"), "ok length"},
      {"§9.3 HTTP/1.0 without keep-alive: nor is that", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "ok length"},
  };
  for (const Row& row : rows) EXPECT_EQ(AnswerIs(row.bytes), row.is) << row.rule;
  EXPECT_EQ(AnswerIs(Ok("Content-Length: 5\r\n"), /*to_head=*/true), "ok none, again") << "§6.3 rule 1: HEAD";
  EXPECT_EQ(AnswerIs("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), "bad") << "9110 §7.8: nobody asked";
}

TEST(Rfc9112, WhatGoesOn) {
  const std::vector<Row> rows = {
      {"§2.3 our own version is said", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", Get("")},
      {"§3.2.1 origin-form with a path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", Get("")},
      {"§3.2.1 and the query", "GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?q HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"§3.2.2 the target's authority replaces Host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: b\r\n\r\n"},
      {"§3.2.4 OPTIONS of a host without path is asterisk-form", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
       "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"§6.1 Transfer-Encoding stays with its body", Post("Transfer-Encoding: chunked\r\n\r\n"), Post("Transfer-Encoding: chunked\r\n\r\n")},
      {"§3.2 an empty Host is said where HTTP/1.0 said none", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: \r\n\r\n"},
      {"§9.6 close is this connection's", Get("Connection: close\r\n"), Get("")},
      {"9110 §5.3 the order of fields stays", Get("X: 1\r\nY: 2\r\nX: 3\r\n"), Get("X: 1\r\nY: 2\r\nX: 3\r\n")},
      {"9110 §5.1 unknown fields pass", Get("Unheard-Of: 1\r\n"), Get("Unheard-Of: 1\r\n")},
      {"9110 §7.6.1 Connection and what it lists end here", Get("Connection: x\r\nX: 1\r\nTE: gzip\r\nKeep-Alive: 1\r\nProxy-Connection: a\r\n"), Get("")},
      {"9110 §7.6.2 Max-Forwards counts down", "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n",
       "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n\r\n"},
      {"9110 §7.7 the target's path and query are not rewritten", "GET /%7Ea/../b?%41 HTTP/1.1\r\nHost: a\r\n\r\n",
       "GET /%7Ea/../b?%41 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"9110 §7.8 Upgrade only together with its Connection option", Get("Upgrade: x\r\n"), Get("")},
      {"9110 §7.8 nothing of HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", Get("")},
      {"9110 §8.6 a length that came twice goes on once", Post("Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), Post("Content-Length: 5\r\n\r\n")},
      {"9110 §10.1.1 Expect goes on", Post("Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"), Post("Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")},
  };
  for (const Row& row : rows) EXPECT_EQ(SentOn(row.bytes), row.is) << row.rule;
}

TEST(Rfc9110, WhatMayBeSentTwice) {
  for (std::string_view method : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) EXPECT_TRUE(MayBeSentTwice(method)) << method;
  for (std::string_view method : {"POST", "PATCH", "get", "PURGE"}) EXPECT_FALSE(MayBeSentTwice(method)) << method;
}

TEST(Rfc9110, AnswersThatGoOn) {
  const std::vector<Row> rows = {
      {"§5.3 fields stay as they came", Ok("Set-Cookie: a\r\nX:  b \r\nSet-Cookie: c\r\nContent-Length: 0\r\n"),
       Ok("Set-Cookie: a\r\nX:  b \r\nSet-Cookie: c\r\nContent-Length: 0\r\n")},
      {"§2.5 our own version is said", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", Ok("Content-Length: 0\r\n")},
      {"§7.6.1 hop-by-hop fields end here", Ok("Connection: X, keep-alive\r\nKeep-Alive: timeout=5\r\nX: 1\r\nContent-Length: 0\r\n"), Ok("Content-Length: 0\r\n")},
      {"§8.6 no length in 204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"},
      {"§8.6 nor in 1xx", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"},
      {"9112 §6.1 no coding in 204", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"},
      {"9112 §9.3 a body that the close ends says so", Ok(""), Ok("Connection: close\r\n")},
      {"§15.5.22 426 names the protocols", "HTTP/1.1 426 X\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n",
       "HTTP/1.1 426 X\r\nContent-Length: 0\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"},
  };
  for (const Row& row : rows) EXPECT_EQ(ToldOn(row.bytes), row.is) << row.rule;
  EXPECT_EQ(ToldOn(Ok("Transfer-Encoding: chunked\r\nTrailer: X\r\n"), /*http10=*/true), Ok("Connection: close\r\n"))
      << "9112 §6.1: no coding to HTTP/1.0";
}

}  // namespace
}  // namespace fairlead::lb
