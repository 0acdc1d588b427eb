// The file that keeps a consumer's last good state: a line that names the form, the SHA-256 of what follows, and
// frames of updates, as on the wire. Beside it PATH.changes: what came after that state, a line for each save, so that a
// change costs what changed and not all that is known. A line names the state that it follows and its place after it,
// and carries a digest of its own; lines of another state are passed over, and a damaged one ends the list: what is older
// stays good.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/status.h"
#include "discovery/messages.h"
#include "discovery/replica.h"

namespace fairlead::io {
class Files;
}

namespace fairlead::discovery {

std::string EncodeState(const std::vector<Position>& positions, const RowMap& rows);
// DataLoss when the bytes are not whole.
StatusOr<std::vector<Update>> DecodeState(std::string_view bytes);

// Blocking; used by one thread at a time.
class StateFile {
 public:
  using Keys = std::unordered_set<std::string>;

  // All is written anew when the changes are as long as the state, and not before they are so long.
  static constexpr size_t kMinChangesBytes = 1 << 20;

  StateFile(io::Files& files, std::string path) : files_(files), path_(std::move(path)) {}

  // What Replica::Restore() takes, in order. A state that is not whole is kept aside as PATH.corrupt, and the error names
  // both. NotFound: there is none.
  StatusOr<std::vector<Update>> Read();
  // `changed`: the keys whose rows are otherwise than at the last Write() or Read(); null: not known, all is written.
  Status Write(const std::vector<Position>& positions, const RowMap& rows, const Keys* changed);

 private:
  std::string ChangesPath() const { return path_ + ".changes"; }
  void ReadChanges(std::vector<Update>& state);
  Status WriteWhole(const std::vector<Position>& positions, const RowMap& rows);
  Status Append(const std::vector<Position>& positions, const RowMap& rows, const Keys& changed);

  io::Files& files_;
  const std::string path_;
  std::string id_;           // of the state on disk; "": there is none to follow
  size_t state_bytes_ = 0, changes_bytes_ = 0;
  size_t changes_ = 0;       // lines that follow it
};

}  // namespace fairlead::discovery
