// IoResult is what an operation gives: a count, a descriptor, or an error. Need-more, end and reset are ordinary
// values on the data path, so this is no Status; ToStatus() makes one where the reason goes to a person.
#pragma once

#include <cerrno>
#include <cstdint>

#include "base/check.h"
#include "base/status.h"

namespace fairlead::io {

class [[nodiscard]] IoResult {
 public:
  IoResult() = default;
  static IoResult FromKernel(int32_t value) { return IoResult(value); }   // >= 0, or -errno
  static IoResult Ok(int32_t value = 0) { return IoResult(value); }
  static IoResult Error(int error) { return IoResult(-error); }           // positive errno

  bool ok() const { return value_ >= 0; }
  int32_t value() const { return value_; }                                // bytes or descriptor; negative: -errno
  int error() const { return value_ < 0 ? -value_ : 0; }
  bool is_end() const { return value_ == 0; }                             // of a Receive: the peer closed its side
  bool timed_out() const { return value_ == -ETIMEDOUT; }
  bool cancelled() const { return value_ == -ECANCELED; }
  Status ToStatus(std::string_view what) const { return ok() ? OkStatus() : ErrnoStatus(error(), what); }

  friend bool operator==(const IoResult&, const IoResult&) = default;

 private:
  explicit IoResult(int32_t value) : value_(value) {}
  int32_t value_ = 0;
};

}  // namespace fairlead::io
