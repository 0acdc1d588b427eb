// For tests, of other modules too: writes queries and reads answers with the data as text.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "discovery/dns/answer.h"

namespace fairlead::dns {

using Packet = std::vector<uint8_t>;

struct Ask {
  std::string name;
  uint16_t type = kA;
  uint16_t edns_bytes = 0;            // 0: without EDNS
  uint16_t flags = flag::kRecursionDesired;
  uint16_t klass = kClassIn;
  uint8_t edns_version = 0;
  bool dnssec_ok = false;
  std::string options = {};           // of EDNS, as bytes
};

inline Packet MakeQuery(const Ask& ask, uint16_t id = 0x1234) {
  std::string wire;
  for (int field : {int{id}, int{ask.flags}, 1, 0, 0, ask.edns_bytes != 0 ? 1 : 0}) Append16(wire, static_cast<uint16_t>(field));
  // The case is kept: ParseName only counts the labels here.
  std::string name = *ParseName(ask.name);
  bool plain = name.size() == ask.name.size() + (ask.name.ends_with('.') ? 1 : 2) && ask.name != ".";
  for (size_t i = 0; plain && i < ask.name.size(); i++) {
    if (ask.name[i] != '.') name[i + 1] = ask.name[i];
  }
  wire += name;
  Append16(wire, ask.type);
  Append16(wire, ask.klass);
  if (ask.edns_bytes != 0) {
    wire += '\0';
    Append16(wire, kOpt);
    Append16(wire, ask.edns_bytes);
    Append32(wire, static_cast<uint32_t>(ask.edns_version) << 16 | (ask.dnssec_ok ? 0x8000u : 0u));
    Append16(wire, static_cast<uint16_t>(ask.options.size()));
    wire += ask.options;
  }
  return Packet(wire.begin(), wire.end());
}

struct AnsweredRecord {
  std::string owner;
  uint16_t type = 0;
  uint16_t klass = 0;
  uint32_t ttl_s = 0;
  std::string data;                   // as in a master file; hexadecimal for other types
};

struct Answered {
  bool silent = false;                // nothing came back
  uint16_t id = 0, flags = 0;
  uint16_t rcode = 0;                 // with EDNS' upper bits
  std::string question;               // bytes as echoed
  std::vector<AnsweredRecord> answer, authority, additional;  // OPT is apart
  bool has_edns = false, dnssec_ok = false;
  uint16_t edns_bytes = 0;
  std::map<uint16_t, std::string> options;  // of EDNS
  std::string tsig;                   // the record's data
  size_t bytes = 0;

  bool has(uint16_t bit) const { return (flags & bit) != 0; }
  std::set<std::string> data() const {
    std::set<std::string> all;
    for (const AnsweredRecord& record : answer) all.insert(record.data);
    return all;
  }
};

namespace internal {

inline std::string TakeName(std::span<const uint8_t> message, size_t* at) {
  std::array<uint8_t, kMaxNameBytes> name;
  size_t bytes = ReadName(message, at, name);
  CHECK(bytes != 0);
  return NameToText({reinterpret_cast<const char*>(name.data()), bytes});
}

inline std::string DataText(std::span<const uint8_t> message, uint16_t type, size_t at, size_t length) {
  const uint8_t* p = message.data() + at;
  switch (type) {
    case kA: return IpAddress::V4(Load32(p)).ToString();
    case kAaaa: return IpAddress::V6(std::span<const uint8_t, 16>(p, 16)).ToString();
    case kCname: case kNs: case kPtr: return TakeName(message, &at);
    case kMx: return Cat(Load16(p), " ", TakeName(message, &(at += 2)));
    case kSrv: return Cat(Load16(p), " ", Load16(p + 2), " ", Load16(p + 4), " ", TakeName(message, &(at += 6)));
    case kSoa: {
      std::string text = Cat(TakeName(message, &at), " ");
      text += TakeName(message, &at);
      for (int i = 0; i < 5; i++, at += 4) text += Cat(" ", Load32(&message[at]));
      return text;
    }
    default: break;
  }
  std::string hex;
  for (size_t i = 0; i < length; i++) {
    hex += "0123456789abcdef"[p[i] >> 4];
    hex += "0123456789abcdef"[p[i] & 15];
  }
  return hex;
}

}  // namespace internal

// CHECKs that the message is well-formed to its last byte.
inline Answered ReadAnswer(std::span<const uint8_t> message) {
  Answered a;
  a.silent = message.empty();
  if (a.silent) return a;
  CHECK(message.size() >= kHeaderBytes);
  a.bytes = message.size();
  a.id = Load16(&message[0]);
  a.flags = Load16(&message[2]);
  a.rcode = a.flags & 15;
  size_t at = kHeaderBytes;
  if (Load16(&message[4]) != 0) {
    internal::TakeName(message, &at);
    a.question.assign(message.begin() + kHeaderBytes, message.begin() + static_cast<ptrdiff_t>(at += 4));
  }
  std::vector<AnsweredRecord>* sections[] = {&a.answer, &a.authority, &a.additional};
  for (int section = 0; section < 3; section++) {
    for (int i = Load16(&message[6 + 2 * section]); i > 0; i--) {
      AnsweredRecord record;
      record.owner = internal::TakeName(message, &at);
      CHECK(message.size() - at >= 10);
      record.type = Load16(&message[at]);
      record.klass = Load16(&message[at + 2]);
      record.ttl_s = Load32(&message[at + 4]);
      size_t length = Load16(&message[at + 8]);
      at += 10;
      CHECK(message.size() - at >= length);
      if (record.type == kOpt) {
        a.has_edns = true;
        a.edns_bytes = record.klass;
        a.rcode = static_cast<uint16_t>(a.rcode | (record.ttl_s >> 24) << 4);
        a.dnssec_ok = (record.ttl_s & 0x8000) != 0;
        for (size_t option = at; option < at + length; option += 4 + a.options[Load16(&message[option])].size()) {
          auto* data = reinterpret_cast<const char*>(&message[option]) + 4;
          CHECK(a.options.emplace(Load16(&message[option]), std::string(data, Load16(&message[option + 2]))).second);
        }
      } else if (record.type == kTsig) {
        a.tsig.assign(message.begin() + static_cast<ptrdiff_t>(at), message.begin() + static_cast<ptrdiff_t>(at + length));
      } else {
        record.data = internal::DataText(message, record.type, at, length);
        sections[section]->push_back(std::move(record));
      }
      at += length;
    }
  }
  CHECK(at == message.size());
  return a;
}

inline Answered Exchange(Answerer& answerer, const Packet& query, const IpAddress& source = {},
                      Transport transport = Transport::kUdp) {
  Packet out(transport == Transport::kUdp ? kMaxUdpBytes : kMaxMessageBytes);
  out.resize(answerer.Answer(query, source, transport, out));
  return ReadAnswer(out);
}

}  // namespace fairlead::dns
