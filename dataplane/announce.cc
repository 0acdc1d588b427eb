#include "dataplane/announce.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <span>

#include "base/check.h"

namespace fairlead::dataplane {
namespace {

constexpr std::array<uint8_t, 6> kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr std::array<uint8_t, 6> kAllNodesMac{0x33, 0x33, 0, 0, 0, 1};                          // RFC 2464 §7
constexpr std::array<uint8_t, 16> kAllNodes{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};  // ff02::1

using Bytes = std::vector<uint8_t>;

void Append(Bytes& out, std::span<const uint8_t> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void Append(Bytes& out, std::initializer_list<uint8_t> bytes) { out.insert(out.end(), bytes); }

// Internet checksum (RFC 1071) over an even number of bytes.
uint16_t Checksum(const Bytes& bytes) {
  CHECK(bytes.size() % 2 == 0);
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) sum += static_cast<uint32_t>(bytes[i]) << 8 | bytes[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

Bytes GratuitousArp(const IpAddress& address, const MacAddress& mac) {
  Bytes frame;
  Append(frame, kBroadcast);
  Append(frame, mac.bytes());
  Append(frame, {0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1});  // ARP; Ethernet, IPv4; request, which everybody heeds
  Append(frame, mac.bytes());
  Append(frame, address.bytes());
  Append(frame, {0, 0, 0, 0, 0, 0});
  Append(frame, address.bytes());
  return frame;
}

Bytes NeighbourAdvertisement(const IpAddress& address, const MacAddress& mac) {
  constexpr uint8_t kNextHeader = IPPROTO_ICMPV6, kLength = 32, kOverride = 0x20, kTargetLinkLayer = 2;
  Bytes message{136, 0, 0, 0, kOverride, 0, 0, 0};
  Append(message, address.bytes());
  Append(message, {kTargetLinkLayer, 1});
  Append(message, mac.bytes());
  CHECK(message.size() == kLength);

  Bytes covered;  // pseudo-header (RFC 8200 §8.1) and message
  Append(covered, address.bytes());
  Append(covered, kAllNodes);
  Append(covered, {0, 0, 0, kLength, 0, 0, 0, kNextHeader});
  Append(covered, message);
  const uint16_t sum = Checksum(covered);
  message[2] = static_cast<uint8_t>(sum >> 8);
  message[3] = static_cast<uint8_t>(sum);

  Bytes frame;
  Append(frame, kAllNodesMac);
  Append(frame, mac.bytes());
  Append(frame, {0x86, 0xdd, 0x60, 0, 0, 0, 0, kLength, kNextHeader, 255});  // hop limit 255, or it is not believed
  Append(frame, address.bytes());
  Append(frame, kAllNodes);
  Append(frame, message);
  return frame;
}

}  // namespace

Bytes AnnouncementFrame(const IpAddress& address, const MacAddress& mac) {
  return address.is_v4() ? GratuitousArp(address, mac) : NeighbourAdvertisement(address, mac);
}

Status SendFrames(int bridge_index, const std::vector<Bytes>& frames) {
  const int packets = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);  // protocol 0: receives nothing
  if (packets < 0) return ErrnoStatus(errno, "open packet socket");
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = bridge_index;
  to.sll_halen = ETH_ALEN;
  Status status;
  for (const Bytes& frame : frames) {
    std::memcpy(to.sll_addr, frame.data(), ETH_ALEN);
    if (sendto(packets, frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) {
      status = ErrnoStatus(errno, "send announcement");
      break;
    }
  }
  close(packets);
  return status;
}

}  // namespace fairlead::dataplane
