// Any bytes behind the right question as another server's answer: what is taken is given on well-formed, at any limit.
#include "discovery/dns/foreign_message.h"
#include "discovery/dns/test_client.h"

using namespace fairlead::dns;

// The first six bytes are the counts of records, the seventh flags.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Packet asked = MakeQuery({.name = "www.example.org", .edns_bytes = 1232});
  Query query;
  CHECK(ReadQuery(asked, &query) == ReadResult::kQuery);
  const std::string question = MakeForeignQuery(query, 7, {});
  if (size < 7) return 0;
  Packet message(question.begin(), question.end() - static_cast<ptrdiff_t>(kOptBytes));
  message[2] = 0x81;
  message[3] = data[6];
  std::copy(data, data + 6, &message[6]);
  message.insert(message.end(), data + 7, data + size);
  auto answer = ReadForeignAnswer(message, question);
  if (!answer) return 0;
  for (size_t limit : {size_t{512}, kMaxUdpBytes, kMaxMessageBytes}) {
    Packet out(std::max(limit, kMaxUdpBytes));
    out.resize(WriteForeignAnswer(*answer, query, {.age_s = 1, .extended = 3}, limit, out));
    Answered read = ReadAnswer(out);
    CHECK(read.bytes <= limit && read.id == query.id);
  }
  return 0;
}
