#include "discovery/state_file.h"

#include <openssl/evp.h>

#include <algorithm>
#include <climits>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/io/files.h"
#include "base/log.h"
#include "discovery/frame.h"
#include "discovery/row_codec.h"

namespace fairlead::discovery {

namespace {

constexpr std::string_view kForm = "fairlead discovery state 1\n";
constexpr size_t kDigestBytes = 32;
constexpr size_t kRowsPerFrame = 256, kBytesPerFrame = 1 << 20;

std::string Digest(std::string_view bytes) {
  std::string digest(kDigestBytes, '\0');
  unsigned int written = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &written, EVP_sha256(),
                   nullptr) == 1 && written == kDigestBytes);
  return digest;
}

std::string ToBase64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // EVP_EncodeBlock ends it with a NUL
  CHECK(bytes.size() < INT_MAX / 2);
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

std::optional<std::string> FromBase64(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() >= INT_MAX) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int written = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()));
  if (written < 0) return std::nullopt;
  bytes.resize(static_cast<size_t>(written) - std::min<size_t>(2, text.size() - text.substr(0, text.find('=')).size()));
  return bytes;
}

// Frames of so many rows, as long as one may be.
class Parts {
 public:
  void Upsert(const std::shared_ptr<const Row>& row) {
    bytes_ += ApproximateBytes(*row);
    part_.upserts.push_back(row);
    if (part_.upserts.size() >= kRowsPerFrame || bytes_ >= kBytesPerFrame) End();
  }
  void Remove(std::string key) {
    part_.removes.push_back(std::move(key));
    if (part_.removes.size() >= kRowsPerFrame) End();
  }
  // Ended by where each owner stands then.
  std::string Finish(const std::vector<Position>& positions) {
    End();
    for (const Position& position : positions) {
      Update end;
      end.position = position;
      EncodeFrame(end, frames_);
    }
    return std::move(frames_);
  }

 private:
  void End() {
    part_.full = true;
    EncodeFrame(part_, frames_);
    part_ = {};
    bytes_ = 0;
  }

  std::string frames_;
  Update part_;
  size_t bytes_ = 0;
};

StatusOr<std::vector<Update>> DecodeFrames(std::string_view bytes) {
  FrameDecoder frames(kMaxFrameBytes);
  frames.Feed(bytes);
  std::vector<Update> updates;
  while (true) {
    ASSIGN_OR_RETURN(std::optional<std::string> frame, frames.Next());
    if (!frame) break;
    ASSIGN_OR_RETURN(Update update, DecodeUpdate(*frame));
    updates.push_back(std::move(update));
  }
  if (!frames.at_boundary()) return DataLoss("its last frame is not whole");
  return updates;
}

std::string IdOf(std::string_view state) { return ToBase64(state.substr(kForm.size(), kDigestBytes)); }

// "ID/NUMBER DIGEST FRAMES": the changes of that number, from 1, after the state of that id.
std::string PrefixOf(std::string_view id, size_t number) { return Cat(id, "/", number, " "); }

// An error when the line is damaged.
StatusOr<std::vector<Update>> DecodeLine(std::string_view line, std::string_view prefix) {
  if (!line.starts_with(prefix)) return DataLoss("a line before it is missing");
  line.remove_prefix(prefix.size());
  const size_t space = line.find(' ');
  const auto digest = FromBase64(line.substr(0, space));
  const auto frames = space == line.npos ? std::nullopt : FromBase64(line.substr(space + 1));
  if (!digest || !frames || Digest(*frames) != *digest) return DataLoss("its checksum does not match");
  return DecodeFrames(*frames);
}

}  // namespace

std::string EncodeState(const std::vector<Position>& positions, const RowMap& rows) {
  Parts parts;
  rows.ForEach([&](const std::shared_ptr<const Row>& row) { parts.Upsert(row); });
  const std::string frames = parts.Finish(positions);
  return Cat(kForm, Digest(frames), frames);
}

StatusOr<std::vector<Update>> DecodeState(std::string_view bytes) {
  if (!bytes.starts_with(kForm)) return DataLoss("it does not begin with \"", kForm.substr(0, kForm.size() - 1), "\"");
  bytes.remove_prefix(kForm.size());
  if (bytes.size() < kDigestBytes || Digest(bytes.substr(kDigestBytes)) != bytes.substr(0, kDigestBytes))
    return DataLoss("its checksum does not match: it was cut short or changed");
  bytes.remove_prefix(kDigestBytes);
  return DecodeFrames(bytes);
}

StatusOr<std::vector<Update>> StateFile::Read() {
  ASSIGN_OR_RETURN(std::string bytes, files_.Read(path_));
  StatusOr<std::vector<Update>> state = DecodeState(bytes);
  if (!state.ok()) {
    const std::string aside = path_ + ".corrupt";
    const Status kept = files_.Rename(path_, aside);
    return DataLoss("state file ", path_, " is corrupt: ", Message(state.status()), "; ",
                    kept.ok() ? Cat("kept as ", aside) : Cat("it cannot be kept aside: ", Message(kept)));
  }
  id_ = IdOf(bytes);
  state_bytes_ = bytes.size();
  ReadChanges(*state);
  return state;
}

void StateFile::ReadChanges(std::vector<Update>& state) {
  StatusOr<std::string> text = files_.Read(ChangesPath());
  if (!text.ok()) return;
  changes_bytes_ = text->size();
  const std::string ours = Cat(id_, "/");
  for (std::string_view rest = *text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (!line.starts_with(ours)) continue;
    StatusOr<std::vector<Update>> changes = DecodeLine(line, PrefixOf(id_, ++changes_));
    if (!changes.ok()) {
      LOG(kWarning, "changes of the last good state are used up to a damaged line", {"file", ChangesPath()},
          {"reason", Message(changes.status())});
      id_.clear();  // nothing may follow such a line
      return;
    }
    for (Update& change : *changes) state.push_back(std::move(change));
  }
}

Status StateFile::Write(const std::vector<Position>& positions, const RowMap& rows, const Keys* changed) {
  const bool append = changed != nullptr && !id_.empty() && changes_bytes_ < std::max(state_bytes_, kMinChangesBytes);
  Status written = append ? Append(positions, rows, *changed) : WriteWhole(positions, rows);
  if (!written.ok()) id_.clear();  // who knows what is there: the next one writes all
  return written;
}

Status StateFile::Append(const std::vector<Position>& positions, const RowMap& rows, const Keys& changed) {
  Parts parts;
  for (const std::string& key : changed) {
    if (const auto* row = rows.Find(key); row != nullptr) {
      parts.Upsert(*row);
    } else {
      parts.Remove(key);
    }
  }
  const std::string frames = parts.Finish(positions);
  const std::string line = Cat(PrefixOf(id_, ++changes_), ToBase64(Digest(frames)), " ", ToBase64(frames));
  changes_bytes_ += line.size() + 1;
  return files_.AppendLine(ChangesPath(), line);
}

// The changes of the former state are void as soon as this one is there.
Status StateFile::WriteWhole(const std::vector<Position>& positions, const RowMap& rows) {
  const std::string state = EncodeState(positions, rows);
  RETURN_IF_ERROR(files_.WriteAtomically(path_, state));
  id_ = IdOf(state);
  state_bytes_ = state.size();
  changes_ = 0;
  if (changes_bytes_ == 0) return OkStatus();
  changes_bytes_ = 0;
  return files_.WriteAtomically(ChangesPath(), "");
}

}  // namespace fairlead::discovery
