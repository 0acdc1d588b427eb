#include "discovery/state_file.h"

#include <openssl/evp.h>

#include <utility>

#include "base/check.h"
#include "base/io/files.h"
#include "discovery/frame.h"
#include "discovery/row_codec.h"

namespace fairlead::discovery {

namespace {

constexpr std::string_view kForm = "fairlead discovery state 1\n";
constexpr size_t kDigestBytes = 32;
constexpr size_t kRowsPerFrame = 256, kBytesPerFrame = 1 << 20;

std::string Digest(std::string_view bytes) {
  std::string digest(kDigestBytes, '\0');
  unsigned int written = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &written, EVP_sha256(),
                   nullptr) == 1 && written == kDigestBytes);
  return digest;
}

}  // namespace

std::string EncodeState(const std::vector<Position>& positions, const RowMap& rows) {
  std::string frames;
  Update part;
  size_t bytes = 0;
  part.full = true;
  rows.ForEach([&](const std::shared_ptr<const Row>& row) {
    bytes += ApproximateBytes(*row);
    part.upserts.push_back(row);
    if (part.upserts.size() < kRowsPerFrame && bytes < kBytesPerFrame) return;
    EncodeFrame(part, frames);
    part.upserts.clear();
    bytes = 0;
  });
  EncodeFrame(part, frames);
  for (const Position& position : positions) {
    Update end;
    end.position = position;
    EncodeFrame(end, frames);
  }
  return Cat(kForm, Digest(frames), frames);
}

StatusOr<std::vector<Update>> DecodeState(std::string_view bytes) {
  if (!bytes.starts_with(kForm)) return DataLoss("it does not begin with \"", kForm.substr(0, kForm.size() - 1), "\"");
  bytes.remove_prefix(kForm.size());
  if (bytes.size() < kDigestBytes || Digest(bytes.substr(kDigestBytes)) != bytes.substr(0, kDigestBytes))
    return DataLoss("its checksum does not match: it was cut short or changed");
  bytes.remove_prefix(kDigestBytes);

  FrameDecoder frames(kMaxFrameBytes);
  frames.Feed(bytes);
  std::vector<Update> state;
  while (true) {
    ASSIGN_OR_RETURN(std::optional<std::string> frame, frames.Next());
    if (!frame) break;
    ASSIGN_OR_RETURN(Update update, DecodeUpdate(*frame));
    state.push_back(std::move(update));
  }
  if (!frames.at_boundary()) return DataLoss("its last frame is not whole");
  return state;
}

StatusOr<std::vector<Update>> ReadState(io::Files& files, const std::string& path) {
  ASSIGN_OR_RETURN(std::string bytes, files.Read(path));
  StatusOr<std::vector<Update>> state = DecodeState(bytes);
  if (state.ok()) return state;
  const std::string aside = path + ".corrupt";
  const Status kept = files.Rename(path, aside);
  return DataLoss("state file ", path, " is corrupt: ", Message(state.status()), "; ",
                  kept.ok() ? Cat("kept as ", aside) : Cat("it cannot be kept aside: ", Message(kept)));
}

}  // namespace fairlead::discovery
