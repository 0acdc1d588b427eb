// Golden transcripts: golden/*.txt has queries and answers byte for byte, for readers and for other implementations. A line
// is `>` (asked) or `<` (answered), bytes in hexadecimal, and behind `;` what they are. Where an answer is another one, the
// test shows the transcript as it would be now.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "discovery/dns/answer_fixture.h"

namespace fairlead::dns {
namespace {

constexpr std::string_view kRecords = R"(
four A 192.0.2.1
both A 192.0.2.2
both AAAA 2001:db8::2
alias CNAME both
away CNAME www.example.org.
*.wild A 192.0.2.3
mail MX 10 four
strange TYPE65280 \# 3 010203
sub NS ns.sub
ns.sub A 192.0.2.9
)";

std::string Hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
    text += ' ';
  }
  return text;
}

Packet Unhex(std::string_view text) {
  Packet bytes;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) bytes.push_back(static_cast<uint8_t>(std::stoi(word, nullptr, 16)));
  return bytes;
}

// A line for the header, for the question and for each record.
std::string Transcript(std::span<const uint8_t> message) {
  std::string text;
  auto line = [&](size_t from, size_t to, std::string_view what) { text += Cat("< ", Hex(message.subspan(from, to - from)), "; ", what, "\n"); };
  if (message.empty()) return "< ; nothing\n";
  Answered a = ReadAnswer(message);
  line(0, kHeaderBytes, Cat("rcode ", a.rcode, a.has(flag::kAuthoritative) ? ", AA" : "", a.has(flag::kTruncated) ? ", TC" : "",
                            a.has(flag::kRecursionDesired) ? ", RD" : "", ", counts of the sections"));
  size_t at = kHeaderBytes;
  if (!a.question.empty()) line(at, at + a.question.size(), "question");
  at += a.question.size();
  for (int section = 0; section < 3; section++) {
    for (int i = Load16(&message[6 + 2 * section]); i > 0; i--) {
      size_t from = at;
      std::string owner = internal::TakeName(message, &at);
      uint16_t type = Load16(&message[at]), length = Load16(&message[at + 8]);
      at += 10;
      std::string data = type == kOpt ? std::string("OPT") : Cat(owner, " ", type, " ", internal::DataText(message, type, at, length));
      at += length;
      line(from, at, Cat((std::array{"answer", "authority", "additional"})[static_cast<size_t>(section)], ": ", data));
    }
  }
  return text;
}

class GoldenTest : public AnswerTest, public ::testing::WithParamInterface<std::string> {
 protected:
  GoldenTest() {
    std::string records(kRecords);
    for (int i = 1; i <= 40; i++) records += Cat("many A 198.51.100.", i, "\n");
    Load(records);
    for (int i = 10; i <= 11; i++) Change({Put("host1", Serving(Cat("web-", i), "host1", "web", "demo", Cat("10.40.0.", i)))});
    Change({Put("host1", Lease("web-10", "demo", "10.40.0.10"))});
  }
};

std::vector<std::string> Files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(FAIRLEAD_DNS_GOLDEN)) names.push_back(entry.path().stem());
  std::sort(names.begin(), names.end());
  return names;
}
INSTANTIATE_TEST_SUITE_P(Transcripts, GoldenTest, ::testing::ValuesIn(Files()), [](const auto& info) { return info.param; });

TEST_P(GoldenTest, AnswersByteForByte) {
  std::ifstream file(Cat(FAIRLEAD_DNS_GOLDEN, "/", GetParam(), ".txt"));
  Packet asked, expected;
  std::string title;
  int exchanges = 0;
  auto check = [&] {
    if (asked.empty()) return;
    answerer_ = std::make_unique<Answerer>(*zone_, metrics_);  // rotations begin anew
    Packet out(kMaxUdpBytes);
    out.resize(answerer_->Answer(asked, Ip("192.0.2.77"), Transport::kUdp, out));
    EXPECT_EQ(out, expected) << title << " is now:\n" << Transcript(out);
    asked.clear();
    expected.clear();
    ++exchanges;
  };
  for (std::string text; std::getline(file, text);) {
    std::string_view bytes = std::string_view(text).substr(0, text.find(';'));
    if (bytes.starts_with("#")) {
      check();
      title = text;
    } else if (!bytes.empty()) {
      Packet more = Unhex(bytes.substr(1));
      Packet& into = bytes[0] == '>' ? asked : expected;
      into.insert(into.end(), more.begin(), more.end());
    }
  }
  check();
  EXPECT_GE(exchanges, 3);
}

}  // namespace
}  // namespace fairlead::dns
