// What middlewares change of a head: fields set, added, removed. The changed head is written anew in the strict form and
// parsed again, so that whatever was set, what is sent on is one message with one meaning.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/http/head.h"

namespace fairlead::lb {

// Names and values are the caller's; they live until the head is written.
class FieldEdits {
 public:
  void Set(std::string_view name, std::string_view value) { edits_.push_back({name, value, kSet}); }  // in place of all others
  void Add(std::string_view name, std::string_view value) { edits_.push_back({name, value, kAdd}); }  // one more line
  void Remove(std::string_view name) { edits_.push_back({name, {}, kRemove}); }
  void Clear() { edits_.clear(); }
  bool empty() const { return edits_.empty(); }
  // Is what a head says of this field replaced or removed?
  bool Replaces(std::string_view name) const;

  // Calls see(value) for each value of the field as it would be after the edits so far.
  template <class See>
  void ForEach(const http::Head& head, std::string_view name, See see) const {
    size_t from = 0;
    bool replaced = false;
    for (size_t i = 0; i < edits_.size(); i++)
      if (edits_[i].how != kAdd && EqualsIgnoreCase(edits_[i].name, name)) {
        from = i;
        replaced = true;
      }
    if (!replaced)
      for (int i = 0; i < head.field_count; i++)
        if (EqualsIgnoreCase(head.fields[i].name, name)) see(head.fields[i].value);
    for (size_t i = from; i < edits_.size(); i++)
      if (edits_[i].how != kRemove && EqualsIgnoreCase(edits_[i].name, name)) see(edits_[i].value);
  }

  // The request in origin form (or "*"), with `path` as its target. What Connection lists is left out, so that a client
  // cannot have removed what is set here.
  void WriteRequest(const http::RequestHead& head, std::string_view path, std::string& out) const;
  void WriteResponse(const http::ResponseHead& head, std::string& out) const;

 private:
  enum How : uint8_t { kSet, kAdd, kRemove };
  struct Edit {
    std::string_view name, value;
    How how;
  };
  void WriteNew(std::string& out) const;

  std::vector<Edit> edits_;
};

}  // namespace fairlead::lb
