// The file that keeps a consumer's last good state: a line that names the form, the SHA-256 of what follows, and
// frames of updates, as on the wire.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "discovery/catalog.h"
#include "discovery/messages.h"

namespace fairlead::io {
class Files;
}

namespace fairlead::discovery {

std::string EncodeState(const std::vector<Position>& positions, const RowMap& rows);
// DataLoss when the bytes are not whole.
StatusOr<std::vector<Update>> DecodeState(std::string_view bytes);

// Reads and decodes the file (blocking). One that is not whole is kept aside as PATH.corrupt, and the error names both.
StatusOr<std::vector<Update>> ReadState(io::Files& files, const std::string& path);

}  // namespace fairlead::discovery
