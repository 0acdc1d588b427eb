#include "discovery/names.h"

#include <openssl/evp.h>

#include "base/check.h"
#include "base/strings.h"

namespace fairlead::discovery {

namespace {

constexpr size_t kKeptBytes = 54, kTailDigits = 8;  // of a long label: 54 + '-' + 8 = 63

bool IsLetterOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::string Fitting(std::string label, std::string_view raw) {
  return label.size() <= kMaxLabelBytes ? label : HashedLabel(label, raw);
}

}  // namespace

std::string HashDigits(Hash hash, std::string_view raw, size_t digits) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  const EVP_MD* md = hash == Hash::kSha1 ? EVP_sha1() : EVP_sha256();
  CHECK(EVP_Digest(raw.data(), raw.size(), digest, &bytes, md, nullptr) == 1 && digits <= 2 * size_t{bytes});
  std::string hex;
  for (size_t i = 0; i < digits; i++) hex += "0123456789abcdef"[i % 2 == 0 ? digest[i / 2] >> 4 : digest[i / 2] & 15];
  return hex;
}

std::string HashedLabel(std::string_view label, std::string_view raw) {
  return Cat(label.substr(0, kKeptBytes), '-', HashDigits(Hash::kSha256, raw, kTailDigits));
}

std::string NameLabel(std::string_view raw) {
  std::string label = LowerAscii(raw);
  for (char& c : label)
    if (!IsLetterOrDigit(c) && c != '_') c = '-';
  return Fitting(std::move(label), raw);
}

std::string BranchLabel(std::string_view raw) {
  std::string label;
  for (char c : LowerAscii(raw)) {
    if (IsLetterOrDigit(c)) {
      label.push_back(c);
    } else if (!label.empty() && label.back() != '-') {
      label.push_back('-');
    }
  }
  if (!label.empty() && label.back() == '-') label.pop_back();
  return Fitting(std::move(label), raw);
}

std::string LabelTable::Claim(std::string label, std::string_view raw) {
  auto [at, is_new] = raw_of_.try_emplace(label, raw);
  if (is_new || at->second == raw) return label;
  return HashedLabel(label, raw);
}

}  // namespace fairlead::discovery
