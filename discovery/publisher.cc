#include "discovery/publisher.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "discovery/frame.h"
#include "discovery/row_codec.h"

namespace fairlead::discovery {

namespace {

io::Task<io::IoResult> SendAll(io::Stream& stream, std::string_view bytes) { co_return co_await stream.Send(bytes); }

}  // namespace

bool PeerPolicy::Allows(const io::PeerCredentials& peer) const {
  auto in = [](const std::vector<uint32_t>& ids, uint32_t id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); };
  return peer.uid == 0 || peer.uid == geteuid() || in(uids, peer.uid) || in(gids, peer.gid);
}

struct Publisher::Connection {
  Connection(io::Proactor& proactor, const Catalog& catalog, int fd)
      : stream(proactor, fd), subscriber(catalog), news(proactor) {}
  io::Stream stream;
  Subscriber subscriber;
  io::Event news;
};

struct Publisher::Waiting {
  uint64_t revision;
  io::Event confirmed;
};

Publisher::Publisher(io::Proactor& proactor, Catalog& catalog, PeerPolicy policy, Metrics& metrics)
    : proactor_(proactor),
      catalog_(catalog),
      policy_(std::move(policy)),
      consumers_metric_(metrics.gauge("fairlead_discovery_consumers", "Consumers that follow this agent.")),
      updates_metric_(metrics.counter("fairlead_discovery_updates_total", "Updates sent to consumers.")),
      full_metric_(metrics.counter("fairlead_discovery_full_states_total",
                                   "Full states sent: a consumer was new, or further behind than the change log.")),
      oversize_metric_(metrics.counter("fairlead_discovery_oversize_rows_total",
                                       "Rows left out of a stream because they are larger than a row may be.")),
      refused_metric_(metrics.counter("fairlead_discovery_refused_total", "Consumers turned away.")) {
  catalog_.Watch(*this);
}

Publisher::~Publisher() {
  CHECK(connections_.empty() && waiting_.empty());
  catalog_.Unwatch(*this);
}

void Publisher::OnChanges(const std::vector<Change>&) {
  for (Connection* connection : connections_) connection->news.Set();
}

Status Publisher::Admit(io::Stream& stream) const {
  if (connections_.size() >= kMaxConsumers) return ResourceExhausted(kMaxConsumers, " consumers are connected already");
  if (!stream.local().is_unix()) return OkStatus();
  ASSIGN_OR_RETURN(io::PeerCredentials peer, stream.credentials());
  if (policy_.Allows(peer)) return OkStatus();
  return PermissionDenied("process ", peer.pid, " of user ", peer.uid, " may not read the discovery socket");
}

io::Task<void> Publisher::Serve(int fd) {
  Connection connection(proactor_, catalog_, fd);
  if (Status admitted = Admit(connection.stream); !admitted.ok()) {
    refused_metric_.Add();
    LOG(kWarning, "consumer refused", {"reason", Message(admitted)});
    co_return;
  }
  auto place = connections_.insert(connections_.end(), &connection);
  consumers_metric_.Set(static_cast<double>(connections_.size()));
  auto ended = co_await io::Race<Status, Status>(Read(connection), Write(connection));
  connections_.erase(place);
  consumers_metric_.Set(static_cast<double>(connections_.size()));
  WakeConfirmed();  // a drain does not wait for a consumer that is gone
  const Status& why = ended.winner == 0 ? *ended.a : *ended.b;
  LOG(kInfo, "consumer gone", {"consumer", connection.subscriber.consumer()},
      {"reason", why.ok() ? std::string_view("closed") : Message(why)});
}

io::Task<Status> Publisher::Read(Connection& connection) {
  FrameDecoder frames(kMaxRequestBytes);
  while (true) {
    io::IoResult received = co_await connection.stream.Receive();
    if (!received.ok()) co_return received.ToStatus("read");
    if (received.is_end()) co_return OkStatus();
    frames.Feed(connection.stream.Take().view());
    while (true) {
      CO_ASSIGN_OR_RETURN(std::optional<std::string> frame, frames.Next());
      if (!frame) break;
      CO_ASSIGN_OR_RETURN(auto request, DecodeRequest(*frame));
      CO_RETURN_IF_ERROR(OnRequest(connection, request));
    }
  }
}

Status Publisher::OnRequest(Connection& connection, const std::variant<Subscribe, Ack>& request) {
  if (const auto* subscribe = std::get_if<Subscribe>(&request)) {
    RETURN_IF_ERROR(connection.subscriber.OnSubscribe(*subscribe));
    LOG(kInfo, "consumer subscribed", {"consumer", subscribe->consumer});
    connection.news.Set();
    return OkStatus();
  }
  RETURN_IF_ERROR(connection.subscriber.OnAck(std::get<Ack>(request)));
  WakeConfirmed();
  return OkStatus();
}

io::Task<Status> Publisher::Write(Connection& connection) {
  Subscriber& subscriber = connection.subscriber;
  bool heartbeat_due = false;
  std::string bytes;
  while (true) {
    const uint64_t full = subscriber.full_states(), oversize = subscriber.oversize_rows();
    std::optional<PackedUpdate> update = subscriber.Next();
    full_metric_.Add(subscriber.full_states() - full);
    oversize_metric_.Add(subscriber.oversize_rows() - oversize);
    if (!update && heartbeat_due) update = subscriber.Heartbeat();
    if (!update) {
      WakeConfirmed();  // what it does not follow counts as applied
      const Nanos patience = subscriber.subscribed() ? kHeartbeat : kSubscribeTimeout;
      io::IoResult waited = co_await connection.news.Wait(proactor_.Now() + patience);
      if (waited.timed_out() && !subscriber.subscribed()) co_return DeadlineExceeded("it did not subscribe in time");
      if (!waited.ok() && !waited.timed_out()) co_return waited.ToStatus("wait");
      heartbeat_due = waited.timed_out();
      continue;
    }
    heartbeat_due = false;
    bytes.clear();
    EncodeFrame(*update, bytes);
    updates_metric_.Add();
    io::IoResult sent =
        co_await io::WithDeadline<io::IoResult>(proactor_, proactor_.Now() + kSendTimeout, SendAll(connection.stream, bytes));
    if (!sent.ok()) co_return sent.ToStatus("send");
  }
}

std::vector<ConsumerInfo> Publisher::consumers() const {
  std::vector<ConsumerInfo> infos;
  for (const Connection* connection : connections_) {
    const Subscriber& subscriber = connection->subscriber;
    if (!subscriber.subscribed()) continue;
    infos.push_back({subscriber.consumer(), subscriber.sent_revision(), subscriber.acked_revision()});
  }
  return infos;
}

bool Publisher::Confirmed(uint64_t revision) const {
  return std::ranges::all_of(connections_, [&](const Connection* connection) {
    return !connection->subscriber.subscribed() || connection->subscriber.acked_revision() >= revision;
  });
}

void Publisher::WakeConfirmed() {
  for (Waiting* waiting : waiting_)
    if (Confirmed(waiting->revision)) waiting->confirmed.Set();
}

io::Task<bool> Publisher::WaitConfirmed(uint64_t revision, Nanos deadline) {
  Waiting waiting{revision, io::Event(proactor_)};
  auto place = waiting_.insert(waiting_.end(), &waiting);
  while (!Confirmed(revision)) {
    io::IoResult waited = co_await waiting.confirmed.Wait(deadline);
    if (!waited.ok()) break;
  }
  waiting_.erase(place);
  co_return Confirmed(revision);
}

}  // namespace fairlead::discovery
