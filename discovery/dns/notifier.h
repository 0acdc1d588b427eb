// NOTIFY (RFC 1996) to one secondary: tells it that the zones have changed, so that it need not wait for its refresh time.
// Changes that come close together are told once. A secondary that does not answer is told again with growing pauses, and
// of the next change in any case; one that says no is left alone until then.
#pragma once

#include <string>
#include <vector>

#include "base/io/event.h"
#include "base/io/udp_socket.h"
#include "base/metrics.h"
#include "base/random.h"
#include "discovery/dns/tsig.h"
#include "discovery/dns/zone.h"

namespace fairlead::dns {

class Notifier {
 public:
  static constexpr Nanos kGather = kSecond;          // from a change to telling of it
  static constexpr Nanos kFirstPause = 2 * kSecond;  // for an answer; doubled each time
  static constexpr int kTries = 6;                   // the last one after a minute
  static constexpr size_t kMaxZones = 256;           // told of at once; a secondary asks for the others by itself

  // `keys`: the first one signs; null: unsigned. Outlives this, as all do.
  Notifier(io::Proactor& proactor, const Zone& zone, Random& random, Metrics& metrics, SocketAddress target,
           const TsigKeys* keys);

  // The zones have another serial. Cheap.
  void Changed() { changed_.Set(); }
  // Ends when it is cancelled. Spawn it.
  io::Task<void> Run();

 private:
  struct Question {
    uint16_t id = 0;
    std::string zone;                                // wire
    Tsig tsig;
  };
  io::Task<bool> Tell(io::UdpSocket& socket);        // false: cancelled
  void Send(io::UdpSocket& socket, Question& question);
  void Receive(io::UdpSocket& socket, std::vector<Question>& open);
  bool IsAnswer(std::span<const uint8_t> message, Question& question) const;

  io::Proactor& proactor_;
  const Zone& zone_;
  Random& random_;
  const SocketAddress target_;
  const TsigKeys* keys_;
  io::Event changed_;
  Counter& answered_;
  Counter& unanswered_;
};

}  // namespace fairlead::dns
