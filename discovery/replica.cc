#include "discovery/replica.h"

#include <utility>

#include "base/check.h"
#include "base/strings.h"

namespace fairlead::discovery {

Status Replica::Check(const Update& update) const {
  const Position& at = update.position;
  if (at.node.empty() || at.epoch == 0) return InvalidArgument("agent sent an update without node or epoch");
  auto owner = owners_.find(at.node);
  if (owner != owners_.end() && at.epoch < owner->second.epoch)
    return FailedPrecondition("agent of ", at.node, " speaks with epoch ", at.epoch, ", older than ", owner->second.epoch,
                              " that is known: an old process answers, or its state_dir and clock went back");
  const bool known = owner != owners_.end() && owner->second.epoch == at.epoch && owner->second.complete;
  if (!update.full && (!known || at.revision < owner->second.revision))
    return InvalidArgument("agent of ", at.node, " sent changes that do not follow what is known");
  for (const auto& row : update.upserts)
    if (row->node != at.node || row->epoch > at.epoch || row->key.empty())
      return InvalidArgument("agent of ", at.node, " sent row ", row->key, ", which is not its own");
  return OkStatus();
}

StatusOr<std::vector<Change>> Replica::Apply(const Update& update) {
  RETURN_IF_ERROR(Check(update));
  const std::string& node = update.position.node;
  Owner& owner = owners_[node];
  if (owner.epoch != update.position.epoch) {
    owner = Owner{update.position.epoch, 0, false, false};
    parts_.erase(node);
  }

  std::vector<Change> changes;
  for (const auto& row : update.upserts) {
    if (!Follows(kinds_, row->key)) continue;
    if (update.full) parts_[node].insert(row->key);
    Put(row, changes);
  }
  for (const std::string& key : update.removes) {
    const auto* row = rows_.Find(key);
    if (row != nullptr && (*row)->node == node) Drop(key, changes);
  }
  if (update.more) return changes;

  if (update.full) {
    const Keys repeated = std::move(parts_[node]);
    parts_.erase(node);
    DropWhere(node, [&](const Row& row) { return row.epoch == owner.epoch && !repeated.contains(row.key); }, changes);
  }
  // Once synced, an owner has repeated every row that it still has.
  if (update.synced && !owner.synced) DropWhere(node, [&](const Row& row) { return row.epoch < owner.epoch; }, changes);
  owner.synced |= update.synced;
  owner.complete = true;
  owner.revision = update.position.revision;
  return changes;
}

void Replica::Put(std::shared_ptr<const Row> row, std::vector<Change>& changes) {
  if (const auto* present = rows_.Find(row->key); present != nullptr) {
    const Row& old = **present;
    if (old.node == row->node && std::pair(old.epoch, old.sequence) >= std::pair(row->epoch, row->sequence)) return;
  }
  rows_.Put(row);
  changes.push_back({row->key, std::move(row)});
}

void Replica::Drop(const std::string& key, std::vector<Change>& changes) {
  std::string gone = key;
  rows_.Drop(gone);
  changes.push_back({std::move(gone), nullptr});
}

template <class Gone>
void Replica::DropWhere(const std::string& node, Gone gone, std::vector<Change>& changes) {
  std::vector<std::string> keys;
  rows_.ForEach([&](const std::shared_ptr<const Row>& row) {
    if (row->node == node && gone(*row)) keys.push_back(row->key);
  });
  for (const std::string& key : keys) Drop(key, changes);
}

std::vector<Position> Replica::positions() const {
  std::vector<Position> known;
  for (const auto& [node, owner] : owners_)
    if (owner.complete) known.push_back({node, owner.epoch, owner.revision});
  return known;
}

std::vector<std::string> Replica::owners() const {
  std::vector<std::string> nodes;
  for (const auto& [node, owner] : owners_) nodes.push_back(node);
  return nodes;
}

bool Replica::synced(std::string_view node) const {
  auto owner = owners_.find(node);
  return owner != owners_.end() && owner->second.synced;
}

std::vector<Change> Replica::Restore(const std::vector<Update>& saved) {
  CHECK(rows_.empty() && owners_.empty());
  std::vector<Change> changes;
  for (const Update& part : saved) {
    const Position& at = part.position;
    if (at.epoch != 0) owners_[at.node] = Owner{at.epoch, at.revision, true, false};
    for (const auto& row : part.upserts)
      if (Follows(kinds_, row->key)) Put(row, changes);
    for (const std::string& key : part.removes)
      if (rows_.Find(key) != nullptr) Drop(key, changes);
  }
  return changes;
}

}  // namespace fairlead::discovery
