// How the names of people become DNS labels (contract, "Names"). Applying it to a label gives the label.
#pragma once

#include <string>
#include <string_view>

namespace fairlead::dns {

// Services, projects, containers, nodes: lower case, "_" kept, any other byte "-". Longer than 63 bytes: the first 54,
// "-" and 8 hex digits of the SHA-256 of the raw name.
std::string ToLabel(std::string_view raw);
// Branches: bytes outside a-z and 0-9 become "-", runs folded, ends trimmed; the same rule for length.
std::string ToBranchLabel(std::string_view raw);

}  // namespace fairlead::dns
