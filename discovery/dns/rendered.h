// Answers as they are sent, so that the common question costs one probe and one copy. RenderedAnswers is no cache: what
// it holds is dropped by the change of a record in it, and rendered anew by the first question after that: many changes,
// one rendering. It holds at most one answer per record set, and only small ones: a large set is put together from its
// records, which costs as much as copying it.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "discovery/dns/rr_set.h"

namespace fairlead::dns {

// The records of one set and, for SRV, the addresses of their targets: all that stands behind the question.
class RenderedAnswer {
 public:
  // Null when it is larger than one UDP message, or when addresses would have to be looked up (MX, NS, and SRV of master
  // files) or the serial (SOA).
  struct Free {
    void operator()(RenderedAnswer* answer) const;
  };
  using Pointer = std::unique_ptr<RenderedAnswer, Free>;
  static Pointer Make(std::string_view name, const RrSet& set);

  bool Is(std::string_view name, uint16_t type) const;
  size_t bytes() const { return size_t{answer_bytes_} + additional_bytes_; }
  size_t answers() const { return answers_; }
  size_t additionals() const { return additionals_; }
  // Writes all of it to `message` + `at`, the records beginning with the one that `rotation` says.
  void Write(uint8_t* message, size_t at, uint32_t rotation) const;

 private:
  RenderedAnswer() = default;
  // Behind the object: the name, where each record begins, where the target of each address stands, the bytes.
  const uint8_t* name() const { return reinterpret_cast<const uint8_t*>(this + 1); }
  uint8_t* starts() { return reinterpret_cast<uint8_t*>(this + 1) + name_bytes_; }
  const uint8_t* starts() const { return name() + name_bytes_; }
  const uint8_t* targets() const { return starts() + size_t{2} * answers_; }
  const uint8_t* body() const { return targets() + size_t{2} * additionals_; }

  uint16_t type_, name_bytes_;
  uint16_t answers_, additionals_;
  uint16_t answer_bytes_, additional_bytes_;
};

class RenderedAnswers {
 public:
  const RenderedAnswer* Find(std::string_view name, uint64_t name_hash, uint16_t type) const;
  void Keep(std::string_view name, uint16_t type, RenderedAnswer::Pointer answer);
  void Drop(std::string_view name, uint16_t type);
  void Clear() { answers_.clear(); }
  size_t size() const { return answers_.size(); }

 private:
  struct Hashed {
    size_t operator()(uint64_t key) const { return key; }
  };
  // By the hash of name and type. Of two with one hash the later stays: the other is answered without being rendered.
  absl::flat_hash_map<uint64_t, RenderedAnswer::Pointer, Hashed> answers_;
};

}  // namespace fairlead::dns
