// Bytes from a peer: cut into frames as they come, decoded as either side would, applied to a replica. The first byte
// says how the stream is cut.
#include <cstddef>
#include <cstdint>

#include "discovery/frame.h"
#include "discovery/replica.h"
#include "discovery/row_codec.h"
#include "discovery/state_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead::discovery;
  if (size == 0) return 0;
  const size_t piece = 1 + data[0];
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  (void)DecodeState(bytes);
  FrameDecoder frames(kMaxRequestBytes);
  Replica replica;
  while (!bytes.empty()) {
    frames.Feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    while (true) {
      auto frame = frames.Next();
      if (!frame.ok()) return 0;
      if (!*frame) break;
      (void)DecodeRequest(**frame);
      if (auto update = DecodeUpdate(**frame); update.ok()) (void)replica.Apply(*update);
    }
  }
  return 0;
}
