#include "discovery/dns/rr_set.h"

#include "base/check.h"

namespace fairlead::dns {

std::string_view RrSet::records(size_t from, size_t to) const {
  if (from == to) return std::string_view(wire_).substr(0, 0);  // not null: it is copied
  size_t begin = entries_[from].offset;
  size_t end = to < entries_.size() ? entries_[to].offset : wire_.size();
  return std::string_view(wire_).substr(begin, end - begin);
}

size_t RrSet::Find(std::string_view wanted) const {
  size_t i = 0;
  while (i < entries_.size() && data(i) != wanted) ++i;
  return i;
}

bool RrSet::Add(std::string_view data, uint32_t ttl_s) {
  if (ttl_s < ttl_s_) {
    ttl_s_ = ttl_s;
    for (const Entry& entry : entries_) Store32(reinterpret_cast<uint8_t*>(&wire_[entry.offset + 6]), ttl_s);
  }
  if (size_t i = Find(data); i < entries_.size()) {
    ++entries_[i].holders;
    return false;
  }
  entries_.push_back({static_cast<uint32_t>(wire_.size()), 1});
  Append16(wire_, kQuestionPointer);
  Append16(wire_, type_);
  Append16(wire_, kClassIn);
  Append32(wire_, ttl_s_);
  Append16(wire_, static_cast<uint16_t>(data.size()));
  wire_.append(data);
  return true;
}

bool RrSet::Remove(std::string_view data) {
  size_t i = Find(data);
  CHECK(i < entries_.size());
  if (--entries_[i].holders > 0) return false;
  size_t bytes = Bytes(i);
  wire_.erase(entries_[i].offset, bytes);
  entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(i));
  for (; i < entries_.size(); i++) entries_[i].offset -= static_cast<uint32_t>(bytes);
  return true;
}

}  // namespace fairlead::dns
