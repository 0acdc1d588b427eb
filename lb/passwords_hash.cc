#include "lb/passwords_hash.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string_view>

namespace fairlead::lb {
namespace {

constexpr std::string_view kApr1 = "$apr1$", kSha1 = "{SHA}";
constexpr size_t kMd5Bytes = 16, kSha1Bytes = 20;

bool SameBytes(std::string_view a, std::string_view b) { return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

// Of the parts in a row; "" where the library has not that digest.
std::string DigestOf(const EVP_MD* digest, std::initializer_list<std::string_view> parts) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::array<uint8_t, EVP_MAX_MD_SIZE> bytes;
  unsigned size = 0;
  bool ok = EVP_DigestInit_ex(context.get(), digest, nullptr) == 1;
  for (std::string_view part : parts) ok = ok && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  ok = ok && EVP_DigestFinal_ex(context.get(), bytes.data(), &size) == 1;
  return ok ? std::string(reinterpret_cast<const char*>(bytes.data()), size) : std::string();
}

// 6 bits a letter, the lowest first.
void PutLetters(std::string& text, uint32_t bits, int letters) {
  static constexpr std::string_view kLetters = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (; letters > 0; letters--, bits >>= 6) text += kLetters[bits & 63];
}

// Source: apr_md5_encode of Apache's APR, which is crypt(3)'s MD5 with a magic of its own.
std::string Apr1(std::string_view password, std::string_view salt) {
  const EVP_MD* md5 = EVP_md5();
  const std::string inner = DigestOf(md5, {password, salt, password});
  if (inner.size() != kMd5Bytes) return {};
  std::string lengths;  // as many bytes as the password has, and one for each bit of that number
  for (size_t left = password.size(); left > 0; left -= std::min(left, kMd5Bytes)) lengths += inner.substr(0, std::min(left, kMd5Bytes));
  for (size_t bits = password.size(); bits > 0; bits >>= 1) lengths += (bits & 1) != 0 ? '\0' : password[0];
  std::string sum = DigestOf(md5, {password, kApr1, salt, lengths});
  for (int round = 0; round < 1000; round++) {
    const bool odd = (round & 1) != 0;
    sum = DigestOf(md5, {odd ? password : sum, round % 3 != 0 ? salt : "", round % 7 != 0 ? password : "", odd ? sum : password});
  }
  std::string text(kApr1);
  text.append(salt).append("$");
  auto at = [&](size_t index) { return uint32_t{static_cast<uint8_t>(sum[index])}; };
  for (size_t i = 0; i < 5; i++) PutLetters(text, at(i) << 16 | at(i + 6) << 8 | at(i == 4 ? 5 : i + 12), 4);
  PutLetters(text, at(11), 2);
  return text;
}

std::string Sha1(std::string_view password) {
  const std::string sum = DigestOf(EVP_sha1(), {password});
  if (sum.size() != kSha1Bytes) return {};
  std::array<uint8_t, 32> letters;
  const int size = EVP_EncodeBlock(letters.data(), reinterpret_cast<const uint8_t*>(sum.data()), static_cast<int>(sum.size()));
  return std::string(kSha1).append(reinterpret_cast<const char*>(letters.data()), static_cast<size_t>(size));
}

}  // namespace

bool IsPasswordOf(const std::string& hash, const std::string& password) {
  if (hash.starts_with(kApr1)) {
    const std::string_view salt = std::string_view(hash).substr(kApr1.size());
    return SameBytes(Apr1(password, salt.substr(0, salt.find('$'))), hash);
  }
  if (hash.starts_with(kSha1)) return SameBytes(Sha1(password), hash);
  if (password.contains('\0')) return false;  // crypt(3) would look at what stands before it
  auto room = std::make_unique<crypt_data>();  // 32 KiB
  const char* computed = crypt_r(password.c_str(), hash.c_str(), room.get());
  return computed != nullptr && SameBytes({computed, std::strlen(computed)}, hash);
}

}  // namespace fairlead::lb
