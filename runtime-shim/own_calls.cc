#include "runtime-shim/own_calls.h"

#include <algorithm>


namespace fairlead::runtime {

StatusOr<std::string> OwnCallSecret(io::Files& files, const std::string& path, Random& random) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  constexpr size_t kDigits = 32;
  auto kept = files.Read(path);
  if (!kept.ok() && kept.status().code() != StatusCode::kNotFound) return kept.status();
  std::string secret = kept.ok() ? kept->substr(0, kept->find('\n')) : "";
  bool whole = secret.size() == kDigits && secret.find_first_not_of(kHex) == secret.npos;
  if (whole) return secret;
  secret.clear();
  while (secret.size() < kDigits) {
    for (uint64_t bits = random.Next(), i = 0; i < 16; i++, bits >>= 4) secret += kHex[bits & 15];
  }
  if (kept.ok()) RETURN_IF_ERROR(files.Rename(path, path + ".damaged"));
  RETURN_IF_ERROR(files.AppendLine(path, secret));  // makes it 0600
  return secret;
}

}  // namespace fairlead::runtime
