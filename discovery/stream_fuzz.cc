// Any bytes as a stream from a peer, or as a state file.
#include "discovery/stream_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)fairlead::discovery::TryStream({data, size});
  return 0;
}
