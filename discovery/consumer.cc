#include "discovery/consumer.h"

#include <algorithm>
#include <utility>

#include "base/io/files.h"
#include "base/log.h"
#include "discovery/frame.h"
#include "discovery/row_codec.h"

namespace fairlead::discovery {

Consumer::Consumer(io::Proactor& proactor, io::Files& files, io::Offload& offload, Random& random, ConsumerOptions options)
    : proactor_(proactor),
      offload_(offload),
      random_(random),
      options_(std::move(options)),
      state_(files, options_.state_path),
      replica_(options_.kinds),
      acks_(*this),
      ack_ready_(proactor),
      changed_(proactor) {
  CHECK(!options_.agents.empty());
}

Consumer::~Consumer() = default;

void Consumer::AddListener(ChangeListener& listener) { listeners_.push_back(&listener); }
AckHold Consumer::HoldAck() { return acks_.Hold(); }

void Consumer::RegisterMetrics(Metrics& metrics) {
  endpoints_metric_ = &metrics.gauge("fairlead_discovery_endpoints", "Rows known, of the kinds it follows: endpoints, leases and nodes.");
  connects_metric_ = &metrics.counter("fairlead_discovery_connects_total", "Connections made to an agent.");
  bad_messages_metric_ =
      &metrics.counter("fairlead_discovery_bad_messages_total", "Messages of an agent that were refused.");
}

ConsumerStatus Consumer::status() const {
  ConsumerStatus status;
  status.connected = connected_;
  status.agent = agent_;
  status.error = error_;
  status.connects = connects_;
  if (connected_ && synced_) {
    status.freshness = Freshness::kSynced;
  } else if (stale_since_ != 0) {
    status.freshness = Freshness::kStale;
    status.stale_since = stale_since_;
  }
  return status;
}

Nanos Consumer::silent_since(std::string_view node) const {
  auto heard = heard_at_.find(node);
  return heard == heard_at_.end() ? loaded_at_ : heard->second;
}

io::Task<void> Consumer::Run() {
  loaded_at_ = proactor_.Now();
  co_await Load();
  co_await io::Race<bool, bool>(Follow(), SaveLoop());
  if (dirty_) co_await Save();
}

// --- the stream

io::Task<bool> Consumer::Follow() {
  Nanos backoff = kMinBackoff;
  for (size_t i = 0;; i = (i + 1) % options_.agents.size()) {
    const SocketAddress address = options_.agents[i];
    agent_ = address.ToString();
    heard_ = false;
    const Status ended = co_await Converse(address);
    Disconnected(ended);
    if (heard_) {
      backoff = kMinBackoff;
    } else if (i + 1 == options_.agents.size()) {
      backoff = std::min(2 * backoff, kMaxBackoff);  // all were tried
    }
    // Half of it at random: a thousand consumers of a restarted agent do not come back at once.
    const Nanos wait = backoff / 2 + static_cast<Nanos>(random_.Below(static_cast<uint64_t>(backoff / 2)));
    if (!(co_await io::Sleep(proactor_, wait)).ok()) co_return true;
  }
}

io::Task<Status> Consumer::Converse(SocketAddress address) {
  CO_ASSIGN_OR_RETURN(io::Stream stream,
                      co_await io::Dial(proactor_, address, proactor_.Now() + kConnectTimeout, io::BufferGroup::kLarge));
  ++connects_;
  if (connects_metric_ != nullptr) connects_metric_->Add();
  connected_ = true;
  error_.clear();
  replica_.StreamBegins();
  acks_.StreamBegins();
  auto ended = co_await io::Race<Status, Status>(ReadUpdates(stream), WriteRequests(stream));
  co_return ended.winner == 0 ? *ended.a : *ended.b;
}

io::Task<Status> Consumer::ReadUpdates(io::Stream& stream) {
  FrameDecoder frames(kMaxFrameBytes);
  while (true) {
    stream.SetDeadline(proactor_.Now() + kSilence);
    io::IoResult received = co_await stream.Receive();
    if (received.timed_out()) co_return DeadlineExceeded("agent ", agent_, " was silent for ", kSilence / kSecond, " s");
    if (!received.ok()) co_return received.ToStatus(Cat("read from agent ", agent_));
    if (received.is_end()) co_return Unavailable("agent ", agent_, " closed the stream");
    frames.Feed(stream.Take().view());
    while (true) {
      CO_ASSIGN_OR_RETURN(std::optional<std::string> frame, frames.Next());
      if (!frame) break;
      CO_RETURN_IF_ERROR(Apply(*frame));
    }
  }
}

io::Task<Status> Consumer::WriteRequests(io::Stream& stream) {
  std::string bytes;
  EncodeFrame(Subscribe{options_.name, replica_.positions(), options_.kinds}, bytes);
  while (true) {
    io::IoResult sent = co_await stream.Send(bytes);
    if (!sent.ok()) co_return sent.ToStatus(Cat("send to agent ", agent_));
    io::IoResult paused = co_await io::Sleep(proactor_, kAckPause);
    if (!paused.ok()) co_return paused.ToStatus("wait");
    std::optional<Ack> ack;
    while (!(ack = acks_.Next())) {
      io::IoResult waited = co_await ack_ready_.Wait();
      if (!waited.ok()) co_return waited.ToStatus("wait");
    }
    bytes.clear();
    EncodeFrame(*ack, bytes);
  }
}

Status Consumer::Apply(std::string_view message) {
  StatusOr<Update> update = DecodeUpdate(message);
  StatusOr<std::vector<Change>> changes = update.ok() ? replica_.Apply(*update) : update.status();
  if (!changes.ok()) {
    if (bad_messages_metric_ != nullptr) bad_messages_metric_->Add();
    LOG(kWarning, "message of agent refused", {"agent", agent_}, {"reason", Message(changes.status())});
    return changes.status();
  }
  heard_ = true;
  if (replica_.synced(update->position.node)) heard_at_[update->position.node] = proactor_.Now();
  const bool newly_synced = update->synced && !update->more && !synced_;
  if (newly_synced) {
    synced_ = true;
    stale_since_ = 0;
    LOG(kInfo, "synced with agent", {"agent", agent_}, {"rows", rows().size()});
  }
  Tell(update->position, !update->more, *changes, newly_synced);
  return OkStatus();
}

void Consumer::Disconnected(const Status& why) {
  const bool was_synced = connected_ && synced_;
  bool stopping = why.code() == StatusCode::kCancelled;
  if (!stopping && (connected_ || error_ != Message(why)))
    LOG(kWarning, "no stream from agent", {"agent", agent_}, {"reason", Message(why)});
  connected_ = synced_ = false;
  error_ = Message(why);
  if (stale_since_ == 0 && (was_synced || !rows().empty())) stale_since_ = proactor_.Now();
  if (was_synced) Tell({}, false, {}, true);
}

void Consumer::Tell(const Position& position, bool confirm, const std::vector<Change>& changes, bool status_changed) {
  acks_.Begin(position, confirm);
  if (!changes.empty() || status_changed)
    for (ChangeListener* listener : listeners_) listener->OnChanges(changes);
  acks_.End();
  if (changes.empty()) return;
  if (endpoints_metric_ != nullptr) endpoints_metric_->Set(static_cast<double>(rows().size()));
  NoteUnsaved(changes);
  dirty_ = true;
  changed_.Set();
}

void Consumer::NoteUnsaved(const std::vector<Change>& changes) {
  if (options_.state_path.empty()) return;
  whole_ = whole_ || unsaved_.size() + changes.size() > kMaxUnsaved;
  if (whole_) return unsaved_.clear();
  for (const Change& change : changes) unsaved_.insert(change.key);
}

// --- the disk

io::Task<void> Consumer::Load() {
  if (options_.state_path.empty()) co_return;
  const std::string& path = options_.state_path;
  auto state = co_await io::OffloadTo(offload_, proactor_, [this] { return state_.Read(); });
  if (!state.ok()) {
    if (state.status().code() == StatusCode::kNotFound) co_return;
    LOG(kWarning, "last good state is not used", {"file", path}, {"reason", Message(state.status())});
    co_return;
  }
  const std::vector<Change> changes = replica_.Restore(*state);
  if (changes.empty()) co_return;
  stale_since_ = proactor_.Now();
  LOG(kInfo, "last good state loaded", {"file", path}, {"rows", rows().size()});
  Tell({}, false, changes, true);
  dirty_ = whole_ = false;  // it is what the disk holds
  unsaved_.clear();
}

io::Task<bool> Consumer::SaveLoop() {
  while (true) {
    if (!(co_await changed_.Wait()).ok()) co_return true;
    const Nanos began = proactor_.Now();
    if (dirty_) co_await Save();
    // A large state is written less often: at most a twentieth of the time goes into it.
    const Nanos pause = std::max(kSaveInterval, 20 * (proactor_.Now() - began));
    if (!(co_await io::Sleep(proactor_, pause)).ok()) co_return true;
  }
}

io::Task<void> Consumer::Save() {
  dirty_ = false;
  if (options_.state_path.empty()) co_return;
  const std::string& path = options_.state_path;
  const RowMap snapshot = rows();
  const std::vector<Position> positions = replica_.positions();
  const StateFile::Keys changed = std::exchange(unsaved_, {});
  const bool whole = std::exchange(whole_, false);
  const Status saved = co_await io::OffloadTo(offload_, proactor_, [this, &snapshot, &positions, &changed, whole] {
    return state_.Write(positions, snapshot, whole ? nullptr : &changed);
  });
  if (saved.ok() != save_failed_) co_return;  // as the last time: said already
  save_failed_ = !saved.ok();
  if (save_failed_) {
    LOG(kWarning, "last good state cannot be written", {"file", path}, {"reason", Message(saved)});
  } else {
    LOG(kInfo, "last good state is written again", {"file", path});
  }
}

}  // namespace fairlead::discovery
