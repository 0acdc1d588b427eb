#include "discovery/dns/wire.h"

#include <gtest/gtest.h>

#include <vector>

namespace fairlead::dns {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Header(uint16_t questions, uint16_t additional = 0, uint16_t flags = 0x0100) {
  Bytes bytes(kHeaderBytes);
  Store16(&bytes[0], 0x1234);
  Store16(&bytes[2], flags);
  Store16(&bytes[4], questions);
  Store16(&bytes[10], additional);
  return bytes;
}

Bytes operator+(Bytes a, std::string_view b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

constexpr std::string_view kQuestion{"\3wEb\4DEMO\0\0\1\0\1", 14};
constexpr std::string_view kOptRecord{"\0\0\x29\x04\xd0\0\0\x80\0\0\0", 11};

ReadResult Read(const Bytes& message) {
  Query query;
  return ReadQuery(message, &query);
}

TEST(Wire, ReadsAQuestionAndFoldsItsName) {
  Query query;
  ASSERT_EQ(ReadQuery(Header(1) + kQuestion, &query), ReadResult::kQuery);
  EXPECT_EQ(query.name(), std::string_view("\3web\4demo\0", 10));
  EXPECT_EQ(query.type, kA);
  EXPECT_EQ(query.klass, kClassIn);
  EXPECT_FALSE(query.has_edns);
  EXPECT_EQ(query.udp_bytes, 512);
}

TEST(Wire, ReadsEdns) {
  Query query;
  ASSERT_EQ(ReadQuery(Header(1, 1) + kQuestion + kOptRecord, &query), ReadResult::kQuery);
  EXPECT_TRUE(query.has_edns);
  EXPECT_TRUE(query.dnssec_ok);
  EXPECT_EQ(query.udp_bytes, 1232);
}

TEST(Wire, TakesAnEdnsSizeBelow512As512) {
  Query query;
  ASSERT_EQ(ReadQuery(Header(1, 1) + kQuestion + std::string_view("\0\0\x29\0\x10\0\0\0\0\0\0", 11), &query),
            ReadResult::kQuery);
  EXPECT_EQ(query.udp_bytes, 512);
}

TEST(Wire, DropsResponsesAndShreds) {
  EXPECT_EQ(Read(Header(1, 0, 0x8100) + kQuestion), ReadResult::kDrop);
  for (size_t bytes = 0; bytes < kHeaderBytes; bytes++) EXPECT_EQ(Read(Bytes(bytes)), ReadResult::kDrop);
}

TEST(Wire, TellsOtherOpcodesApart) { EXPECT_EQ(Read(Header(1, 0, 5 << 11) + kQuestion), ReadResult::kNotImp); }

TEST(Wire, WantsExactlyOneQuestion) {
  EXPECT_EQ(Read(Header(0)), ReadResult::kFormErr);
  EXPECT_EQ(Read(Header(2) + kQuestion + kQuestion), ReadResult::kFormErr);
}

TEST(Wire, RefusesAMessageCutAtAnyByte) {
  Bytes whole = Header(1, 1) + kQuestion + kOptRecord;
  ASSERT_EQ(Read(whole), ReadResult::kQuery);
  for (size_t bytes = kHeaderBytes; bytes < whole.size(); bytes++) {
    EXPECT_EQ(Read(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(bytes))), ReadResult::kFormErr) << bytes;
  }
}

struct Malformed {
  const char* what;
  Bytes message;
};

TEST(Wire, RefusesMalformedMessages) {
  std::string long_name;
  for (int i = 0; i < 4; i++) long_name += "\x3f" + std::string(63, 'a');
  const Malformed kCases[] = {
      {"bytes behind the message", Header(1) + kQuestion + "x"},
      {"counts larger than the data", Header(1, 7) + kQuestion + kOptRecord},
      {"pointer in the question", Header(1) + std::string_view("\xc0\x0c\0\1\0\1", 6)},
      {"label type 0x40", Header(1) + std::string_view("\x41x\0\0\1\0\1", 7)},
      {"label type 0x80", Header(1) + std::string_view("\x81x\0\0\1\0\1", 7)},
      {"label past the end", Header(1) + std::string_view("\x3fx\0\0\1\0\1", 7)},
      {"name of 257 bytes", Header(1) + long_name + std::string_view("\0\0\1\0\1", 5)},
      {"owner pointing at itself", Header(1, 1) + kQuestion + std::string_view("\xc0\x1a\0\1\0\1\0\0\0\0\0\0", 12)},
      {"owner pointing forward", Header(1, 1) + kQuestion + std::string_view("\xc0\x1c\0\1\0\1\0\0\0\0\0\0", 12)},
      {"owner pointing into the header", Header(1, 1) + kQuestion + std::string_view("\xc0\x04\0\1\0\1\0\0\0\0\0\0", 12)},
      {"RDLENGTH past the end", Header(1, 1) + kQuestion + std::string_view("\0\0\1\0\1\0\0\0\0\0\4abc", 14)},
      {"second OPT", Header(1, 2) + kQuestion + kOptRecord + kOptRecord},
      {"OPT with an owner", Header(1, 1) + kQuestion + std::string_view("\1x\0\0\x29\x04\xd0\0\0\0\0\0\0", 13)},
      {"option past the end", Header(1, 1) + kQuestion + std::string_view("\0\0\x29\x04\xd0\0\0\0\0\0\4\0\x0a\0\x08", 15)},
      {"half an option head", Header(1, 1) + kQuestion + std::string_view("\0\0\x29\x04\xd0\0\0\0\0\0\2\0\x0a", 13)},
  };
  for (const Malformed& test : kCases) EXPECT_EQ(Read(test.message), ReadResult::kFormErr) << test.what;
}

TEST(Wire, IgnoresOptionsAndRecordsItDoesNotKnow) {
  std::string_view cookie{"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08" "12345678", 23};
  std::string_view tsig{"\0\0\xfa\0\xff\0\0\0\0\0\0", 11};
  EXPECT_EQ(Read(Header(1, 1) + kQuestion + cookie), ReadResult::kQuery);
  EXPECT_EQ(Read(Header(1, 1) + kQuestion + tsig), ReadResult::kQuery);
}

TEST(Wire, FollowsPointersBackward) {
  Bytes message = Bytes(12) + std::string_view("\4demo\0\3web\xc0\x0c", 12);
  std::array<uint8_t, kMaxNameBytes> name;
  size_t at = 18;
  size_t bytes = ReadName(message, &at, name);
  EXPECT_EQ(std::string_view(reinterpret_cast<char*>(name.data()), bytes), std::string_view("\3web\4demo\0", 10));
  EXPECT_EQ(at, message.size());
}

TEST(Wire, StopsAtALoopOfPointers) {
  Bytes message = Bytes(12) + std::string_view("\1a\xc0\x0c", 4);  // "a" and then itself again
  std::array<uint8_t, kMaxNameBytes> name;
  size_t at = 14;
  EXPECT_EQ(ReadName(message, &at, name), 0u);
}

TEST(Wire, StopsAtALongChainOfPointers) {
  Bytes message = Bytes(12) + std::string_view("\0", 1);
  for (size_t target = 12, i = 0; i < 1000; i++) {
    size_t here = message.size();
    message.push_back(static_cast<uint8_t>(0xc0 | target >> 8));
    message.push_back(static_cast<uint8_t>(target));
    target = here;
  }
  std::array<uint8_t, kMaxNameBytes> name;
  size_t at = message.size() - 2;
  EXPECT_EQ(ReadName(message, &at, name), 0u);
}

}  // namespace
}  // namespace fairlead::dns
