// The answer's message as it grows: whole records or nothing, never beyond its limit.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "discovery/dns/rendered.h"
#include "discovery/dns/wire.h"

namespace fairlead::dns {

inline constexpr size_t kSoaTimersBytes = 20;  // serial, refresh, retry, expire, minimum: the end of an SOA record

enum Section { kAnswer = 1, kAuthority = 2, kAdditional = 3 };

class Message {
 public:
  // `out` holds the header and any question.
  Message(std::span<uint8_t> out, size_t limit) : out_(out.data()), limit_(std::min(limit, out.size())) {}

  void Begin(const Query& query) {
    std::memset(out_, 0, kHeaderBytes);
    Store16(out_, query.id);
    flags_ = flag::kResponse | (query.flags & (flag::kOpcode | flag::kRecursionDesired | flag::kCheckingDisabled));
    if (!query.has_question) return;
    std::memcpy(out_ + kHeaderBytes, query.question.data(), query.question.size());
    size_ += query.question.size();
    Store16(out_ + 4, 1);
  }
  void Reserve(size_t bytes) { limit_ -= bytes; }
  void Set(uint16_t flags) { flags_ |= flags; }

  size_t size() const { return size_; }
  size_t room() const { return limit_ - size_; }
  // One record; false when it does not fit. `pointer` says where its owner stands already; 0: it is spelled out.
  bool Append(Section section, std::string_view owner, uint16_t pointer, uint16_t type, uint32_t ttl_s,
              std::string_view data) {
    size_t owner_bytes = pointer != 0 ? 2 : owner.size();
    size_t bytes = owner_bytes + kRecordHeadBytes - 2 + data.size();
    if (bytes > room()) return false;
    uint8_t* at = Extend(bytes);
    if (pointer != 0) {
      Store16(at, pointer);
    } else {
      std::memcpy(at, owner.data(), owner.size());
    }
    WriteRecord(at + owner_bytes, type, ttl_s, data);
    Count(section, 1);
    return true;
  }
  // All of it; it fits.
  void Append(const RenderedAnswer& answer, uint32_t rotation) {
    answer.Write(out_, size_, rotation);
    size_ += answer.bytes();
    Count(kAnswer, answer.answers());
    Count(kAdditional, answer.additionals());
  }
  // Of the SOA record that was appended last.
  void SetSerial(uint32_t serial) { Store32(out_ + size_ - kSoaTimersBytes, serial); }
  // Into the room that Reserve(kOptBytes) kept: RFC 6891 §6.1.2, with the upper bits of the rcode.
  void AppendOpt(Rcode rcode, bool dnssec_ok) {
    uint8_t* opt = Extend(kOptBytes);
    std::memset(opt, 0, kOptBytes);
    Store16(opt + 1, kOpt);
    Store16(opt + 3, kMaxUdpBytes);
    opt[5] = static_cast<uint8_t>(static_cast<uint16_t>(rcode) >> 4);
    opt[7] = dnssec_ok ? 0x80 : 0;
    Count(kAdditional, 1);
  }
  size_t Finish(Rcode rcode) {
    Store16(out_ + 2, static_cast<uint16_t>(flags_ | (static_cast<uint16_t>(rcode) & 15)));
    for (int section = 1; section < 4; section++) Store16(out_ + 4 + 2 * section, counts_[section]);
    return size_;
  }

 private:
  uint8_t* Extend(size_t bytes) {
    uint8_t* at = out_ + size_;
    size_ += bytes;
    return at;
  }
  void Count(Section section, size_t records) { counts_[section] = static_cast<uint16_t>(counts_[section] + records); }

  uint8_t* out_;
  size_t limit_;
  size_t size_ = kHeaderBytes;
  uint16_t flags_ = 0;
  uint16_t counts_[4] = {};
};

}  // namespace fairlead::dns
