// What can only be said of a configuration as a whole: what refers to something that is not there, what is there twice,
// and what does not go together.
#pragma once

#include "app/config.h"
#include "app/config_reader.h"

namespace fairlead::app {

// Adds a fault to `source` for each.
void CheckReferences(const Config& config, ConfigSource& source);

}  // namespace fairlead::app
