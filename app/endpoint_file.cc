#include "app/endpoint_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

constexpr std::string_view kForm = R"({"form": "fairlead registered endpoints 2"})";

std::string Text(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string RecordOf(const EndpointFile::Key& key, std::string_view value) {
  const std::string text = Text({key.first, key.second});
  return value.empty() ? Cat(R"({"key": )", text, "}") : Cat(R"({"key": )", text, R"(, "value": )", value, "}");
}

bool IsKey(const json& key) { return key.is_array() && key.size() == 2 && key[0].is_string() && key[1].is_string(); }

}  // namespace

Status EndpointFile::ReadLine(std::string_view line) {
  const json records = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!records.is_array()) return DataLoss("is no list of endpoints");
  for (const json& record : records)
    if (!record.is_object() || !record.contains("key") || !IsKey(record["key"])) return DataLoss("has a record without key");
  for (const json& record : records) {
    const Key key(record["key"][0], record["key"][1]);
    if (record.contains("value")) values_.insert_or_assign(key, Text(record["value"]));
    if (!record.contains("value")) values_.erase(key);
  }
  return OkStatus();
}

StatusOr<EndpointFile::Values> EndpointFile::Read() {
  auto text = files_.Read(path_);
  if (text.status().code() == StatusCode::kNotFound) return Values();
  if (!text.ok()) return text.status();
  const std::string_view way_out = "; move it away, and their owners register again";
  if (!text->starts_with(Cat(kForm, "\n"))) return DataLoss(path_, " is no list of registered endpoints", way_out);
  std::string_view rest = std::string_view(*text).substr(kForm.size() + 1);
  append_ = true;
  for (size_t number = 2; !rest.empty(); number++) {
    const size_t end = rest.find('\n');
    Status read = end == rest.npos ? DataLoss("is torn") : ReadLine(rest.substr(0, end));
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    if (read.ok()) continue;
    if (!rest.empty()) return DataLoss("line ", number, " of ", path_, " ", Message(read), way_out);
    LOG(kWarning, "the last line of the registered endpoints is left out", {"file", path_}, {"because", Message(read)});
    append_ = false;
  }
  whole_bytes_ = text->size();
  return values_;
}

uint64_t EndpointFile::Add(Key key, std::string value) {
  const std::lock_guard lock(mutex_);
  added_.push_back({std::move(key), std::move(value)});
  return ++last_added_;
}

Status EndpointFile::Flush(uint64_t change) {
  if (change <= last_written_) return written_;  // with an earlier one, and nothing was written since
  std::vector<Change> changes;
  {
    const std::lock_guard lock(mutex_);
    changes.swap(added_);
    last_written_ = last_added_;
  }
  written_ = Write(std::move(changes));
  return written_;
}

// What fails is nowhere in the file, or in a line that is not whole: then all is written anew the next time.
Status EndpointFile::Write(std::vector<Change> changes) {
  std::vector<std::string> records;
  Values before;                        // of the keys that change; no value: it was not there
  for (Change& change : changes) {
    records.push_back(RecordOf(change.key, change.value));
    before.emplace(change.key, Set(change.key, std::move(change.value)));
  }
  Status written;
  if (append_ && added_bytes_ < std::max(whole_bytes_, kMinAddedBytes)) {
    const std::string line = Cat("[", Join(records, ", "), "]");
    added_bytes_ += line.size() + 1;
    written = files_.AppendLine(path_, line);
  } else {
    written = WriteWhole();
  }
  append_ = written.ok();
  if (!written.ok())
    for (auto& [key, value] : before) Set(key, std::move(value));
  return written;
}

std::string EndpointFile::Set(const Key& key, std::string value) {
  std::string before = std::exchange(values_[key], std::move(value));
  if (values_[key].empty()) values_.erase(key);
  return before;
}

Status EndpointFile::WriteWhole() {
  std::string text = Cat(kForm, "\n");
  for (const auto& [key, value] : values_) text += Cat("[", RecordOf(key, value), "]\n");
  whole_bytes_ = text.size();
  added_bytes_ = 0;
  return files_.WriteAtomically(path_, text);
}

}  // namespace fairlead::app
