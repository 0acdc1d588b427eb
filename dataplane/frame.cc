#include "dataplane/frame.h"

#include <netinet/in.h>

#include "base/check.h"

namespace fairlead::dataplane {
namespace {

// Internet checksum (RFC 1071) over an even number of bytes.
uint16_t Checksum(const Frame& bytes) {
  CHECK(bytes.size() % 2 == 0);
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) sum += static_cast<uint32_t>(bytes[i]) << 8 | bytes[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace

void Append(Frame& out, std::span<const uint8_t> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void Append(Frame& out, std::initializer_list<uint8_t> bytes) { out.insert(out.end(), bytes); }

Frame ArpRequest(const MacAddress& from, const IpAddress& sender, const IpAddress& target) {
  Frame frame;
  Append(frame, kBroadcastMac);
  Append(frame, from.bytes());
  Append(frame, {0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1});  // ARP; Ethernet, IPv4; request
  Append(frame, from.bytes());
  Append(frame, (sender.is_set() ? sender : IpAddress::V4(0)).bytes());
  Append(frame, {0, 0, 0, 0, 0, 0});
  Append(frame, target.bytes());
  return frame;
}

Frame Icmp6Frame(const MacAddress& from, const IpAddress& source, const MacAddress& to, const IpAddress& destination,
                 Frame message) {
  const auto length = static_cast<uint8_t>(message.size());
  Frame covered;  // pseudo-header (RFC 8200 §8.1) and message
  Append(covered, source.bytes());
  Append(covered, destination.bytes());
  Append(covered, {0, 0, 0, length, 0, 0, 0, IPPROTO_ICMPV6});
  Append(covered, message);
  const uint16_t sum = Checksum(covered);
  message[2] = static_cast<uint8_t>(sum >> 8);
  message[3] = static_cast<uint8_t>(sum);

  Frame frame;
  Append(frame, to.bytes());
  Append(frame, from.bytes());
  Append(frame, {0x86, 0xdd, 0x60, 0, 0, 0, 0, length, IPPROTO_ICMPV6, 255});
  Append(frame, source.bytes());
  Append(frame, destination.bytes());
  Append(frame, message);
  return frame;
}

}  // namespace fairlead::dataplane
