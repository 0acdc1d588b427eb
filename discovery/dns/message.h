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
  // Keeps room for what is appended at the end. Where there is too little, records have none; that room is beyond the limit.
  void Reserve(size_t bytes) { limit_ = std::max(size_, limit_ - std::min(bytes, limit_)); }
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
  // The sections of another message with the same question; gives where they stand.
  uint8_t* AppendSections(std::string_view whole) {
    std::memcpy(out_ + size_, whole.data() + size_, whole.size() - size_);
    size_ = whole.size();
    auto* head = reinterpret_cast<const uint8_t*>(whole.data());
    for (int section = 1; section < 4; section++) counts_[section] = Load16(head + 4 + 2 * section);
    return out_;
  }
  // Of the SOA record that was appended last.
  void SetSerial(uint32_t serial) { Store32(out_ + size_ - kSoaTimersBytes, serial); }
  // Into the room that Reserve() kept: RFC 6891 §6.1.2, with the upper bits of the rcode.
  void AppendOpt(Rcode rcode, bool dnssec_ok) {
    opt_ = Extend(kOptBytes);
    std::memset(opt_, 0, kOptBytes);
    Store16(opt_ + 1, kOpt);
    Store16(opt_ + 3, kMaxUdpBytes);
    opt_[5] = static_cast<uint8_t>(static_cast<uint16_t>(rcode) >> 4);
    opt_[7] = dnssec_ok ? 0x80 : 0;
    Count(kAdditional, 1);
  }
  // Behind AppendOpt(), into room that was kept too.
  void AppendOption(uint16_t code, std::span<const uint8_t> data) {
    uint8_t* option = Extend(4 + data.size());
    Store16(option, code);
    Store16(option + 2, static_cast<uint16_t>(data.size()));
    std::memcpy(option + 4, data.data(), data.size());
    Store16(opt_ + 9, static_cast<uint16_t>(Load16(opt_ + 9) + 4 + data.size()));
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
  uint8_t* opt_ = nullptr;
};

}  // namespace fairlead::dns
