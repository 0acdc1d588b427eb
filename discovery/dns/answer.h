// Bytes in, bytes out: one query, one answer, no I/O; what is asked often allocates nothing.
#pragma once

#include <array>
#include <span>

#include "base/metrics.h"
#include "discovery/dns/zone.h"

namespace fairlead::dns {

enum class Transport { kUdp, kTcp };

class Answerer {
 public:
  Answerer(const Zone& zone, Metrics& metrics);

  // Writes the answer to `query` and gives its length; 0 when nothing may be answered. `out` holds kMaxUdpBytes for UDP
  // and kMaxMessageBytes for TCP. `source` is who asks, for one-label names.
  size_t Answer(std::span<const uint8_t> query, const IpAddress& source, Transport transport, std::span<uint8_t> out);

 private:
  const Zone& zone_;
  uint32_t rotation_ = 0;  // where the next answer begins in its set
  std::array<Counter*, 17> answers_{};  // by rcode
  Counter& truncated_;
  Counter& dropped_;
};

}  // namespace fairlead::dns
