#include "dataplane/probe.h"

#include <algorithm>
#include <cstring>

namespace fairlead::dataplane {
namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kArp = kEthernet + 28;                          // a whole ARP packet of Ethernet and IPv4
constexpr size_t kSolicitation = kEthernet + 40 + 24;            // IPv6 header, NS or NA without options
constexpr uint8_t kNeighbourSolicitation = 135, kNeighbourAdvertisement = 136;

MacAddress MacAt(const Frame& frame, size_t offset) {
  std::array<uint8_t, 6> bytes;
  std::memcpy(bytes.data(), frame.data() + offset, bytes.size());
  return MacAddress(bytes);
}

bool Holds(const Frame& frame, size_t offset, std::span<const uint8_t> bytes) {
  return std::equal(bytes.begin(), bytes.end(), frame.begin() + static_cast<ptrdiff_t>(offset));
}

bool IsUnspecified(const Frame& frame, size_t offset, size_t length) {
  return std::all_of(frame.begin() + static_cast<ptrdiff_t>(offset), frame.begin() + static_cast<ptrdiff_t>(offset + length),
                     [](uint8_t byte) { return byte == 0; });
}

std::optional<MacAddress> ArpClaimant(const Frame& frame, const IpAddress& address) {
  constexpr std::array<uint8_t, 8> kKind{0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4};
  constexpr size_t kSenderMac = kEthernet + 8, kSender = kEthernet + 14, kTarget = kEthernet + 24;
  if (frame.size() < kArp || !Holds(frame, kEthernet - 2, kKind)) return std::nullopt;
  const bool holds_it = Holds(frame, kSender, address.bytes());
  const bool wants_it = IsUnspecified(frame, kSender, 4) && Holds(frame, kTarget, address.bytes());
  if (!holds_it && !wants_it) return std::nullopt;
  return MacAt(frame, kSenderMac);
}

std::optional<MacAddress> NeighbourClaimant(const Frame& frame, const IpAddress& address) {
  constexpr std::array<uint8_t, 2> kIpv6{0x86, 0xdd};
  constexpr size_t kNextHeader = kEthernet + 6, kHopLimit = kEthernet + 7, kSource = kEthernet + 8, kType = kEthernet + 40,
                   kTarget = kType + 8;
  if (frame.size() < kSolicitation || !Holds(frame, kEthernet - 2, kIpv6)) return std::nullopt;
  if (frame[kNextHeader] != 58 || frame[kHopLimit] != 255 || !Holds(frame, kTarget, address.bytes())) return std::nullopt;
  const bool holds_it = frame[kType] == kNeighbourAdvertisement;
  const bool wants_it = frame[kType] == kNeighbourSolicitation && IsUnspecified(frame, kSource, 16);
  if (!holds_it && !wants_it) return std::nullopt;
  return MacAt(frame, 6);
}

// RFC 4861 §2.3: solicited-node multicast ff02::1:ffXX:XXXX, and RFC 2464 §7: its MAC.
std::array<uint8_t, 16> SolicitedNode(const IpAddress& address) {
  std::array<uint8_t, 16> group{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  std::memcpy(group.data() + 13, address.bytes().data() + 13, 3);
  return group;
}

}  // namespace

Frame ProbeFrame(const IpAddress& address, const MacAddress& from) {
  if (address.is_v4()) return ArpRequest(from, {}, address);
  Frame message{kNeighbourSolicitation, 0, 0, 0, 0, 0, 0, 0};
  Append(message, address.bytes());
  const std::array<uint8_t, 16> group = SolicitedNode(address);
  const MacAddress group_mac({0x33, 0x33, group[12], group[13], group[14], group[15]});
  return Icmp6Frame(from, IpAddress::V6(std::array<uint8_t, 16>{}), group_mac, IpAddress::V6(group), std::move(message));
}

std::optional<MacAddress> Claimant(const Frame& frame, const IpAddress& address, const MacAddress& ours) {
  auto claimant = address.is_v4() ? ArpClaimant(frame, address) : NeighbourClaimant(frame, address);
  return claimant == ours ? std::nullopt : claimant;
}

StatusOr<std::optional<MacAddress>> ProbeOn(ProbeWire& wire, const IpAddress& address, const MacAddress& ours) {
  const Frame probe = ProbeFrame(address, ours);
  const Nanos start = wire.Now();
  for (int i = 1; i <= kProbes; ++i) {
    RETURN_IF_ERROR(wire.Send(probe));
    const Nanos until = start + (i == kProbes ? kProbeFor : i * kProbeInterval);
    while (true) {
      ASSIGN_OR_RETURN(const std::optional<Frame> frame, wire.Receive(until));
      if (!frame) break;
      if (auto claimant = Claimant(*frame, address, ours)) return claimant;
    }
  }
  return std::nullopt;
}

}  // namespace fairlead::dataplane
