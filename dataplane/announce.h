// Frames that tell the neighbours of an address its MAC: gratuitous ARP (RFC 5227 §3, RFC 826) and the unsolicited
// neighbour advertisement (RFC 4861 §7.2.6).
#pragma once

#include <cstdint>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"

namespace fairlead::dataplane {

// A whole Ethernet frame, ready to send.
std::vector<uint8_t> AnnouncementFrame(const IpAddress& address, const MacAddress& mac);

// Sends the frames out of every port of a bridge, by the calling thread's namespace.
Status SendFrames(int bridge_index, const std::vector<std::vector<uint8_t>>& frames);

}  // namespace fairlead::dataplane
