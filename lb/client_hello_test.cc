#include "lb/client_hello.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace fairlead::lb {
namespace {

std::string Number(size_t n, int bytes) {
  std::string text;
  while (bytes-- > 0) text += static_cast<char>(n >> (8 * bytes));
  return text;
}
std::string Vector(int length_bytes, std::string_view content) { return Number(content.size(), length_bytes).append(content); }
std::string Extension(size_t type, std::string_view data) { return Number(type, 2) + Vector(2, data); }
std::string Name(std::string_view host, int type = 0) { return Number(static_cast<size_t>(type), 1) + Vector(2, host); }
std::string Sni(std::string_view host) { return Extension(0, Vector(2, Name(host))); }
std::string Alpn(std::initializer_list<std::string_view> names) {
  std::string list;
  for (std::string_view name : names) list += Vector(1, name);
  return Extension(16, Vector(2, list));
}
// What stands before the extensions.
std::string Start() {
  return Cat("\x03\x03", std::string(32, 'r'), Vector(1, std::string(32, 's')), Vector(2, "\x13\x01\x13\x02"), Vector(1, std::string(1, '\0')));
}
std::string Message(std::string_view body) { return Cat("\x01", Vector(3, body)); }
std::string Record(std::string_view content) { return Cat("\x16\x03\x01", Vector(2, content)); }
std::string Hello(std::string_view extensions) { return Record(Message(Start() + Vector(2, extensions))); }

ClientHelloParse Parse(std::string_view bytes) {
  ClientHello hello;
  return ParseClientHello(bytes, hello);
}
std::string NameOf(std::string_view bytes) {
  ClientHello hello;
  return ParseClientHello(bytes, hello) == ClientHelloParse::kOk ? std::string(hello.server_name) : "<none>";
}

TEST(ClientHello, TellsHostNameAndProtocols) {
  std::string bytes = Hello(Cat(Extension(43, "\x02\x03\x04"), Sni("A.example.com"), Alpn({"h2", "http/1.1"})));
  ClientHello hello;
  ASSERT_EQ(ParseClientHello(bytes, hello), ClientHelloParse::kOk);
  EXPECT_EQ(hello.server_name, "A.example.com");
  EXPECT_TRUE(hello.Offers("h2"));
  EXPECT_TRUE(hello.Offers("http/1.1"));
  EXPECT_FALSE(hello.Offers("http/1"));
  EXPECT_FALSE(hello.Offers(""));
}
TEST(ClientHello, NeedsAllOfTheMessageAndNothingBehindIt) {
  std::string bytes = Hello(Sni("a.example.com"));
  for (size_t n = 0; n < bytes.size(); n++) EXPECT_EQ(Parse(bytes.substr(0, n)), ClientHelloParse::kNeedMore) << n;
  EXPECT_EQ(NameOf(bytes + "whatever"), "a.example.com");
}
TEST(ClientHello, IsReadAcrossRecordsOfAnySize) {
  std::string message = Message(Start() + Vector(2, Sni("a.example.com")));
  for (size_t size : {size_t{1}, size_t{2}, size_t{3}, size_t{5}, size_t{70}, message.size() - 1}) {
    std::string bytes;
    for (size_t at = 0; at < message.size(); at += size) bytes += Record(message.substr(at, size));
    EXPECT_EQ(NameOf(bytes), "a.example.com") << size;
    EXPECT_EQ(Parse(bytes.substr(0, bytes.size() - 1)), ClientHelloParse::kNeedMore) << size;
  }
}
TEST(ClientHello, MayHaveNeitherNameNorExtensions) {
  EXPECT_EQ(NameOf(Hello("")), "");
  EXPECT_EQ(NameOf(Record(Message(Start()))), "");
  EXPECT_EQ(NameOf(Hello(Alpn({"h2"}))), "");
}
TEST(ClientHello, IsNoOtherRecordMessageOrVersion) {
  std::string good = Hello(Sni("a"));
  auto with = [&](size_t at, char byte) { return std::string(good).replace(at, 1, 1, byte); };
  EXPECT_EQ(Parse(with(0, '\x17')), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(with(1, '\x02')), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(with(5, '\x02')), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(with(9, '\x02')), ClientHelloParse::kBad);
  EXPECT_EQ(Parse("GET / HTTP/1.1\r\n"), ClientHelloParse::kBad);
  EXPECT_EQ(Parse("\x80\x2e\x01"), ClientHelloParse::kBad);  // SSL 2
  EXPECT_EQ(Parse(Record("")), ClientHelloParse::kBad);
}
TEST(ClientHello, IsBadWhereLengthsDoNotAddUp) {
  std::string sni = Sni("a.example.com");
  EXPECT_EQ(Parse(Record(Message(Start() + "x"))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Record(Message(Start() + Vector(2, sni) + "x"))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(sni + "x")), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(sni.substr(0, sni.size() - 1))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(Extension(0, ""))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(Extension(0, Vector(2, "")))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(Extension(0, Vector(2, Name(""))))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(Extension(0, Vector(2, Name("a")) + "x"))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(Extension(16, Vector(2, "")))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(Alpn({"h2", ""}))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(Extension(16, Vector(2, "\x03h2")))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Record(Message("\x03\x03short"))), ClientHelloParse::kBad);
}
TEST(ClientHello, IsBadWhereTwoReadersCouldReadTwoNames) {
  EXPECT_EQ(Parse(Hello(Sni("a") + Sni("b"))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(Alpn({"h2"}) + Alpn({"h2"}))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(Extension(0, Vector(2, Name("a") + Name("b"))))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Hello(Extension(0, Vector(2, Name("a", 1))))), ClientHelloParse::kBad);
}
TEST(ClientHello, TakesHostNamesOnly) {
  EXPECT_EQ(NameOf(Hello(Sni("xn--a_b.Example-1.com."))), "xn--a_b.Example-1.com.");
  EXPECT_EQ(NameOf(Hello(Sni(std::string(255, 'a')))), std::string(255, 'a'));
  for (std::string name : {std::string(256, 'a'), std::string("a\0b", 3), std::string("a:443"), std::string("*.a"), std::string("a b"), std::string("\xc3\xa4")})
    EXPECT_EQ(Parse(Hello(Sni(name))), ClientHelloParse::kBad) << name;
}
TEST(ClientHello, IsBoundedBeforeItComes) {
  std::string large = Hello(Cat(Sni("a"), Extension(21, std::string(15'000, '\0'))));
  EXPECT_EQ(NameOf(large), "a");
  EXPECT_EQ(Parse(Cat("\x16\x03\x01", Number(300, 2), "\x01", Number(kMaxClientHelloBytes, 3))), ClientHelloParse::kBad);
  EXPECT_EQ(Parse(Cat("\x16\x03\x01", Number(kMaxClientHelloBytes - 4, 2))), ClientHelloParse::kBad);
  std::string records;  // a message that never ends, in the smallest records
  std::string message = Cat("\x01", Number(16'000, 3), std::string(16'000, 'x'));
  size_t taken = 0;
  for (; Parse(records) == ClientHelloParse::kNeedMore; taken++) records += Record(message.substr(taken, 1));
  EXPECT_LE(records.size(), kMaxClientHelloBytes + 6);
  EXPECT_EQ(Parse(records), ClientHelloParse::kBad);
}

}  // namespace
}  // namespace fairlead::lb
