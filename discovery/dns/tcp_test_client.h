// For tests: DNS over TCP from the asker's side.
#pragma once

#include <string>
#include <vector>

#include "base/io/stream.h"
#include "discovery/dns/test_client.h"

namespace fairlead::dns {

inline std::string Framed(const Ask& ask, uint16_t id) {
  Packet query = MakeQuery(ask, id);
  std::string framed;
  Append16(framed, static_cast<uint16_t>(query.size()));
  framed.append(query.begin(), query.end());
  return framed;
}

// Reads `count` answers, or until the end of the stream.
inline io::Task<void> ReadAnswers(io::Stream& stream, size_t count, std::vector<Answered>* answers, bool* ended) {
  std::string input;
  while (answers->size() < count) {
    io::IoResult got = co_await stream.Receive();
    if (!got.ok() || got.is_end()) {
      *ended = true;
      co_return;
    }
    io::Chunk chunk = stream.Take();
    input.append(chunk.view());
    for (;;) {
      auto* at = reinterpret_cast<const uint8_t*>(input.data());
      if (input.size() < 2 || input.size() < 2u + Load16(at)) break;
      answers->push_back(ReadAnswer({at + 2, Load16(at)}));
      input.erase(0, 2u + Load16(at));
    }
  }
}

}  // namespace fairlead::dns
