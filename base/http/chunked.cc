#include "base/http/char_class.h"
#include "base/http/head.h"

namespace fairlead::http {
namespace {

unsigned HexValue(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

}  // namespace

int64_t ChunkedBody::Feed(std::string_view bytes, void (*data)(void* context, std::string_view run), void* context) {
  size_t at = 0;
  while (at < bytes.size() && state_ != State::kDone) {
    if (state_ == State::kData) {
      std::string_view run = bytes.substr(at, left_);
      if (data != nullptr) data(context, run);
      at += run.size();
      left_ -= run.size();
      if (left_ == 0) state_ = State::kDataCr;
    } else {
      state_ = Step(bytes[at++]);
      if (state_ == State::kBad) return -1;
    }
  }
  return state_ == State::kBad ? -1 : static_cast<int64_t>(at);
}

// One byte of the framing.
ChunkedBody::State ChunkedBody::Step(char c) {
  switch (state_) {
    case State::kSize:
      if (!Is(c, kHexDigit)) return digits_ > 0 ? AfterSize(c) : State::kBad;
      left_ = left_ << 4 | HexValue(c);
      return ++digits_ <= kMaxSizeDigits ? State::kSize : State::kBad;
    case State::kSizeBlank:  // "5 \r\n" is no size; "5 ;name" has an extension
      if (c == '\r' || ++line_bytes_ > kMaxExtensionBytes) return State::kBad;
      return AfterSize(c);
    case State::kExtension:
      if (c == '\r') return State::kSizeLf;
      return Is(c, kValueChar) && ++line_bytes_ <= kMaxExtensionBytes ? State::kExtension : State::kBad;
    case State::kSizeLf:
      if (c != '\n') return State::kBad;
      digits_ = 0;
      line_bytes_ = 0;
      announced_ = left_ < UINT64_MAX - announced_ ? announced_ + left_ : UINT64_MAX;
      return left_ > 0 ? State::kData : State::kTrailerStart;
    case State::kDataCr:
      return c == '\r' ? State::kDataLf : State::kBad;
    case State::kDataLf:
      return c == '\n' ? State::kSize : State::kBad;
    case State::kTrailerStart:
      if (c == '\r') return State::kEndLf;
      name_bytes_ = 0;
      [[fallthrough]];
    case State::kTrailerName:
      if (++line_bytes_ > kMaxTrailerBytes) return State::kBad;
      if (c == ':') return EndTrailerName() ? State::kTrailerValue : State::kBad;
      if (!Is(c, kTokenChar)) return State::kBad;
      if (name_bytes_ < sizeof name_) name_[name_bytes_++] = c;
      return State::kTrailerName;
    case State::kTrailerValue:
      if (c == '\r') return State::kTrailerLf;
      return Is(c, kValueChar) && ++line_bytes_ <= kMaxTrailerBytes ? State::kTrailerValue : State::kBad;
    case State::kTrailerLf:
      return c == '\n' ? State::kTrailerStart : State::kBad;
    case State::kEndLf:
      return c == '\n' ? State::kDone : State::kBad;
    case State::kData:
    case State::kDone:
    case State::kBad:
      break;
  }
  return State::kBad;
}

ChunkedBody::State ChunkedBody::AfterSize(char c) {
  switch (c) {
    case '\r': return State::kSizeLf;
    case ';': return State::kExtension;
    case ' ':
    case '\t': return State::kSizeBlank;
    default: return State::kBad;
  }
}

bool ChunkedBody::EndTrailerName() const {
  return name_bytes_ > 0 && IdentifyField({name_, name_bytes_}) == FieldId::kOther;
}

}  // namespace fairlead::http
