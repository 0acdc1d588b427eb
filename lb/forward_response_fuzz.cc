#include "lb/fuzz_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  fairlead::lb::CheckForwardedResponse({reinterpret_cast<const char*>(data), bytes});
  return 0;
}
