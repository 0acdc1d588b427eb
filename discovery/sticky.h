// The options of a sticky cookie, as labels and the file write them: behind `sticky.`, in Traefik's words.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "discovery/row.h"

namespace fairlead::discovery {

using StickyOptions = std::vector<std::pair<std::string, std::string>>;  // "" or "cookie": a truth value; "cookie.name": …

// Any option asks for a cookie, but one that says false. The error tells what is expected, `key` which option it is.
StatusOr<StickyCookie> ParseSticky(const StickyOptions& options, std::string& key);

}  // namespace fairlead::discovery
