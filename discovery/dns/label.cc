#include "discovery/dns/label.h"

#include <openssl/sha.h>

#include "base/strings.h"
#include "discovery/dns/name.h"

namespace fairlead::dns {

namespace {

bool IsAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::string Shorten(std::string label, std::string_view raw) {
  if (label.size() <= kMaxLabelBytes) return label;
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(raw.data()), raw.size(), digest);
  label.resize(54);
  label += '-';
  for (int i = 0; i < 4; i++) {
    label += "0123456789abcdef"[digest[i] >> 4];
    label += "0123456789abcdef"[digest[i] & 15];
  }
  return label;
}

}  // namespace

std::string ToLabel(std::string_view raw) {
  std::string label = LowerAscii(raw);
  for (char& c : label) {
    if (!IsAlphanumeric(c) && c != '_') c = '-';
  }
  return Shorten(std::move(label), raw);
}

std::string ToBranchLabel(std::string_view raw) {
  std::string label;
  for (char c : LowerAscii(raw)) {
    if (IsAlphanumeric(c)) {
      label += c;
    } else if (!label.empty() && label.back() != '-') {
      label += '-';
    }
  }
  if (!label.empty() && label.back() == '-') label.pop_back();
  return Shorten(std::move(label), raw);
}

}  // namespace fairlead::dns
