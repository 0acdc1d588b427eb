// Any bytes as a rule.
#include "discovery/rule_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)fairlead::discovery::TryRule({reinterpret_cast<const char*>(data), size});
  return 0;
}
