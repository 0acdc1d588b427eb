// Publisher: the agent's end of the streams. Follows a catalog and serves it to every consumer that may read it; knows
// what each has confirmed, so that a drain can wait until all have applied it. Belongs to the catalog's worker.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <variant>
#include <vector>

#include "base/io/event.h"
#include "base/io/listener.h"
#include "base/io/stream.h"
#include "base/metrics.h"
#include "discovery/catalog.h"
#include "discovery/subscriber.h"

namespace fairlead::discovery {

// Who may read a unix socket: root, our own user, and these. TCP peers are admitted by the listener's address alone
// (loopback) until mutual TLS stands in front.
struct PeerPolicy {
  std::vector<uint32_t> uids, gids;
  bool Allows(const io::PeerCredentials& peer) const;
};

struct ConsumerInfo {
  std::string name;
  uint64_t sent_revision = 0, acked_revision = 0;
};

class Publisher final : private ChangeListener {
 public:
  static constexpr size_t kMaxConsumers = 256;
  static constexpr Nanos kHeartbeat = 2 * kSecond;
  static constexpr Nanos kSubscribeTimeout = 10 * kSecond;
  static constexpr Nanos kSendTimeout = 30 * kSecond;  // a consumer that takes nothing for so long is dropped

  Publisher(io::Proactor& proactor, Catalog& catalog, PeerPolicy policy, Metrics& metrics);
  Publisher(const Publisher&) = delete;
  ~Publisher();  // no Serve() runs any more

  // One connection, until it ends: io::AcceptLoop(listener, group, [&publisher](int fd) { return publisher.Serve(fd); }).
  io::Task<void> Serve(int fd);

  std::vector<ConsumerInfo> consumers() const;
  // Every connected consumer has applied that revision of the catalog.
  bool Confirmed(uint64_t revision) const;
  // Waits for that, or until `deadline` (Proactor::Now()). False: time was up, or the wait was cancelled.
  io::Task<bool> WaitConfirmed(uint64_t revision, Nanos deadline);

 private:
  struct Connection;
  struct Waiting;
  void OnChanges(const std::vector<Change>& changes) override;
  void WakeConfirmed();
  Status Admit(io::Stream& stream) const;
  Status OnRequest(Connection& connection, const std::variant<Subscribe, Ack>& request);
  io::Task<Status> Read(Connection& connection);
  io::Task<Status> Write(Connection& connection);

  io::Proactor& proactor_;
  Catalog& catalog_;
  const PeerPolicy policy_;
  std::list<Connection*> connections_;
  std::list<Waiting*> waiting_;
  Gauge& consumers_metric_;
  Counter& updates_metric_;
  Counter& full_metric_;
  Counter& oversize_metric_;
  Counter& refused_metric_;
};

}  // namespace fairlead::discovery
