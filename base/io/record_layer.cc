#include "base/io/record_layer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace fairlead::io {
namespace {

// Free pieces of one size. Under AddressSanitizer none are kept, or it would see nothing.
template <size_t kBytes, int kKeep>
class PieceList {
 public:
  ~PieceList() {
    while (kept_ > 0) std::free(pieces_[--kept_]);
  }
  void* Allocate() {
    if (kept_ > 0) return pieces_[--kept_];
    void* piece = std::malloc(kBytes);
    CHECK(piece != nullptr);
    return piece;
  }
  void Free(void* piece) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
    return std::free(piece);
#endif
#endif
    if (kept_ == kKeep) return std::free(piece);
    pieces_[kept_++] = piece;
  }

 private:
  void* pieces_[kKeep];
  int kept_ = 0;
};

thread_local PieceList<PlainPiece::kBytes, 64> plain_pieces;
thread_local PieceList<SealedBytes::kPieceBytes, 32> sealed_pieces;

}  // namespace

uint8_t* PlainPiece::Allocate() { return static_cast<uint8_t*>(plain_pieces.Allocate()); }
void PlainPiece::Free(uint8_t* piece) { plain_pieces.Free(piece); }

void SealedBytes::Append(std::string_view bytes) {
  if (size_ + bytes.size() > capacity_) {
    size_t capacity = std::max({kPieceBytes, 2 * capacity_, size_ + bytes.size()});
    char* grown = static_cast<char*>(capacity == kPieceBytes ? sealed_pieces.Allocate() : std::malloc(capacity));
    CHECK(grown != nullptr);
    size_t size = size_;
    if (size != 0) std::memcpy(grown, data_, size);
    Reset();
    data_ = grown;
    size_ = size;
    capacity_ = capacity;
  }
  std::memcpy(data_ + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

void SealedBytes::Reset() {
  if (data_ == nullptr) return;
  if (capacity_ == kPieceBytes) {
    sealed_pieces.Free(data_);
  } else {
    std::free(data_);
  }
  data_ = nullptr;
  size_ = capacity_ = 0;
}

}  // namespace fairlead::io
