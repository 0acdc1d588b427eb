#include "dataplane/interface_name.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace fairlead::dataplane {
namespace {

constexpr std::string_view kHostPrefix = "flh", kContainerPrefix = "flc", kBridgePrefix = "fl-", kMarkPrefix = "fairlead:";
constexpr size_t kEndpointDigits = 12, kBridgeDigits = 8;

bool IsHex(std::string_view s) {
  return std::ranges::all_of(s, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// FNV-1a, 64 bits. Names need spread, not secrecy: a clash is found by the alias.
uint64_t Hash(std::string_view s) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : s) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

std::string Digits(std::string_view id, size_t count) {
  if (id.size() >= count && IsHex(id.substr(0, count))) return std::string(id.substr(0, count));
  std::string digits;
  for (uint64_t hash = Hash(id); digits.size() < count; hash >>= 4) digits.push_back("0123456789abcdef"[hash & 15]);
  return digits;
}

}  // namespace

std::string HostInterface(std::string_view endpoint_id) { return Cat(kHostPrefix, Digits(endpoint_id, kEndpointDigits)); }

std::string ContainerInterface(std::string_view endpoint_id) {
  return Cat(kContainerPrefix, Digits(endpoint_id, kEndpointDigits));
}

bool IsHostInterface(std::string_view name) {
  return name.size() == kHostPrefix.size() + kEndpointDigits && name.starts_with(kHostPrefix) &&
         IsHex(name.substr(kHostPrefix.size()));
}

std::string BridgeName(const NetworkSpec& network) {
  return network.bridge.empty() ? Cat(kBridgePrefix, Digits(network.id, kBridgeDigits)) : network.bridge;
}

std::string Mark(std::string_view id) { return Cat(kMarkPrefix, id); }

std::optional<std::string> MarkedId(std::string_view alias) {
  if (!alias.starts_with(kMarkPrefix)) return std::nullopt;
  return std::string(alias.substr(kMarkPrefix.size()));
}

MacAddress BridgeMac(std::string_view network_id) {
  const uint64_t hash = Hash(network_id);
  std::array<uint8_t, 6> bytes{0x02};  // locally administered, unicast
  for (size_t i = 1; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(hash >> (8 * i));
  return MacAddress(bytes);
}

MacAddress HostMac(const MacAddress& container) {
  std::array<uint8_t, 6> bytes = container.bytes();
  bytes[0] = bytes[0] == 0xfe ? 0xfa : 0xfe;  // never the container's own: the bridge would keep its frames
  return MacAddress(bytes);
}

}  // namespace fairlead::dataplane
