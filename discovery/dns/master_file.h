// Master files (RFC 1035 §5): records of things that are no containers. A, AAAA, CNAME, TXT, MX, SRV, NS, PTR, SOA;
// $ORIGIN, $TTL, "@", blank owners, parentheses, quoted text, comments; the RFC 3597 form for other types.
#pragma once

#include <string_view>
#include <vector>

#include "discovery/dns/zone.h"

namespace fairlead::dns {

struct MasterFileDefaults {
  std::string origin;     // wire name that relative names are completed by until $ORIGIN
  uint32_t ttl_s = 5;     // until $TTL
};

// The records of one file; an error names file, line and what was expected there.
StatusOr<std::vector<StaticRecord>> ParseMasterFile(std::string_view text, std::string_view file_name,
                                                    const MasterFileDefaults& defaults);

}  // namespace fairlead::dns
