// Names that are nobody's in the public tree, and must not be asked for there (RFC 6761, RFC 6303, RFC 6762, RFC 7686, RFC 8375,
// RFC 9476): what they are is known without asking.
#pragma once

#include <string_view>

namespace fairlead::dns {

enum class SpecialName {
  kNone,       // may be asked for
  kLocalhost,  // the loopback addresses
  kNowhere,    // there is no such name
};
// `name` is a folded wire name.
SpecialName SpecialNameOf(std::string_view name);

}  // namespace fairlead::dns
