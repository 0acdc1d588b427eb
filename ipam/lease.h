// The values of address management: keys, pools, leases, history. Plain data without I/O.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"
#include "base/time.h"

namespace fairlead::ipam {

// Whose address it is (contract, "Whose address").
struct LeaseKey {
  std::string network;  // as the engine calls it, not its id
  std::string scope;    // the node, or "fleet"
  std::string name;     // canonical container name
  bool v6 = false;      // a dual-stack container has one lease per family
  friend auto operator<=>(const LeaseKey&, const LeaseKey&) = default;
  friend bool operator==(const LeaseKey&, const LeaseKey&) = default;
  std::string ToString() const;  // "shopnet/host1/web-1"; of IPv6 "shopnet/host1/web-1 (IPv6)"
};

// "0123456789ab_shop-web-1" becomes "shop-web-1" for a container of compose (contract, "Whose address").
std::string CanonicalName(std::string_view raw, bool compose);
// Locally administered, derived from the key: the same name has the same MAC for ever, in both families.
MacAddress MacOf(const LeaseKey& key);
// The same in every process and release: it decides where the search for a free address starts.
uint64_t StableHash(const LeaseKey& key);

using AddressRange = std::pair<IpAddress, IpAddress>;  // inclusive

struct PrefixSpec {
  Prefix prefix;
  IpAddress gateway = {};                 // unset: the first address; see Gateway()
  std::vector<AddressRange> ranges = {};  // addresses are chosen from these; empty: from all. A wanted one may lie outside
  std::vector<IpAddress> exclude = {};    // never given, not even when wanted
  std::string node = {}, site = {};       // only for containers of that host, of that site; "": of any
  uint16_t vlan = 0;                      // 0: untagged. (site, vlan) is the L2 domain that broadcasts reach
  uint64_t max_endpoints = 0;             // leases in this prefix, so that its L2 domain stays small; 0: as many as fit

  // The first address where none is set; unset in a prefix that has none to spare (/31, /32, /127, /128).
  IpAddress Gateway() const;
  // The reason why `ip` is nobody's ("the gateway", "excluded", "the broadcast address"), or "".
  std::string_view WhyReserved(const IpAddress& ip) const;
  friend bool operator==(const PrefixSpec&, const PrefixSpec&) = default;
};

struct PoolSpec {
  std::string name = {};
  std::string project = {};
  uint32_t quota = 0;               // leases; 0: none
  bool fleet_names = false;         // names: fleet
  Nanos retain = 168 * kHour;       // a detached lease ends after it; kNever: for ever; 0: at once
  Nanos quarantine = 60 * kSecond;  // no other name gets an address so soon after its last one left
  std::vector<PrefixSpec> prefixes = {};

  // Refuses: no name, no prefix, prefixes that overlap each other, gateway, ranges or excludes outside, a range that
  // runs backwards, a VLAN that there cannot be, negative times.
  Status Validate() const;
  const PrefixSpec* PrefixOf(const IpAddress& ip) const;  // nullptr: outside
  std::string PrefixList() const;                         // "10.40.0.0/24, 10.41.0.0/24"
  friend bool operator==(const PoolSpec&, const PoolSpec&) = default;
};

struct Lease {
  LeaseKey key;
  std::string pool;
  IpAddress ip;
  int prefix_length = 0;
  IpAddress gateway = {};
  MacAddress mac = {};       // what the endpoint was attached with
  std::string project = {};
  bool attached = false;
  bool provisional = false;  // made before the engine told the name; key.name is a placeholder then
  bool ephemeral = false;    // --rm and one-off containers: ends with its endpoint
  bool reserved = false;     // by the operator: neither retention nor need of room ends it, only Release
  bool observed = false;     // adopted, and held by a network that is not ours: kept like a reserved one until its first
                             // Acquire, which makes it a lease like any other
  bool used = false;         // a container of this key was attached here, and left again
  bool first_use = false;    // in an answer of Acquire only: none was before. To be probed, see Ipam::MarkForeign
  std::string stand_in_for = {};  // of a provisional one: the name whose own address waits for its next start; "": none
  uint64_t revision = 0;     // of its last write; never 0 in a lease that Ipam gives
  Nanos since_wall = 0;      // of the present state (attached or detached)
  Nanos acquired_wall = 0;   // since when the address is this key's
  bool kept() const { return reserved || observed; }
};

// Somebody outside answered at the address when it was probed.
struct ForeignAddress {
  std::string pool;
  IpAddress ip;
  MacAddress by;
  Nanos seen_wall = 0;
};

// Who had an address, and when.
struct HistoryEntry {
  std::string pool;
  IpAddress ip;
  LeaseKey key;
  Nanos from_wall = 0;
  Nanos to_wall = 0;          // 0: to this day
  Nanos rest_until_wall = 0;  // end of the quarantine
};

}  // namespace fairlead::ipam
