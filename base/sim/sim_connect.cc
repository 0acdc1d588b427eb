// How a stream of SimProactor is made: SYN, backlog, answer; and the lookup of a unix path.
#include <cerrno>

#include "base/sim/descriptor.h"
#include "base/sim/sim_proactor.h"

namespace fairlead::sim {
namespace {

constexpr int kMaxSyns = 7;                               // 1 + 2 + … + 64 s: ETIMEDOUT after 127 s, as Linux does
constexpr Nanos kUnixRetry = kMillisecond;                // connect to a full unix backlog blocks until there is room

}  // namespace

void SimProactor::SendSyn(const File& file, OperationId id, Nanos after) {
  const SocketAddress& to = *FindPending(id)->address;
  SimHost* target = to.is_unix() || host_.Owns(to.ip()) ? &host_ : world_.network().Find(to.ip());
  if (!to.is_unix() && !host_.AddressFor(to.ip()).is_set()) return Finish(*FindPending(id), -ENETUNREACH);
  Nanos delay = target == nullptr ? 0 : world_.network().Delay(host_, *target);
  world_.After(after + delay, [this, weak = std::weak_ptr<Descriptor>(file), id, target] {
    File still = weak.lock();
    if (still != nullptr && still->open && still->out == id) SynArrives(still, id, target);
  });
}

// The SYN was lost or dropped.
void SimProactor::RepeatSyn(const File& file, Pending& pending) {
  if (pending.address->is_unix()) return SendSyn(file, pending.id, kUnixRetry);
  if (pending.attempts == kMaxSyns) return Finish(pending, -ETIMEDOUT);
  SendSyn(file, pending.id, kSecond << pending.attempts++);
}

void SimProactor::SynArrives(const File& file, OperationId id, SimHost* target) {
  Pending& pending = *FindPending(id);
  const SocketAddress& to = *pending.address;
  if (target == nullptr || !world_.network().Reaches(host_, *target) ||
      (!to.is_unix() && world_.Occurs(world_.faults.connects_lost, world_.counts.connects_lost)))
    return RepeatSyn(file, pending);
  bool exists = true;
  Descriptor* listener =
      to.is_unix() ? target->FindPath(std::string(to.path()), &exists) : target->Find(Transport::kTcp, to);
  if (!exists) return Finish(pending, -ENOENT);
  if (listener == nullptr || world_.Occurs(world_.faults.connects_refused, world_.counts.connects_refused))
    return ConnectEnds(file, id, -ECONNREFUSED, nullptr, world_.network().Delay(*target, host_));
  if (listener->backlog.size() >= listener->max_backlog) return RepeatSyn(file, pending);

  auto connection = std::make_shared<Connection>(world_, host_, *target);
  file->peer = to;
  file->credentials = listener->owner.options_.credentials;
  if (!to.is_unix() && !file->local.is_set())
    file->local = SocketAddress(host_.AddressFor(to.ip()), host_.FreePort(Transport::kTcp));
  listener->backlog.push_back({connection, to.is_unix() ? listener->local : to, file->local, options_.credentials});
  listener->owner.Progress(listener->shared_from_this());
  ConnectEnds(file, id, 0, connection, world_.network().Delay(*target, host_));
}

// The answer travels back. A client that is not waiting any more answers it by RST.
void SimProactor::ConnectEnds(const File& file, OperationId id, int32_t result,
                              std::shared_ptr<Connection> connection, Nanos delay) {
  world_.After(delay, [this, weak = std::weak_ptr<Descriptor>(file), id, result, connection] {
    File still = weak.lock();
    if (still == nullptr || !still->open || still->out != id) {
      if (connection != nullptr) connection->Reset(0);
      return;
    }
    if (connection != nullptr) {
      still->type = Descriptor::Type::kStream;
      still->connection = connection;
      still->end = 0;
      connection->Watch(0, still.get());
    }
    Finish(*FindPending(id), result);
  });
}

}  // namespace fairlead::sim
