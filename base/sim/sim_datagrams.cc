// Datagrams of SimProactor: lost, doubled and reordered by the seed, dropped where nobody listens or the socket is full.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/sim/descriptor.h"
#include "base/sim/sim_proactor.h"

namespace fairlead::sim {
namespace {

constexpr Nanos kReordered = 5 * kMillisecond;  // behind those that left within that time

}  // namespace

int SimProactor::ReceiveDatagrams(int fd, std::span<io::Datagram> batch) {
  File file = At(fd);
  if (file == nullptr) return 0;
  size_t count = 0;
  while (count < batch.size() && !file->inbox.empty()) {
    Descriptor::Message message = std::move(file->inbox.front());
    file->inbox.pop_front();
    io::Datagram& datagram = batch[count++];
    size_t bytes = std::min(message.bytes.size(), datagram.bytes.size());
    std::memcpy(datagram.bytes.data(), message.bytes.data(), bytes);
    datagram.bytes = datagram.bytes.first(bytes);
    datagram.peer = message.peer;
    datagram.local = message.local;
    datagram.truncated = message.bytes.size() > bytes;
  }
  return static_cast<int>(count);
}

int SimProactor::SendDatagrams(int fd, std::span<const io::Datagram> batch) {
  File file = At(fd);
  if (file == nullptr) return 0;
  for (const io::Datagram& datagram : batch) SendDatagram(file, datagram);
  return static_cast<int>(batch.size());
}

void SimProactor::SendDatagram(const File& file, const io::Datagram& datagram) {
  const SocketAddress to = datagram.peer;
  SimHost* target = host_.Owns(to.ip()) ? &host_ : world_.network().Find(to.ip());
  IpAddress from = datagram.local.is_set()             ? datagram.local
                   : file->local.ip().is_unspecified() ? host_.AddressFor(to.ip())
                                                       : file->local.ip();
  if (target == nullptr || !from.is_set()) {
    ++stats.datagrams_dropped;
    return;
  }
  if (world_.network().Loses(host_, *target) ||
      world_.Occurs(world_.faults.datagrams_lost, world_.counts.datagrams_lost))
    return;
  int copies = world_.Occurs(world_.faults.datagrams_doubled, world_.counts.datagrams_doubled) ? 2 : 1;
  for (; copies > 0; copies--) {
    Nanos arrives = world_.Now() + world_.network().Delay(host_, *target);
    if (world_.Occurs(world_.faults.datagrams_reordered, world_.counts.datagrams_reordered)) {
      arrives += world_.UpTo(kReordered);
    } else {
      arrives = file->last_arrival = std::max(file->last_arrival + 1, arrives);
    }
    Descriptor::Message message{SocketAddress(from, file->local.port()), to.ip(),
                                std::string(reinterpret_cast<const char*>(datagram.bytes.data()), datagram.bytes.size())};
    world_.After(arrives - world_.Now(), [&world = world_, target, to, message = std::move(message)] {
      Descriptor* socket = target->down ? nullptr : target->Find(Transport::kUdp, to);
      if (socket == nullptr) return;
      SimProactor& receiver = socket->owner;
      world.Trace(message.bytes.size());
      if (socket->inbox.size() >= receiver.options_.max_datagrams) {
        ++receiver.stats.datagrams_dropped;
        return;
      }
      socket->inbox.push_back(message);
      receiver.Progress(socket->shared_from_this());
    });
  }
}

}  // namespace fairlead::sim
