// Ethernet frames put together byte by byte: what announcements and probes share.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "base/net/ip_address.h"

namespace fairlead::dataplane {

using Frame = std::vector<uint8_t>;

inline constexpr std::array<uint8_t, 6> kBroadcastMac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

void Append(Frame& out, std::span<const uint8_t> bytes);
void Append(Frame& out, std::initializer_list<uint8_t> bytes);

// A broadcast ARP request (RFC 826) for `target`. `sender` unset asks without saying that anybody has an address: a probe.
Frame ArpRequest(const MacAddress& from, const IpAddress& sender, const IpAddress& target);

// `message` with its checksum (RFC 4443 §2.3) in an IPv6 packet with hop limit 255, without which it is not believed.
Frame Icmp6Frame(const MacAddress& from, const IpAddress& source, const MacAddress& to, const IpAddress& destination,
                 Frame message);

}  // namespace fairlead::dataplane
