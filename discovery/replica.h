// Replica: what a consumer knows of the rows of agents. Updates in, changes out; no I/O.
//
// Three states of knowledge: present, removed by its owner, unknown. Only what an owner says removes a row: by name, by
// not repeating it in a full state of the same epoch, or, for rows of its older epochs, by saying that it is synced.
// A broken stream removes nothing.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "discovery/messages.h"
#include "discovery/persistent_map.h"

namespace fairlead::discovery {

using RowMap = PersistentMap<Row>;

class Replica {
 public:
  explicit Replica(Kinds kinds = {}) : kinds_(std::move(kinds)) {}

  // What the update changes, in order. An update that cannot be right (older epoch than known, rows of another owner)
  // changes nothing and is an error that names the owner. Rows of other kinds are no concern of ours.
  StatusOr<std::vector<Change>> Apply(const Update& update);
  // A new stream: the parts of a full state that was cut short are not continued.
  void StreamBegins() { parts_.clear(); }

  const RowMap& rows() const { return rows_; }
  std::vector<Position> positions() const;      // of a complete state, for Subscribe
  std::vector<std::string> owners() const;      // nodes, complete or not
  bool synced(std::string_view node) const;     // its last update said so

  // From the disk, into an empty replica: the parts of a state file (discovery/state_file.h). Nothing of it is synced.
  std::vector<Change> Restore(const std::vector<Update>& saved);

 private:
  struct Owner {
    uint64_t epoch = 0;
    uint64_t revision = 0;
    bool complete = false;     // a whole state of this epoch has come: changes can follow it
    bool synced = false;
  };
  using Keys = std::set<std::string, std::less<>>;

  Status Check(const Update& update) const;
  void Put(std::shared_ptr<const Row> row, std::vector<Change>& changes);
  void Drop(const std::string& key, std::vector<Change>& changes);
  template <class Gone>
  void DropWhere(const std::string& node, Gone gone, std::vector<Change>& changes);

  const Kinds kinds_;
  RowMap rows_;
  std::map<std::string, Owner, std::less<>> owners_;
  std::map<std::string, Keys, std::less<>> parts_;  // by owner: keys of a full state that is still coming
};

}  // namespace fairlead::discovery
