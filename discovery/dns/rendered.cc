#include "discovery/dns/rendered.h"

#include <new>
#include <vector>

namespace fairlead::dns {

namespace {

constexpr size_t kSrvTargetOffset = 6;  // priority, weight, port

uint64_t KeyOf(uint64_t name_hash, uint16_t type) { return name_hash ^ type * uint64_t{0xd6e8feb86659fd93}; }

bool NeedsLookup(const RrSet& set) {
  if (set.type() == kSoa || set.type() == kMx || set.type() == kNs) return true;
  for (size_t i = 0; set.type() == kSrv && i < set.count(); i++) {
    if (set.glue(i).empty()) return true;
  }
  return false;
}

// Whether record `i` is the first with its target: an address stands in the message once (RFC 2181 §5).
bool IsFirstOfTarget(const RrSet& set, size_t i) {
  std::string_view target = set.data(i).substr(kSrvTargetOffset);
  for (size_t before = 0; before < i; before++) {
    if (set.data(before).substr(kSrvTargetOffset) == target) return false;
  }
  return true;
}

}  // namespace

RenderedAnswer::Pointer RenderedAnswer::Make(std::string_view name, const RrSet& set) {
  size_t answer_bytes = 0;
  for (size_t i = 0; i < set.count() && answer_bytes <= kMaxUdpBytes; i++) answer_bytes += set.record_bytes(i);
  if (answer_bytes > kMaxUdpBytes || NeedsLookup(set)) return nullptr;
  std::vector<size_t> with_glue;
  size_t additional_bytes = 0;
  for (size_t i = 0; set.type() == kSrv && i < set.count(); i++) {
    if (!IsFirstOfTarget(set, i)) continue;
    with_glue.push_back(i);
    additional_bytes += kRecordHeadBytes + set.glue(i).size();
  }
  if (answer_bytes + additional_bytes > kMaxUdpBytes) return nullptr;

  size_t behind = name.size() + 2 * (set.count() + with_glue.size()) + answer_bytes + additional_bytes;
  Pointer answer(new (::operator new(sizeof(RenderedAnswer) + behind)) RenderedAnswer);
  answer->type_ = set.type();
  answer->name_bytes_ = static_cast<uint16_t>(name.size());
  answer->answers_ = static_cast<uint16_t>(set.count());
  answer->additionals_ = static_cast<uint16_t>(with_glue.size());
  answer->answer_bytes_ = static_cast<uint16_t>(answer_bytes);
  answer->additional_bytes_ = static_cast<uint16_t>(additional_bytes);
  std::memcpy(answer.get() + 1, name.data(), name.size());
  uint8_t* start = answer->starts();
  uint8_t* target = start + 2 * set.count();
  uint8_t* record = target + 2 * with_glue.size();
  uint8_t* address = record + answer_bytes;
  auto next = with_glue.begin();
  for (size_t i = 0, at = 0; i < set.count(); at += set.record_bytes(i), start += 2, i++) {
    Store16(start, static_cast<uint16_t>(at));
    Store16(record + at, kQuestionPointer);
    WriteRecord(record + at + 2, set.type(), set.ttl_s(), set.data(i));
    if (next == with_glue.end() || *next != i) continue;
    ++next;
    Store16(target, static_cast<uint16_t>(at + kRecordHeadBytes + kSrvTargetOffset));
    target += 2;
    std::string_view glue = set.glue(i);
    WriteRecord(address + 2, GlueType(glue), set.ttl_s(), glue);  // Write() fills in the owner
    address += kRecordHeadBytes + glue.size();
  }
  return answer;
}

void RenderedAnswer::Free::operator()(RenderedAnswer* answer) const { ::operator delete(answer); }

bool RenderedAnswer::Is(std::string_view name, uint16_t type) const {
  return type_ == type && std::string_view(reinterpret_cast<const char*>(this->name()), name_bytes_) == name;
}

void RenderedAnswer::Write(uint8_t* message, size_t at, uint32_t rotation) const {
  uint8_t* out = message + at;
  size_t start = answers_ > 1 ? Load16(starts() + 2 * (rotation % answers_)) : 0;
  size_t tail = answer_bytes_ - start;
  std::memcpy(out, body() + start, tail);
  std::memcpy(out + tail, body(), start);
  if (additionals_ == 0) return;
  uint8_t* address = out + answer_bytes_;
  std::memcpy(address, body() + answer_bytes_, additional_bytes_);
  for (size_t i = 0; i < additionals_; i++) {
    size_t target = Load16(targets() + 2 * i);
    target = target >= start ? target - start : target + tail;
    Store16(address, static_cast<uint16_t>(0xc000 | (at + target)));
    address += kRecordHeadBytes + Load16(address + 10);
  }
}

const RenderedAnswer* RenderedAnswers::Find(std::string_view name, uint64_t name_hash, uint16_t type) const {
  auto it = answers_.find(KeyOf(name_hash, type));
  return it != answers_.end() && it->second->Is(name, type) ? it->second.get() : nullptr;
}

void RenderedAnswers::Keep(std::string_view name, uint16_t type, RenderedAnswer::Pointer answer) {
  answers_.insert_or_assign(KeyOf(HashBytes(name), type), std::move(answer));
}

void RenderedAnswers::Drop(std::string_view name, uint16_t type) { answers_.erase(KeyOf(HashBytes(name), type)); }

}  // namespace fairlead::dns
