// EndpointFile: the registered endpoints on disk. A line that names the form, then lines of JSON, each a list of records in
// the order of their changes; the last one of a key holds. A change costs its own line; when the lines that were added are
// as long as the whole was, and not before they are so long, the whole is written anew.
//
//   {"form": "fairlead registered endpoints 2"}
//   [{"key": ["db.shop", "10.0.0.5:3306"], "value": {…}}]
//   [{"key": ["db.shop", "10.0.0.5:3306"]}]                      it is gone
//
// A line that a crash tore is the last one, and nobody was told that it is there: it is left out.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/io/files.h"
#include "base/status.h"

namespace fairlead::app {

class EndpointFile {
 public:
  using Key = std::pair<std::string, std::string>;  // SERVICE.PROJECT, address
  using Values = std::map<Key, std::string>;        // JSON, as it was given

  static constexpr size_t kMinAddedBytes = 256 << 10;

  EndpointFile(io::Files& files, std::string path) : files_(files), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  // Blocking, before all else. DataLoss: it is damaged; the error names it and the way out.
  StatusOr<Values> Read();

  // In two steps, so that changes that come while one is being written are written together, as one line: Add() by the
  // worker, never blocking; then Flush() of what it gave back, by the thread that writes, in the order of the Adds. It
  // answers once that change is durable or known to have failed. No value: the endpoint is gone.
  uint64_t Add(Key key, std::string value);
  Status Flush(uint64_t change);

 private:
  struct Change {
    Key key;
    std::string value;
  };

  Status Write(std::vector<Change> changes);
  Status WriteWhole();
  std::string Set(const Key& key, std::string value);  // what stood there before
  Status ReadLine(std::string_view line);

  io::Files& files_;
  const std::string path_;
  std::mutex mutex_;
  std::vector<Change> added_;          // by the mutex
  uint64_t last_added_ = 0;            // by the mutex
  // Of the thread that writes.
  uint64_t last_written_ = 0;
  Status written_;                     // what became of those up to last_written_
  Values values_;
  size_t whole_bytes_ = 0, added_bytes_ = 0;
  bool append_ = false;                // the file ends with a whole line and has all of values_
};

}  // namespace fairlead::app
