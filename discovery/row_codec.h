// Rows and messages to and from protobuf (proto/fairlead/discovery.proto). Bytes from a peer never reach a CHECK: what
// cannot be a row is an error.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/status.h"
#include "discovery/messages.h"

namespace fairlead::discovery {

// Append one frame to `out`.
void EncodeFrame(const Update& update, std::string& out);
void EncodeFrame(const PackedUpdate& update, std::string& out);
void EncodeFrame(const Subscribe& message, std::string& out);
void EncodeFrame(const Ack& message, std::string& out);

// Decode one message, without its frame.
StatusOr<Update> DecodeUpdate(std::string_view message);
StatusOr<std::variant<Subscribe, Ack>> DecodeRequest(std::string_view message);

}  // namespace fairlead::discovery
