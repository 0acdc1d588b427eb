// Asks other servers for names that are not ours (dns.forward), for askers of this network: leased, private and this host's
// addresses. Own sockets and not c-ares, for what a forwarder owes to forged answers (RFC 5452): each question has a port,
// an id and a spelling (0x20) of its own, which Debian's c-ares 1.18 does not give, and the simulator sees all of it.
//
// A question that is being asked already is not asked again: its askers wait together, and a loop of forwarders ends there.
// Bounded everywhere, each asker for itself; what cannot be taken is told so at once and does not delay others.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/io/event.h"
#include "base/io/stream.h"
#include "base/io/udp_socket.h"
#include "base/random.h"
#include "discovery/dns/fair_queue.h"
#include "discovery/dns/foreign_cache.h"
#include "discovery/dns/zone.h"

namespace fairlead::dns {

class Forwarder {
 public:
  static constexpr size_t kMaxInFlight = 256;       // questions at other servers
  static constexpr size_t kMaxWaiting = 4096;       // askers that wait
  static constexpr size_t kMaxWaitingPerAsker = 256;
  static constexpr int kTries = 4;
  static constexpr Nanos kFirstTry = 800 * kMillisecond, kLaterTry = 1200 * kMillisecond;  // below 5 s together: resolvers' patience
  static constexpr Nanos kStalePatience = 1800 * kMillisecond;  // RFC 8767 §5: then what is stale is better than silence

  Forwarder(io::Proactor& proactor, const Zone& zone, Random& random, Metrics& metrics, std::vector<SocketAddress> upstreams);
  Forwarder(const Forwarder&) = delete;

  // May ask: what is open to the internet would answer for anybody who is flooded in their name.
  bool Serves(const IpAddress& asker) const;
  // Writes what is known without asking anybody: 0 otherwise. `query` is one that the answerer called foreign.
  size_t AnswerKnown(const Query& query, size_t limit, std::span<uint8_t> out);
  // The same for anything, after asking; at most `limit` bytes. "" when it is cancelled.
  io::Task<std::string> Ask(std::string query, IpAddress asker, size_t limit);
  // Goes on where our own answer ended with an alias of a name that is none of ours: `own` and what is found behind it.
  io::Task<std::string> Chase(std::string query, std::string own, std::string target, IpAddress asker, size_t limit);
  void Stop() { tasks_.Drain(proactor_); }

 private:
  struct Flight {
    std::string key, query;                         // as the first asker sent it
    std::vector<io::Event*> waiting;
    std::optional<ForeignAnswer> answer;            // once it is done; none: nobody answered
    bool done = false;
  };
  using FlightPointer = std::shared_ptr<Flight>;

  bool Enter(const IpAddress& asker);
  void Leave(const IpAddress& asker);
  FlightPointer Join(const std::string& key, const std::string& query, const IpAddress& asker);
  void Pump();
  io::Task<void> Fetch(FlightPointer flight);
  io::Task<std::optional<ForeignAnswer>> TryAll(const Query& query);
  io::Task<std::optional<ForeignAnswer>> AskUdp(SocketAddress upstream, std::string question, Nanos deadline);
  io::Task<std::optional<ForeignAnswer>> AskTcp(SocketAddress upstream, std::string question, Nanos deadline);
  std::string Question(const Query& query, bool mixed_case);
  size_t WriteStale(const Query& query, const std::string& key, size_t limit, std::span<uint8_t> out);
  size_t WriteLocalhost(const Query& query, std::span<uint8_t> out) const;

  io::Proactor& proactor_;
  const Zone& zone_;
  Random& random_;
  const std::vector<SocketAddress> upstreams_;
  size_t preferred_ = 0;                            // that answered last
  ForeignCache cache_;
  FairQueue<FlightPointer> queue_;
  std::unordered_map<std::string, FlightPointer> flights_;  // queued or in flight
  std::unordered_map<IpAddress, size_t, IpAddressHash> waiting_;
  size_t waiting_total_ = 0, in_flight_ = 0;
  Counter &cached_, &answered_, &failed_, &stale_, &inside_, &limited_;
  io::TaskGroup tasks_;
};

}  // namespace fairlead::dns
