#include "discovery/catalog.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/check.h"

namespace fairlead::discovery {

Catalog::Catalog(std::string node, uint64_t epoch, size_t max_logged_changes)
    : node_(std::move(node)), epoch_(epoch), max_logged_(max_logged_changes) {
  CHECK(epoch > 0 && max_logged_changes > 0);
}

bool Catalog::Upsert(EndpointRow row) {
  // Its former say is withdrawn first: others may be admitted that differed from it, or differ from it now.
  std::vector<EndpointRow> reconsidered = agreement_.Remove(KeyOf(row));
  bool changed = Admit(std::move(row));
  for (EndpointRow& other : reconsidered) changed |= Admit(std::move(other));
  return Inherit() || changed;
}

bool Catalog::Upsert(LeaseRow row) {
  std::string key = KeyOf(row);
  return Put(std::move(key), std::move(row));
}

bool Catalog::Upsert(NodeRow row) {
  std::string key = KeyOf(row);
  return Put(std::move(key), std::move(row));
}

bool Catalog::Remove(std::string_view key) {
  std::vector<EndpointRow> reconsidered = agreement_.Remove(key);
  bool changed = Erase(key);
  for (EndpointRow& other : reconsidered) changed |= Admit(std::move(other));
  return Inherit() || changed;
}

bool Catalog::Inherit() {
  bool changed = false;
  for (const std::string& key : agreement_.TakeHeirs()) changed |= Admit(*Find(key)->endpoint());
  return changed;
}

// Those that it displaces are younger: they displace nobody.
bool Catalog::Admit(EndpointRow row) {
  std::string key = KeyOf(row);
  std::vector<std::string> displaced;
  EndpointRow admitted = agreement_.Admit(key, std::move(row), displaced);
  bool changed = Put(std::move(key), std::move(admitted));
  for (const std::string& other : displaced) {
    const EndpointRow* original = agreement_.Original(other);
    changed |= Admit(original != nullptr ? *original : *Find(other)->endpoint());
  }
  return changed;
}

bool Catalog::Put(std::string key, std::variant<EndpointRow, LeaseRow, NodeRow> body) {
  auto row = std::make_shared<Row>(Row{std::move(key), node_, epoch_, 0, std::move(body)});
  const std::string unstamped = EncodeUnstamped(*row);
  if (const auto* present = rows_.Find(row->key); present != nullptr && PackedFrom(**present, unstamped)) return false;
  row->sequence = ++revision_;
  rows_.Put(Pack(unstamped, *row));
  Log(row->key);
  Tell({Change{row->key, row}});
  return true;
}

bool Catalog::Erase(std::string_view key) {
  if (rows_.Find(key) == nullptr) return false;
  std::string gone(key);  // `key` may be the removed row's own
  rows_.Drop(gone);
  ++revision_;
  Log(gone);
  Tell({Change{std::move(gone), nullptr}});
  return true;
}

void Catalog::MarkSynced() {
  if (synced_) return;
  synced_ = true;
  Tell({});
}

std::shared_ptr<const Row> Catalog::Find(std::string_view key) const {
  const auto* row = rows_.Find(key);
  return row != nullptr ? Unpack(**row) : nullptr;
}

std::shared_ptr<const EndpointRow> Catalog::FindEndpoint(std::string_view key) const {
  if (const EndpointRow* original = agreement_.Original(key)) return std::make_shared<EndpointRow>(*original);
  const std::shared_ptr<const Row> row = Find(key);
  if (row == nullptr) return nullptr;
  return {row, row->endpoint()};  // one with the row, which it keeps
}

void Catalog::Log(const std::string& key) {
  log_.push_back(key);
  if (log_.size() > max_logged_) log_.pop_front();
}

std::optional<Catalog::Changed> Catalog::ChangedSince(uint64_t revision, size_t max_keys) const {
  CHECK(revision <= revision_);
  const uint64_t first_logged = revision_ - log_.size() + 1;
  if (revision + 1 < first_logged) return std::nullopt;
  Changed changed;
  changed.up_to = revision;
  std::unordered_set<std::string_view> seen;
  for (size_t i = revision + 1 - first_logged; i < log_.size(); i++) {
    if (!seen.contains(log_[i])) {
      if (changed.keys.size() == max_keys) break;
      seen.insert(log_[i]);
      changed.keys.push_back(log_[i]);
    }
    changed.up_to = first_logged + i;
  }
  return changed;
}

void Catalog::Watch(ChangeListener& listener) { listeners_.push_back(&listener); }
void Catalog::Unwatch(ChangeListener& listener) { std::erase(listeners_, &listener); }

void Catalog::Tell(std::vector<Change> changes) {
  for (ChangeListener* listener : listeners_) listener->OnChanges(changes);
}

}  // namespace fairlead::discovery
