#include "runtime-shim/programs/authz_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  fairlead::programs::CheckAuthz({reinterpret_cast<const char*>(data), bytes});
  return 0;
}
