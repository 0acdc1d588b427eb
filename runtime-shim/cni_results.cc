#include "runtime-shim/cni_results.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "base/strings.h"
#include "runtime-shim/json_fields.h"

namespace fairlead::runtime {
namespace {

// RFC 4648 §4; what is none of its characters ends it.
std::string FromBase64(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    const size_t value = kAlphabet.find(c);
    if (value == kAlphabet.npos) break;
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held >= 8) out.push_back(static_cast<char>(bits >> (held -= 8) & 0xff));
  }
  return out;
}

// The network's configuration: a list of plugins, or one.
std::vector<std::string> PluginsOf(const std::string& config) {
  const Json json = Json::parse(config, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> types;
  const Json& plugins = Member(json, "plugins");
  if (plugins.is_array())
    for (const Json& plugin : plugins) types.push_back(Text(plugin, "type"));
  if (std::string type = Text(json, "type"); !type.empty()) types.push_back(std::move(type));
  return types;
}

StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kMaxCniResultBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.empty() || text.size() > kMaxCniResultBytes) return NotFound(path, " is empty, gone or too long");
  return text;
}

}  // namespace

StatusOr<CniResult> ParseCniResult(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (Text(json, "kind") != "cniCacheV1") return InvalidArgument("no cniCacheV1");
  CniResult out{.network = Text(json, "networkName"), .container_id = Text(json, "containerId"), .interface = Text(json, "ifName"),
                .plugins = PluginsOf(FromBase64(Text(json, "config")))};
  if (out.network.empty() || out.container_id.empty()) return InvalidArgument("no networkName or containerId");
  const Json& result = Member(json, "result");
  if (const Json& interfaces = Member(result, "interfaces"); interfaces.is_array())
    for (const Json& interface : interfaces)
      if (!Text(interface, "sandbox").empty())
        if (auto mac = MacAddress::Parse(Text(interface, "mac")); mac.ok()) out.mac = *mac;
  if (const Json& ips = Member(result, "ips"); ips.is_array())
    for (const Json& ip : ips)
      if (auto address = InterfaceAddress::Parse(Text(ip, "address")); address.ok()) out.addresses.push_back(*address);
  // Before version 0.3.0 of CNI.
  for (const char* family : {"ip4", "ip6"})
    if (auto address = InterfaceAddress::Parse(Text(Member(result, family), "ip")); address.ok()) out.addresses.push_back(*address);
  return out;
}

std::vector<CniResult> ReadCniResults(const std::string& folder, const std::string& container_id) {
  std::vector<CniResult> results;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(folder.c_str()), closedir);
  const std::string part = Cat("-", container_id, "-");
  while (const dirent* entry = open == nullptr ? nullptr : readdir(open.get())) {
    const std::string_view name = entry->d_name;
    if (name.starts_with('.') || (!container_id.empty() && name.find(part) == name.npos)) continue;
    if (results.size() >= kMaxCniResults) break;
    auto text = ReadWhole(Cat(folder, "/", name));
    auto result = text.ok() ? ParseCniResult(*text) : text.status();
    struct stat file;
    if (result.ok() && stat(Cat(folder, "/", name).c_str(), &file) == 0)
      result->written_wall = file.st_mtim.tv_sec * kSecond + file.st_mtim.tv_nsec;
    if (result.ok() && (container_id.empty() || result->container_id == container_id)) results.push_back(*std::move(result));
  }
  std::ranges::sort(results, {}, [](const CniResult& result) { return Cat(result.container_id, " ", result.interface, " ", result.network); });
  return results;
}

}  // namespace fairlead::runtime
