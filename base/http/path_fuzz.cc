#include "base/http/fuzz_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  fairlead::http::CheckPath({reinterpret_cast<const char*>(data), bytes});
  return 0;
}
