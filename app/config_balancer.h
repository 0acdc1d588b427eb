// The balancer's part of the configuration: `lb:`, `listeners:`, `services:` and `routes:`. Each reads one and adds it to
// the whole; what one refers to in another is seen at the end (app/config_references.h).
#pragma once

#include <string>

#include "app/config.h"
#include "app/config_reader.h"

namespace fairlead::app {

void ReadLb(ConfigReader& reader, Config& config);
void ReadListener(ConfigReader& reader, Config& config);
void ReadService(const std::string& name, ConfigReader& reader, Config& config);
void ReadRoute(ConfigReader& reader, Config& config);

}  // namespace fairlead::app
