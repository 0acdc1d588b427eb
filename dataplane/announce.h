// Frames that tell the neighbours of an address its MAC: gratuitous ARP (RFC 5227 §3, RFC 826) and the unsolicited
// neighbour advertisement (RFC 4861 §7.2.6).
#pragma once

#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"
#include "dataplane/frame.h"

namespace fairlead::dataplane {

Frame AnnouncementFrame(const IpAddress& address, const MacAddress& mac);

// Sends frames out of every port of a bridge, in the namespace of the thread that sends first. Keeps its socket: closing
// a packet socket waits some 13 ms in the kernel for readers to let go.
class FrameSender {
 public:
  FrameSender() = default;
  FrameSender(const FrameSender&) = delete;
  ~FrameSender();
  Status Send(int bridge_index, const std::vector<Frame>& frames);

 private:
  int socket_ = -1;
};

}  // namespace fairlead::dataplane
