// Which requests to dockerd the agent is asked about, so that it may give the container its own address before it
// starts (docs/decisions/0007-authorization-plugin.md). Bytes in, answer out; no I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime-shim/programs/authz_scanner.h"

namespace fairlead::programs {

enum class AuthzMoment : uint8_t { kRequest, kResponse };  // AuthZPlugin.AuthZReq, AuthZPlugin.AuthZRes

struct PinQuestion {
  std::string_view when;   // "create", "start"
  std::string container;   // id, or what the user wrote: a name or the beginning of an id
  friend bool operator==(const PinQuestion&, const PinQuestion&) = default;
};

// POST [/vX.Y]/containers/create, whatever its query.
bool IsCreate(std::string_view method, std::string_view uri);

// The answer 201 to a create; the request of a start or restart. Nothing: allow without asking, as with everything that
// does not look exactly as dockerd writes it.
std::optional<PinQuestion> QuestionOf(AuthzMoment moment, const AuthzFacts& facts);

// RFC 4648 §4 with padding; nothing when it is none.
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace fairlead::programs
