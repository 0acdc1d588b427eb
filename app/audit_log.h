// AuditLog: who changed what by the API, for good. One JSON object a line in `<state_dir>/agent/audit.jsonl`, only ever
// added to. A change has two lines with one `id`: `begun`, durable before anything is changed (where it cannot be
// written nothing is changed), and `done` or the error. A change without a second line is one that the agent did not
// live to see the end of. A file of kMaxFileBytes is moved to "….1" and the older ones one further, kOldFiles of them. It
// may be moved or emptied by others at any time, too (logrotate): each line opens it anew.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/io/files.h"
#include "base/io/offload.h"

namespace fairlead::app {

// What somebody asked for.
struct AuditedChange {
  std::string action;                  // "ip reserve"
  std::string object;                  // "web-1"
  nlohmann::json request = {};         // as it was asked, where it says more; cut at kMaxRequestBytes
  io::PeerCredentials peer = {};
};

class AuditLog {
 public:
  static constexpr size_t kMaxTextBytes = 1024;      // of object and outcome
  static constexpr size_t kMaxRequestBytes = 4096;   // a longer one is left out, and that is said
  static constexpr size_t kMaxFileBytes = 8 << 20;   // of a file; some 14,000 changes
  static constexpr int kOldFiles = 9;
  static constexpr size_t kMaxEntries = 1000;        // of one answer

  struct Stats {
    uint64_t changes = 0, refused = 0, rotations = 0;
    uint64_t failures = 0;                           // lines that could not be written, files not moved
  };

  // What is passed by reference outlives the log. `thread` does the writing and asks for users' names.
  AuditLog(io::Files& files, io::Offload& thread, io::Proactor& worker, const Clock& clock, std::string path,
           size_t max_file_bytes = kMaxFileBytes)
      : files_(files), thread_(thread), worker_(worker), clock_(clock), path_(std::move(path)), max_file_bytes_(max_file_bytes) {}

  // Before the change: gives its id. An error means that nothing may be changed.
  io::Task<StatusOr<std::string>> Begin(const AuditedChange& change);
  // After it. What cannot be written is logged and counted: the change is made.
  io::Task<void> End(std::string id, const AuditedChange& change, Status outcome);
  // Somebody who may not.
  io::Task<void> Refused(const AuditedChange& change, Status why);

  // The latest changes, latest first, each with its last known outcome; of the file and the older ones. `limit` is at
  // most kMaxEntries.
  io::Task<StatusOr<nlohmann::json>> Read(size_t limit);

  const Stats& stats() const { return stats_; }

 private:
  io::Task<Status> Write(std::string id, const AuditedChange& change, std::string outcome);
  Status RotateBefore(size_t bytes);

  io::Files& files_;
  io::Offload& thread_;
  io::Proactor& worker_;
  const Clock& clock_;
  const std::string path_;
  const size_t max_file_bytes_;
  std::optional<size_t> size_;     // of the file, or more where others moved it; used on the thread only
  uint64_t last_id_ = 0;
  Stats stats_;
};

}  // namespace fairlead::app
