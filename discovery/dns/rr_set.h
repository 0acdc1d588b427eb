// All records of one owner and type, rendered: each is the pointer to the question's name, type, class, TTL and data,
// so that an answer is one copy. A record is there as often as somebody added it; the last removal takes it away.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/dns/wire.h"

namespace fairlead::dns {

inline constexpr size_t kRenderedHeadBytes = 12;  // owner pointer, type, class, TTL, RDLENGTH

class RrSet {
 public:
  explicit RrSet(uint16_t type) : type_(type) {}

  uint16_t type() const { return type_; }
  uint32_t ttl_s() const { return ttl_s_; }
  size_t count() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  std::string_view record(size_t i) const { return std::string_view(wire_).substr(entries_[i].offset, Bytes(i)); }
  std::string_view data(size_t i) const { return record(i).substr(kRenderedHeadBytes); }
  // Records [from, to) as they stand in a message.
  std::string_view records(size_t from, size_t to) const;

  // True when the records changed. Records of one set have one TTL (RFC 2181 §5.2): the least that was asked for.
  bool Add(std::string_view data, uint32_t ttl_s);
  bool Remove(std::string_view data);

 private:
  struct Entry {
    uint32_t offset;
    uint32_t holders;
  };
  size_t Bytes(size_t i) const { return (i + 1 < entries_.size() ? entries_[i + 1].offset : wire_.size()) - entries_[i].offset; }
  size_t Find(std::string_view data) const;  // count() when absent

  uint16_t type_;
  uint32_t ttl_s_ = 0x7fffffff;
  std::string wire_;
  std::vector<Entry> entries_;
};

}  // namespace fairlead::dns
