// Domain names in wire form (RFC 1035 §3.1): length-prefixed labels of 8-bit bytes, closed by a zero byte, at most 255
// bytes. A dot inside a label is data (RFC 2181 §11). Names that are looked up are folded to lower case (RFC 4343).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/status.h"

namespace fairlead::dns {

inline constexpr size_t kMaxNameBytes = 255;
inline constexpr size_t kMaxLabelBytes = 63;
inline constexpr std::string_view kRoot{"\0", 1};

// "web.demo" or "web.demo.fl.internal." (absolute), with the \. and \DDD of master files; folded. A name without the
// final dot is completed by `origin` (a wire name; the root by default). "@" is the origin itself.
StatusOr<std::string> ParseName(std::string_view text, std::string_view origin = kRoot);

// "web.demo.fl.internal."; "." for the root. Bytes that would be read as syntax are escaped.
std::string NameToText(std::string_view name);

// Joins labels and a closing name: Owner({"web", "demo", "svc"}, zone). "" when a label is empty or too long, or when
// the whole is: such a name cannot be asked for.
std::string Owner(std::initializer_list<std::string_view> labels, std::string_view closing);

// The name without its first label. Not for the root.
inline std::string_view ParentName(std::string_view name) {
  return name.substr(1 + static_cast<uint8_t>(name[0]));
}
inline bool IsRoot(std::string_view name) { return name[0] == '\0'; }
// The same without allocating, for questions: NameBuffer name; name.Set({"web", "demo", "svc"}, zone).
class NameBuffer {
 public:
  // False, and "", where Owner() gives "".
  bool Set(std::initializer_list<std::string_view> labels, std::string_view closing);
  std::string_view view() const { return {bytes_, size_}; }

 private:
  bool Append(std::string_view bytes);
  size_t size_ = 0;
  char bytes_[kMaxNameBytes];
};

uint64_t HashBytes(std::string_view bytes);

int LabelCount(std::string_view name);
bool IsWithin(std::string_view name, std::string_view zone);  // equal or below; both folded

// Lower case, eight bytes at a time. Length bytes are below 'A', so a wire name can be folded as it stands.
inline uint64_t FoldEight(uint64_t bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  uint64_t low = bytes & (0x7f * kOnes);
  uint64_t from_a = low + ((0x80 - 'A') * kOnes);
  uint64_t beyond_z = low + ((0x7f - 'Z') * kOnes);
  uint64_t upper = (from_a ^ beyond_z) & ~bytes & (0x80 * kOnes);
  return bytes | (upper >> 2);
}
inline void Fold(const uint8_t* from, uint8_t* to, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t word;
    std::memcpy(&word, from + i, 8);
    word = FoldEight(word);
    std::memcpy(to + i, &word, 8);
  }
  for (; i < n; i++) to[i] = from[i] >= 'A' && from[i] <= 'Z' ? from[i] | 0x20 : from[i];
}

}  // namespace fairlead::dns
