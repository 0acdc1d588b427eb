// Descriptor: what a number of a SimProactor stands for. Events on their way to it hold it weakly, so that a closed one
// misses them.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "base/sim/sim_proactor.h"

namespace fairlead::sim {

class Descriptor final : public StreamWatcher, public std::enable_shared_from_this<Descriptor> {
 public:
  enum class Type : uint8_t { kUnconnected, kStream, kListener, kUdp };
  struct Arrived {                              // a connection that waits to be accepted
    std::shared_ptr<Connection> connection;
    SocketAddress local, peer;
    io::PeerCredentials credentials;
  };
  struct Message {
    SocketAddress peer;
    IpAddress local;
    std::string bytes;
  };

  Descriptor(SimProactor& owner_, int family_) : owner(owner_), family(family_) {}
  void OnStreamChange() override { owner.Progress(shared_from_this()); }
  bool busy() const { return in != 0 || out != 0; }

  SimProactor& owner;                           // outlives it: events look at `open` first
  const int family;
  Type type = Type::kUnconnected;
  bool open = true;
  bool closing = false, reset_on_close = false;  // once the last operation has ended
  uint64_t in = 0, out = 0;                     // operations in flight: ids of the owner's, 0 for none
  SocketAddress local, peer;
  io::PeerCredentials credentials;              // of the peer

  std::shared_ptr<Connection> connection;       // kStream
  int end = 0;
  std::deque<Arrived> backlog;                  // kListener
  size_t max_backlog = 0;
  std::deque<Message> inbox;                    // kUdp
  Nanos last_arrival = 0;                       // of what it sends: datagrams keep their order unless a fault changes it
};

}  // namespace fairlead::sim
