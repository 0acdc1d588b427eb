// Patterns of Traefik v2 within paths and hosts: "/articles/{id:[0-9]+}", "{sub:[a-z]+}.example.com". Internal to rule.cc.
#pragma once

#include <string>

#include "discovery/rule.h"

namespace fairlead::discovery {

// Where the literal of a Path, PathPrefix, HostRegexp or HostSNIRegexp holds such a pattern, makes the matcher the regular
// expression that it means, and gives a warning; "" where there is none.
std::string TakeV2Pattern(Rule& rule);

}  // namespace fairlead::discovery
