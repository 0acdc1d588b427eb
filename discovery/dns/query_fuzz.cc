// Any bytes as a query, over both transports, against a zone with every kind of name. The answer must be well-formed.
#include <memory>

#include "discovery/dns/fuzz_zone.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static fairlead::dns::FuzzZone zone;
  zone.Try({data, size});
  return 0;
}
