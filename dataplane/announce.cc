#include "dataplane/announce.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fairlead::dataplane {
namespace {

constexpr std::array<uint8_t, 6> kAllNodesMac{0x33, 0x33, 0, 0, 0, 1};                          // RFC 2464 §7
constexpr std::array<uint8_t, 16> kAllNodes{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};  // ff02::1

Frame NeighbourAdvertisement(const IpAddress& address, const MacAddress& mac) {
  constexpr uint8_t kOverride = 0x20, kTargetLinkLayer = 2;
  Frame message{136, 0, 0, 0, kOverride, 0, 0, 0};
  Append(message, address.bytes());
  Append(message, {kTargetLinkLayer, 1});
  Append(message, mac.bytes());
  return Icmp6Frame(mac, address, MacAddress(kAllNodesMac), IpAddress::V6(kAllNodes), std::move(message));
}

}  // namespace

// Of the forms of a gratuitous ARP the request is the one that everybody heeds.
Frame AnnouncementFrame(const IpAddress& address, const MacAddress& mac) {
  return address.is_v4() ? ArpRequest(mac, address, address) : NeighbourAdvertisement(address, mac);
}

FrameSender::~FrameSender() {
  if (socket_ >= 0) close(socket_);
}

Status FrameSender::Send(int bridge_index, const std::vector<Frame>& frames) {
  if (socket_ < 0) socket_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);  // protocol 0: receives nothing
  if (socket_ < 0) return ErrnoStatus(errno, "open packet socket");
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = bridge_index;
  to.sll_halen = ETH_ALEN;
  for (const Frame& frame : frames) {
    std::memcpy(to.sll_addr, frame.data(), ETH_ALEN);
    if (sendto(socket_, frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
      return ErrnoStatus(errno, "send announcement");
  }
  return OkStatus();
}

}  // namespace fairlead::dataplane
