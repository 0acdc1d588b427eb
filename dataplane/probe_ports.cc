// The wire of a probe: one packet socket for each port. A port's frames are taken by the bridge before a socket bound
// to a protocol would see them, so the sockets listen to every protocol and a filter in the kernel keeps all but ARP
// and ICMPv6 away: a busy LAN must not wake us for each of its frames.
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.h"
#include "dataplane/probe.h"

namespace fairlead::dataplane {
namespace {

constexpr size_t kFrameBytes = 256;  // of a frame are looked at; ARP and ND need 86

constexpr sock_filter kArpOnly[] = {
    {BPF_LD | BPF_H | BPF_ABS, 0, 0, 12},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ETHERTYPE_ARP},
    {BPF_RET | BPF_K, 0, 0, kFrameBytes},
    {BPF_RET | BPF_K, 0, 0, 0},
};
constexpr sock_filter kIcmp6Only[] = {
    {BPF_LD | BPF_H | BPF_ABS, 0, 0, 12},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, ETHERTYPE_IPV6},
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, ETHER_HDR_LEN + 6},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, IPPROTO_ICMPV6},
    {BPF_RET | BPF_K, 0, 0, kFrameBytes},
    {BPF_RET | BPF_K, 0, 0, 0},
};

class Ports final : public ProbeWire {
 public:
  ~Ports() override {
    for (const pollfd& port : ports_) close(port.fd);
  }

  Status Add(int index, bool v4) {
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);  // nothing is received before bind
    if (fd < 0) return ErrnoStatus(errno, "open packet socket to probe an address");
    ports_.push_back({fd, POLLIN, 0});
    sock_fprog program{v4 ? uint16_t{std::size(kArpOnly)} : uint16_t{std::size(kIcmp6Only)},
                       const_cast<sock_filter*>(v4 ? kArpOnly : kIcmp6Only)};
    sockaddr_ll port{};
    port.sll_family = AF_PACKET;
    port.sll_protocol = htons(ETH_P_ALL);
    port.sll_ifindex = index;
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
        bind(fd, reinterpret_cast<const sockaddr*>(&port), sizeof port) != 0)
      return ErrnoStatus(errno, "listen for whoever has an address");
    return OkStatus();
  }

  Nanos Now() override { return clock_.Now(); }

  Status Send(const Frame& frame) override {
    for (const pollfd& port : ports_)
      if (send(port.fd, frame.data(), frame.size(), 0) < 0 && errno != ENETDOWN && errno != ENXIO && errno != ENOBUFS)
        return ErrnoStatus(errno, "send a probe for an address");
    return OkStatus();
  }

  StatusOr<std::optional<Frame>> Receive(Nanos until) override {
    while (true) {
      for (const pollfd& port : ports_) {
        Frame frame(kFrameBytes);
        sockaddr_ll from{};
        socklen_t length = sizeof from;
        const ssize_t bytes = recvfrom(port.fd, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
        // Errors (the port went down or away) are of that port alone.
        if (bytes < 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
        frame.resize(static_cast<size_t>(bytes));
        return std::optional(std::move(frame));
      }
      const Nanos left = until - clock_.Now();
      if (left <= 0) return std::nullopt;
      const timespec wait{left / kSecond, left % kSecond};
      if (ppoll(ports_.data(), ports_.size(), &wait, nullptr) < 0 && errno != EINTR)
        return ErrnoStatus(errno, "wait for whoever has an address");
    }
  }

 private:
  SystemClock clock_;
  std::vector<pollfd> ports_;
};

}  // namespace

StatusOr<std::unique_ptr<ProbeWire>> OpenPorts(const std::vector<int>& port_indices, const IpAddress& address) {
  auto wire = std::make_unique<Ports>();
  for (int index : port_indices) RETURN_IF_ERROR(wire->Add(index, address.is_v4()));
  return wire;
}

}  // namespace fairlead::dataplane
