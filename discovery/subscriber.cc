#include "discovery/subscriber.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/strings.h"

namespace fairlead::discovery {

Status Subscriber::OnSubscribe(const Subscribe& message) {
  if (subscribed_) return FailedPrecondition("consumer ", consumer_, " subscribed twice");
  consumer_ = message.consumer;
  kinds_ = message.kinds;
  subscribed_ = true;
  for (const Position& known : message.known) {
    // A revision from the future is none of ours: that epoch's number was given twice, or the file was tampered with.
    if (known.node != catalog_.node() || known.epoch != catalog_.epoch() || known.revision > catalog_.revision()) continue;
    if (!catalog_.ChangedSince(known.revision, 1)) continue;
    sent_revision_ = told_revision_ = acked_revision_ = known.revision;
    return OkStatus();
  }
  BeginFull();
  return OkStatus();
}

Status Subscriber::OnAck(const Ack& message) {
  const Position& at = message.position;
  if (!subscribed_ || at.node != catalog_.node() || at.epoch != catalog_.epoch() || at.revision > told_revision_)
    return FailedPrecondition("consumer ", consumer_, " confirmed revision ", at.revision, " that was not sent");
  acked_revision_ = std::max(acked_revision_, at.revision == told_revision_ ? sent_revision_ : at.revision);
  return OkStatus();
}

void Subscriber::Tell(PackedUpdate& update) {
  told_revision_ = sent_revision_;
  update.position = {catalog_.node(), catalog_.epoch(), told_revision_};
}

void Subscriber::PassOver(uint64_t up_to) {
  if (acked_revision_ >= told_revision_) acked_revision_ = up_to;
  sent_revision_ = up_to;
}

void Subscriber::BeginFull() {
  sending_full_ = true;
  full_revision_ = catalog_.revision();
  full_synced_ = catalog_.synced();
  full_rows_.clear();
  full_rows_.reserve(catalog_.rows().size());
  catalog_.rows().ForEach([&](const std::shared_ptr<const PackedRow>& row) {
    if (Follows(kinds_, row->key)) full_rows_.push_back(row);
  });
  next_row_ = 0;
  ++full_states_;
}

std::optional<PackedUpdate> Subscriber::Next() {
  if (!subscribed_) return std::nullopt;
  if (!sending_full_) {
    if (std::optional<PackedUpdate> delta = NextDelta()) return delta;
    if (!sending_full_) return std::nullopt;
  }
  return NextPart();
}

PackedUpdate Subscriber::NextPart() {
  PackedUpdate part;
  part.full = true;
  size_t bytes = 0;
  for (; next_row_ < full_rows_.size() && part.upserts.size() < kRowsPerUpdate && bytes < kBytesPerUpdate; next_row_++) {
    const size_t row_bytes = full_rows_[next_row_]->wire.size();
    if (row_bytes > kMaxRowBytes) {
      ++oversize_rows_;
      continue;
    }
    bytes += row_bytes;
    part.upserts.push_back(std::move(full_rows_[next_row_]));
  }
  part.more = next_row_ < full_rows_.size();
  part.position = {catalog_.node(), catalog_.epoch(), full_revision_};
  if (part.more) return part;
  part.synced = sent_synced_ = full_synced_;
  sent_revision_ = full_revision_;
  Tell(part);
  sending_full_ = false;
  full_rows_ = {};
  return part;
}

// Keys that changed since what was sent, with the rows as they are now: what changed several times goes once.
std::optional<PackedUpdate> Subscriber::NextDelta() {
  PackedUpdate delta;
  size_t bytes = 0;
  while (sent_revision_ != catalog_.revision() || sent_synced_ != catalog_.synced()) {
    auto changed = catalog_.ChangedSince(sent_revision_, kRowsPerUpdate);
    if (!changed) {
      BeginFull();
      return std::nullopt;
    }
    for (std::string& key : changed->keys)
      if (Follows(kinds_, key)) bytes += AddNow(std::move(key), delta);
    if (bytes > 2 * kBytesPerUpdate) {  // many large rows: the full state is cut by bytes
      BeginFull();
      return std::nullopt;
    }
    // Said with the last change only: a consumer drops an older epoch's rows by it, and rows may still be to come.
    delta.synced = catalog_.synced() && changed->up_to == catalog_.revision();
    if (delta.upserts.empty() && delta.removes.empty() && (!delta.synced || sent_synced_)) {
      PassOver(changed->up_to);
      continue;
    }
    sent_revision_ = changed->up_to;
    sent_synced_ = delta.synced;
    Tell(delta);
    return delta;
  }
  return std::nullopt;
}

// How long it has become.
size_t Subscriber::AddNow(std::string key, PackedUpdate& delta) {
  const std::shared_ptr<const PackedRow>* row = catalog_.rows().Find(key);
  const size_t bytes = row != nullptr ? (*row)->wire.size() : 0;
  if (bytes > kMaxRowBytes) ++oversize_rows_;
  if (row == nullptr || bytes > kMaxRowBytes) {  // an older, smaller form of it must not stay
    delta.removes.push_back(std::move(key));
    return 0;
  }
  delta.upserts.push_back(*row);
  return bytes;
}

PackedUpdate Subscriber::Heartbeat() {
  CHECK(subscribed_ && !sending_full_);
  PackedUpdate update;
  Tell(update);
  update.synced = sent_synced_;
  return update;
}

}  // namespace fairlead::discovery
