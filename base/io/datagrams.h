// Batches of UDP messages by recvmmsg(2) and sendmmsg(2), with the local address of each (IP_PKTINFO).
#pragma once

#include <span>

#include "base/io/proactor.h"

namespace fairlead::io {

int ReceiveDatagramBatch(int fd, std::span<Datagram> batch);
// A message that the kernel refuses (no route, bad source address) counts as taken and as dropped: UDP may lose it.
int SendDatagramBatch(int fd, std::span<const Datagram> batch, uint64_t& dropped);

}  // namespace fairlead::io
