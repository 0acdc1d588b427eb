#include "runtime-shim/containerd_image.h"

#include "base/strings.h"
#include "runtime-shim/json_fields.h"

namespace fairlead::runtime {
namespace {

#if defined(__aarch64__)
constexpr std::string_view kArchitecture = "arm64";
#else
constexpr std::string_view kArchitecture = "amd64";
#endif

std::string ManifestOf(const Json& manifests) {
  std::string first;
  for (const Json& manifest : manifests) {
    const Json& platform = Member(manifest, "platform");
    if (Text(platform, "architecture") == kArchitecture && Text(platform, "os") == "linux") return Text(manifest, "digest");
    if (first.empty()) first = Text(manifest, "digest");
  }
  return first;
}

}  // namespace

ImageBlob ReadImageBlob(std::string_view text) {
  const Json blob = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (const Json& manifests = Member(blob, "manifests"); manifests.is_array()) return {.next = ManifestOf(manifests)};
  const Json& config = Member(blob, "config");
  if (std::string digest = Text(config, "digest"); !digest.empty()) return {.next = std::move(digest)};
  ImageBlob out;
  const Json& ports = Member(config, "ExposedPorts");  // {"80/tcp": {}}
  if (!ports.is_object()) return out;
  for (const auto& [port, nothing] : ports.items()) {
    const size_t slash = port.find('/');
    const auto number = ParseNumber<uint16_t>(std::string_view(port).substr(0, slash));
    if (number && *number != 0) out.exposed.push_back({*number, slash == port.npos ? "tcp" : port.substr(slash + 1)});
  }
  return out;
}

}  // namespace fairlead::runtime
