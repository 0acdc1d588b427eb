// The mark of our own calls to the engine, by which the authorization plugin lets them pass: its answer to a call that the
// agent makes on its behalf must not wait for the agent.
#pragma once

#include <string>

#include "base/io/files.h"
#include "base/random.h"

namespace fairlead::runtime {

// The secret in that file: 32 hex digits, readable by root alone. Made where there is none, or one that is damaged.
StatusOr<std::string> OwnCallSecret(io::Files& files, const std::string& path, Random& random);

}  // namespace fairlead::runtime
