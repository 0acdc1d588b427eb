// DNS labels from the names that people give (contract, "Names"), and the hashes that names end in.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace fairlead::discovery {

inline constexpr size_t kMaxLabelBytes = 63;  // RFC 1035 §2.3.4

// Services, projects, containers: lower case, `_` kept, any other byte `-`. A name longer than 63 bytes becomes its
// first 54, `-` and 8 hex of the SHA-256 of the raw name.
std::string NameLabel(std::string_view raw);
// Branches: bytes outside a–z and 0–9 become `-`, runs are folded, ends trimmed; long ones as above. "" when nothing
// is left.
std::string BranchLabel(std::string_view raw);
// The first `digits` lower-case hex digits of a hash of the bytes: at most 40 of SHA-1, 64 of SHA-256.
enum class Hash : uint8_t { kSha1, kSha256 };
std::string HashDigits(Hash hash, std::string_view raw, size_t digits);

// The label with the hash tail that long names, and the later of two names with one label, get.
std::string HashedLabel(std::string_view label, std::string_view raw);

// Hands out labels within one scope (the services of a project, say): two raw names never share one. The first to ask
// has the plain label for as long as the table lives. Not thread-safe.
class LabelTable {
 public:
  std::string Name(std::string_view raw) { return Claim(NameLabel(raw), raw); }
  std::string Branch(std::string_view raw) { return Claim(BranchLabel(raw), raw); }

 private:
  std::string Claim(std::string label, std::string_view raw);
  std::map<std::string, std::string, std::less<>> raw_of_;
};

}  // namespace fairlead::discovery
