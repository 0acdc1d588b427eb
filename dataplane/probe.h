// Whether somebody on the LAN answers at an address that is about to be used first: ARP probes (RFC 5227 §2.1.1) and
// neighbour solicitations of the unspecified address (RFC 4862 §5.4). Three probes within kProbeFor, where the RFCs wait
// seconds: a container waits for the answer, and a squatter on the same segment answers in less than a millisecond.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"
#include "base/time.h"
#include "dataplane/frame.h"

namespace fairlead::dataplane {

inline constexpr int kProbes = 3;                               // RFC 5227 §1.1, PROBE_NUM
inline constexpr Nanos kProbeInterval = 30 * kMillisecond;
inline constexpr Nanos kProbeFor = 100 * kMillisecond;

// The frame that asks, sent by a host with that MAC.
Frame ProbeFrame(const IpAddress& address, const MacAddress& from);

// Who claims the address by this frame: any ARP packet from it, an advertisement of it, or a probe for it by somebody
// who wants it too. Nobody for everything else, for our own probes and for bytes that are no whole frame.
std::optional<MacAddress> Claimant(const Frame& frame, const IpAddress& address, const MacAddress& ours);

// The wire as a probe sees it.
class ProbeWire {
 public:
  virtual ~ProbeWire() = default;
  virtual Nanos Now() = 0;
  virtual Status Send(const Frame& frame) = 0;
  virtual StatusOr<std::optional<Frame>> Receive(Nanos until) = 0;  // none: nothing came until then
};

// Asks until somebody claims the address or kProbeFor is over.
StatusOr<std::optional<MacAddress>> ProbeOn(ProbeWire& wire, const IpAddress& address, const MacAddress& ours);

// Packet sockets on ports of a bridge, in the calling thread's namespace. Frames go out of these ports alone and only
// what comes in by them is heard: no container behind another port can answer. A port that is down is left out.
StatusOr<std::unique_ptr<ProbeWire>> OpenPorts(const std::vector<int>& port_indices, const IpAddress& address);

}  // namespace fairlead::dataplane
