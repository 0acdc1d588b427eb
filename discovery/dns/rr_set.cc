#include "discovery/dns/rr_set.h"

#include <algorithm>

#include "base/check.h"

namespace fairlead::dns {

namespace {

constexpr size_t kSearched = 16;      // records of a set that is searched from end to end
constexpr uint32_t kMinHoles = 256;   // bytes that are not worth moving the rest for

}  // namespace

size_t RrSet::Find(std::string_view wanted) const {
  if (index_ == nullptr) {
    size_t i = 0;
    while (i < entries_.size() && data(i) != wanted) ++i;
    return i;
  }
  auto [from, to] = index_->equal_range(HashBytes(wanted));
  auto it = std::find_if(from, to, [&](const auto& slot) { return data(slot.second) == wanted; });
  return it != to ? it->second : entries_.size();
}

RrSet::Index::iterator RrSet::IndexOf(size_t i) {
  auto [from, to] = index_->equal_range(HashBytes(data(i)));
  auto it = std::find_if(from, to, [i](const auto& slot) { return slot.second == i; });
  CHECK(it != to);
  return it;
}

void RrSet::MakeIndex() {
  index_ = std::make_unique<Index>();
  for (uint32_t i = 0; i < entries_.size(); i++) index_->emplace(HashBytes(data(i)), i);
}

bool RrSet::Add(std::string_view data, uint32_t ttl_s, std::string_view glue) {
  ttl_s_ = std::min(ttl_s_, ttl_s);
  if (size_t i = Find(data); i < entries_.size()) {
    ++entries_[i].holders;
    return false;
  }
  entries_.push_back({static_cast<uint32_t>(bytes_.size()), 1, static_cast<uint16_t>(data.size()),
                      static_cast<uint16_t>(glue.size())});
  bytes_.append(data).append(glue);
  if (index_ != nullptr) {
    index_->emplace(HashBytes(data), static_cast<uint32_t>(entries_.size() - 1));
  } else if (entries_.size() > kSearched) {
    MakeIndex();
  }
  return true;
}

// The last record takes the place of the removed one.
bool RrSet::Remove(std::string_view data) {
  size_t i = Find(data), last = entries_.size() - 1;
  CHECK(i < entries_.size());
  if (--entries_[i].holders > 0) return false;
  if (index_ != nullptr) {
    index_->erase(IndexOf(i));
    if (i != last) IndexOf(last)->second = static_cast<uint32_t>(i);
  }
  holes_ += static_cast<uint32_t>(entries_[i].bytes());
  entries_[i] = entries_[last];
  entries_.pop_back();
  if (holes_ > kMinHoles && holes_ > bytes_.size() / 2) Compact();
  return true;
}

void RrSet::Compact() {
  std::string kept;
  kept.reserve(bytes_.size() - holes_);
  for (Entry& entry : entries_) {
    auto offset = static_cast<uint32_t>(kept.size());
    kept.append(bytes_, entry.offset, entry.bytes());
    entry.offset = offset;
  }
  bytes_ = std::move(kept);
  holes_ = 0;
}

}  // namespace fairlead::dns
