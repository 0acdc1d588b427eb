// Edits of dockerd's daemon.json as text: what is there stays, in its order, with keys that we do not know. No I/O.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace fairlead::app {

enum class ListEnd { kFront, kBack };

// `text` with `value` as the last one of the list of strings `key`, or as the first; the same text if it is in there already.
// An empty text is an empty file. InvalidArgument names `file`, and the line of what is no JSON.
StatusOr<std::string> AddToJsonList(const std::string& text, const std::string& file, const std::string& key,
                                    const std::string& value, ListEnd end = ListEnd::kBack);
// Without it; an empty list goes as a whole. The same text if it is not in there.
StatusOr<std::string> RemoveFromJsonList(const std::string& text, const std::string& file, const std::string& key,
                                         const std::string& value);

// The string under `key` at the top; "" when there is none.
StatusOr<std::string> JsonText(const std::string& text, const std::string& file, const std::string& key);
// Whether both are JSON with the same content.
bool SameJson(const std::string& a, const std::string& b);

}  // namespace fairlead::app
