#include "app/audit_log.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <vector>

#include "app/wall_time.h"
#include "base/log.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

// Blocks where users come from elsewhere (LDAP): on the offload thread only.
json UserName(uint32_t uid) {
  std::vector<char> room(16 << 10);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, room.data(), room.size(), &found) != 0 || found == nullptr) return nullptr;
  return found->pw_name;
}

std::string Shortened(std::string text) {
  if (text.size() > AuditLog::kMaxTextBytes) text = text.substr(0, AuditLog::kMaxTextBytes) + "…";
  return text;
}

std::string Dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json RequestOf(const json& request) {
  if (request.empty()) return nullptr;
  return Dump(request).size() <= AuditLog::kMaxRequestBytes ? request : json("left out: it is too long");
}

// The lines of a file, latest first; of a first one that the tail cut nothing is taken.
void TakeLines(const std::string& text, size_t limit, std::set<std::string>& ended, json& entries) {
  size_t end = text.size();
  while (end > 0 && entries.size() < limit) {
    size_t begin = end < 2 ? text.npos : text.rfind('\n', end - 2);
    begin = begin == text.npos ? 0 : begin + 1;
    json entry = json::parse(text.substr(begin, end - begin), nullptr, /*allow_exceptions=*/false);
    end = begin;
    if (!entry.is_object()) continue;  // torn by a crash, or cut
    std::string id = entry.value("id", json("")).is_string() ? entry.value("id", "") : "";
    if (!id.empty() && !ended.insert(id).second) continue;  // its beginning
    entries.push_back(std::move(entry));
  }
}

}  // namespace

// On the thread. A file that cannot be moved goes on: no change is refused for it.
Status AuditLog::RotateBefore(size_t bytes) {
  if (!size_) {
    StatusOr<std::string> there = files_.ReadTail(path_, max_file_bytes_);
    size_ = there.ok() ? there->size() : 0;
  }
  if (*size_ == 0 || *size_ + bytes <= max_file_bytes_) return OkStatus();
  for (int i = kOldFiles; i > 0; i--) {
    Status moved = files_.Rename(i == 1 ? path_ : Cat(path_, ".", i - 1), Cat(path_, ".", i));
    if (!moved.ok() && moved.code() != StatusCode::kNotFound) return moved;
  }
  size_ = 0;
  return OkStatus();
}

io::Task<Status> AuditLog::Write(std::string id, const AuditedChange& change, std::string outcome) {
  json line = {{"time", FormatTime(clock_.WallNow())},
               {"id", std::move(id)},
               {"action", change.action},
               {"object", Shortened(change.object)},
               {"request", RequestOf(change.request)},
               {"uid", change.peer.uid},
               {"gid", change.peer.gid},
               {"pid", change.peer.pid},
               {"outcome", Shortened(std::move(outcome))}};
  Status rotated;
  bool new_file = false;
  Status written = co_await io::OffloadTo(thread_, worker_, [&] {
    line["user"] = UserName(change.peer.uid);
    const std::string text = Dump(line);
    const size_t before = size_.value_or(0);
    rotated = RotateBefore(text.size() + 1);
    new_file = before != 0 && size_ == 0u;
    Status appended = files_.AppendLine(path_, text);
    if (appended.ok()) *size_ += text.size() + 1;
    return appended;
  });
  if (new_file) stats_.rotations++;
  if (!rotated.ok()) {
    stats_.failures++;
    LOG(kError, "the audit log grows past its limit", {"because", Message(rotated)});
  }
  LOG(kInfo, "audit", {"action", change.action}, {"object", line["object"].get<std::string>()}, {"peer_uid", change.peer.uid},
      {"peer_pid", change.peer.pid}, {"outcome", line["outcome"].get<std::string>()});
  if (!written.ok()) stats_.failures++;
  co_return written;
}

io::Task<StatusOr<std::string>> AuditLog::Begin(const AuditedChange& change) {
  // Unique over restarts, since a second cannot pass twice; in order within a file.
  last_id_ = std::max(last_id_ + 1, static_cast<uint64_t>(clock_.WallNow()));
  std::string id = Cat(last_id_);
  stats_.changes++;
  if (Status written = co_await Write(id, change, "begun"); !written.ok())
    co_return Error(written.code(), Cat(change.action, " ", change.object, ": nothing was changed, because the audit log cannot be "
                                        "written: ", Message(written), "; make room in ", path_, "'s folder"));
  co_return id;
}

io::Task<void> AuditLog::End(std::string id, const AuditedChange& change, Status outcome) {
  std::string text = outcome.ok() ? "done" : Cat(CodeName(outcome.code()), ": ", Message(outcome));
  if (Status written = co_await Write(std::move(id), change, std::move(text)); !written.ok())
    LOG(kError, "the audit log lacks the outcome of a change", {"action", change.action}, {"because", Message(written)});
}

io::Task<void> AuditLog::Refused(const AuditedChange& change, Status why) {
  stats_.refused++;
  std::string text = Cat(CodeName(why.code()), ": ", Message(why));
  if (Status written = co_await Write("", change, std::move(text)); !written.ok())
    LOG(kError, "the audit log lacks a refusal", {"action", change.action}, {"because", Message(written)});
}

io::Task<StatusOr<json>> AuditLog::Read(size_t limit) {
  limit = std::min(limit, kMaxEntries);
  json entries = json::array();
  std::set<std::string> ended;
  for (int i = 0; i <= kOldFiles && entries.size() < limit; i++) {
    StatusOr<std::string> text = co_await io::OffloadTo(
        thread_, worker_, [&] { return files_.ReadTail(i == 0 ? path_ : Cat(path_, ".", i), kMaxFileBytes); });
    if (text.ok()) {
      TakeLines(*text, limit, ended, entries);
    } else if (text.status().code() != StatusCode::kNotFound) {
      co_return text.status();
    }
  }
  co_return entries;
}

}  // namespace fairlead::app
