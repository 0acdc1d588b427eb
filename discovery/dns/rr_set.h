// All records of one owner and type. A record is there as often as somebody added it; the last removal takes it away.
// Adding and removing cost the same whatever the size of the set.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "discovery/dns/wire.h"

namespace fairlead::dns {

inline constexpr size_t kRecordHeadBytes = 12;  // owner pointer, type, class, TTL, RDLENGTH

class RrSet {
 public:
  explicit RrSet(uint16_t type) : type_(type) {}

  uint16_t type() const { return type_; }
  uint32_t ttl_s() const { return ttl_s_; }
  size_t count() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  std::string_view data(size_t i) const { return std::string_view(bytes_).substr(entries_[i].offset, entries_[i].data_bytes); }
  // The address of the record's target, 4 or 16 bytes; "" when it is to be looked up.
  std::string_view glue(size_t i) const {
    return std::string_view(bytes_).substr(entries_[i].offset + entries_[i].data_bytes, entries_[i].glue_bytes);
  }
  size_t record_bytes(size_t i) const {  // with a pointer as its owner
    return kRecordHeadBytes + entries_[i].data_bytes;
  }

  // True when the records changed. Records of one set have one TTL (RFC 2181 §5.2): the least that was asked for. Glue is
  // as the first to add the record says: a master file's is looked up, since others may own the target.
  bool Add(std::string_view data, uint32_t ttl_s, std::string_view glue = {});
  bool Remove(std::string_view data);

 private:
  struct Entry {
    uint32_t offset;                      // in bytes_
    uint32_t holders;
    uint16_t data_bytes, glue_bytes;
    size_t bytes() const { return size_t{data_bytes} + glue_bytes; }
  };
  using Index = std::unordered_multimap<uint64_t, uint32_t>;  // hash of the data, place in entries_

  size_t Find(std::string_view data) const;  // count() when absent
  Index::iterator IndexOf(size_t i);
  void MakeIndex();
  void Compact();

  uint16_t type_;
  uint32_t ttl_s_ = 0x7fffffff;
  uint32_t holes_ = 0;                    // bytes of removed records
  std::string bytes_;                     // data and glue of the records, and holes
  std::vector<Entry> entries_;
  std::unique_ptr<Index> index_;          // of large sets; small ones are searched
};

// What stands behind the owner of a record.
inline void WriteRecord(uint8_t* out, uint16_t type, uint32_t ttl_s, std::string_view data) {
  Store16(out, type);
  Store16(out + 2, kClassIn);
  Store32(out + 4, ttl_s);
  Store16(out + 8, static_cast<uint16_t>(data.size()));
  std::memcpy(out + 10, data.data(), data.size());
}

inline uint16_t GlueType(std::string_view glue) { return glue.size() == 4 ? kA : kAaaa; }

}  // namespace fairlead::dns
