#include "ipam/lease.h"

#include <algorithm>

namespace fairlead::ipam {

namespace {

// FNV-1a with a closing byte per field, so that ("ab", "c") and ("a", "bc") differ, and a finalizer (splitmix64).
uint64_t HashFields(std::initializer_list<std::string_view> fields) {
  uint64_t h = 0xcbf29ce484222325;
  for (std::string_view field : fields) {
    for (char c : field) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    h = (h ^ 0xff) * 0x100000001b3;
  }
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9;
  h = (h ^ (h >> 27)) * 0x94d049bb133111eb;
  return h ^ (h >> 31);
}

constexpr uint16_t kMaxVlan = 4094;  // IEEE 802.1Q, 9.6: 0 and 4095 are no VLANs

bool IsLowerHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

Status ValidatePrefix(const PoolSpec& pool, const PrefixSpec& p) {
  std::string where = Cat("pool ", pool.name, ": ");
  auto outside = [&](std::string_view what, const IpAddress& ip) {
    return InvalidArgument(where, what, " ", ip.ToString(), " is outside ", p.prefix.ToString());
  };
  if (p.vlan > kMaxVlan)
    return InvalidArgument(where, "vlan ", p.vlan, " of ", p.prefix.ToString(), " is not between 1 and ", kMaxVlan,
                           "; 0 or nothing: untagged");
  if (p.gateway.is_set() && !p.prefix.Contains(p.gateway)) return outside("gateway", p.gateway);
  bool has_ends = p.prefix.network().bits() - p.prefix.length() >= 2;
  if (has_ends && p.gateway.is_v4() && (p.gateway == p.prefix.network() || p.gateway == p.prefix.last()))
    return InvalidArgument(where, "gateway ", p.gateway.ToString(), " is an end of ", p.prefix.ToString(),
                           ", which no host can have; give another");
  for (const IpAddress& ip : p.exclude)
    if (!p.prefix.Contains(ip)) return outside("excluded address", ip);
  for (const auto& [first, last] : p.ranges) {
    if (!p.prefix.Contains(first)) return outside("range start", first);
    if (!p.prefix.Contains(last)) return outside("range end", last);
    if (last < first)
      return InvalidArgument(where, "range ", first.ToString(), "-", last.ToString(), " runs backwards; swap its ends");
  }
  return OkStatus();
}

}  // namespace

std::string LeaseKey::ToString() const { return Cat(network, "/", scope, "/", name, v6 ? " (IPv6)" : ""); }

std::string CanonicalName(std::string_view raw, bool compose) {
  constexpr size_t kHexDigits = 12;
  bool temporary = compose && raw.size() > kHexDigits + 1 && raw[kHexDigits] == '_' &&
                   std::ranges::all_of(raw.substr(0, kHexDigits), IsLowerHex);
  return std::string(temporary ? raw.substr(kHexDigits + 1) : raw);
}

MacAddress MacOf(const LeaseKey& key) {
  uint64_t h = HashFields({"mac", key.network, key.scope, key.name});
  std::array<uint8_t, 6> bytes;
  for (uint8_t& b : bytes) {
    b = static_cast<uint8_t>(h);
    h >>= 8;
  }
  bytes[0] = static_cast<uint8_t>((bytes[0] & 0xfc) | 0x02);  // unicast, locally administered (IEEE 802, 8.2)
  return MacAddress(bytes);
}

uint64_t StableHash(const LeaseKey& key) { return HashFields({key.network, key.scope, key.name, key.v6 ? "6" : "4"}); }

IpAddress PrefixSpec::Gateway() const {
  if (gateway.is_set()) return gateway;
  return prefix.network().bits() - prefix.length() >= 2 ? prefix.network().Plus(1) : IpAddress();
}

std::string_view PrefixSpec::WhyReserved(const IpAddress& ip) const {
  if (ip == Gateway()) return "the gateway";
  if (std::ranges::find(exclude, ip) != exclude.end()) return "excluded";
  bool has_ends = prefix.network().bits() - prefix.length() >= 2;  // RFC 3021: a /31 has neither
  if (has_ends && ip == prefix.network()) return ip.is_v4() ? "the network address" : "the subnet-router anycast address";
  if (has_ends && ip.is_v4() && ip == prefix.last()) return "the broadcast address";
  return "";
}

Status PoolSpec::Validate() const {
  if (name.empty()) return InvalidArgument("a pool needs a name");
  if (prefixes.empty()) return InvalidArgument("pool ", name, " has no prefix; add one, as in prefixes: [{cidr: 10.40.0.0/24}]");
  if (retain < 0 || quarantine < 0) return InvalidArgument("pool ", name, ": retain and quarantine cannot be negative");
  for (size_t i = 0; i < prefixes.size(); i++) {
    RETURN_IF_ERROR(ValidatePrefix(*this, prefixes[i]));
    for (size_t j = 0; j < i; j++)
      if (prefixes[i].prefix.Overlaps(prefixes[j].prefix))
        return InvalidArgument("pool ", name, ": prefixes ", prefixes[j].prefix.ToString(), " and ",
                               prefixes[i].prefix.ToString(), " overlap; keep one of them");
  }
  return OkStatus();
}

const PrefixSpec* PoolSpec::PrefixOf(const IpAddress& ip) const {
  for (const PrefixSpec& p : prefixes)
    if (p.prefix.Contains(ip)) return &p;
  return nullptr;
}

std::string PoolSpec::PrefixList() const {
  std::vector<std::string> texts;
  for (const PrefixSpec& p : prefixes) texts.push_back(p.prefix.ToString());
  return Join(texts, ", ");
}

}  // namespace fairlead::ipam
