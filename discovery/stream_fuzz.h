// What stream_fuzz and the run over its corpus share. The first byte says how the stream is cut; then bytes from a peer:
// cut into frames as they come, decoded as either side would, applied to a replica.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "discovery/frame.h"
#include "discovery/replica.h"
#include "discovery/row_codec.h"
#include "discovery/state_file.h"

namespace fairlead::discovery {

// How many messages were understood: a corpus of which none is says nothing.
inline int TryStream(std::span<const uint8_t> input) {
  if (input.empty()) return 0;
  const size_t piece = 1 + input[0];
  std::string_view bytes(reinterpret_cast<const char*>(input.data()) + 1, input.size() - 1);
  int understood = DecodeState(bytes).ok();
  FrameDecoder frames(kMaxRequestBytes);
  Replica replica;
  while (!bytes.empty()) {
    frames.Feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    while (true) {
      auto frame = frames.Next();
      if (!frame.ok()) return understood;
      if (!*frame) break;
      understood += DecodeRequest(**frame).ok();
      auto update = DecodeUpdate(**frame);
      if (!update.ok()) continue;
      ++understood;
      (void)replica.Apply(*update);
    }
  }
  return understood;
}

}  // namespace fairlead::discovery
