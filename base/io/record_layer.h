// RecordLayer: what stands between a stream's bytes and the wire. A plain stream has none; base/tls implements it.
// Bytes in, bytes out, no I/O: Socket feeds what was received and takes what is to be sent. One connection, one thread.
//
// Memory follows traffic: plaintext and sealed bytes live in pooled pieces that exist only until they are read or sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace fairlead::io {

// Bytes for the wire. Grows past its pooled piece only for what no limit holds (a handshake with long chains).
class SealedBytes {
 public:
  static constexpr size_t kPieceBytes = 34 * 1024;  // two full records with their overhead

  SealedBytes() = default;
  SealedBytes(SealedBytes&& other) noexcept { *this = std::move(other); }
  SealedBytes& operator=(SealedBytes&& other) noexcept {
    if (this == &other) return *this;
    Reset();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }
  ~SealedBytes() { Reset(); }

  void Append(std::string_view bytes);
  void Reset();
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0, capacity_ = 0;
};

// Pieces for received plaintext, one full record each; free ones are kept per thread.
class PlainPiece {
 public:
  static constexpr size_t kBytes = 16 * 1024;  // RFC 8446 §5.1: a record carries at most 2^14 bytes
  static uint8_t* Allocate();
  static void Free(uint8_t* piece);
};

class RecordLayer {
 public:
  static constexpr size_t kSealAtOnce = 32 * 1024;  // plaintext of one Seal(): two records, one send
  static constexpr int kNeedMore = 1 << 30;         // what Read() gives besides counts

  virtual ~RecordLayer() = default;
  // Received bytes; they stay valid until Read() gives kNeedMore. Only then may more be fed.
  virtual void Feed(std::string_view received) = 0;
  // Plaintext into `to` (bytes > 0), 0 at the peer's orderly end, kNeedMore, or -errno: the connection is of no use.
  virtual int Read(uint8_t* to, size_t room) = 0;
  // Adds plaintext to what is to be sent. False: the connection is of no use.
  virtual bool Seal(std::string_view plain) = 0;
  // Adds the announcement that nothing will follow. Only the first call does.
  virtual void SealEnd() = 0;
  // All that is to be sent now, answers of the layer itself (alerts, key updates, tickets) included, in order.
  virtual SealedBytes TakeSealed() = 0;
  virtual bool has_sealed() const = 0;
};

}  // namespace fairlead::io
