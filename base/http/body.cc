#include "base/http/body.h"

#include <algorithm>

namespace fairlead::http {

bool BodyDecoder::Feed(std::string& in, std::string& out) {
  switch (framing_) {
    case Framing::kNone:
      return true;
    case Framing::kLength: {
      size_t take = static_cast<size_t>(std::min<uint64_t>(static_cast<uint64_t>(left_), in.size()));
      out.append(in, 0, take);
      in.erase(0, take);
      left_ -= static_cast<int64_t>(take);
      return true;
    }
    case Framing::kChunked: {
      auto append = [](void* context, std::string_view run) { static_cast<std::string*>(context)->append(run); };
      int64_t taken = chunked_.Feed(in, append, &out);
      if (taken < 0) return false;
      in.erase(0, static_cast<size_t>(taken));
      return true;
    }
    case Framing::kUntilClose:
      out.append(in);
      in.clear();
      return true;
  }
  return false;
}

bool BodyDecoder::done() const {
  switch (framing_) {
    case Framing::kNone: return true;
    case Framing::kLength: return left_ == 0;
    case Framing::kChunked: return chunked_.done();
    case Framing::kUntilClose: return false;
  }
  return false;
}

}  // namespace fairlead::http
