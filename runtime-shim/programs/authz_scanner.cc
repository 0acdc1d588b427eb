#include "runtime-shim/programs/authz_scanner.h"

#include <cstring>
#include <utility>

#include "base/strings.h"
#include "runtime-shim/programs/authz_question.h"

namespace fairlead::programs {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  char lower = LowerAscii(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Bytes at the front of a string that neither end it nor are escapes.
size_t PlainBytes(std::string_view bytes) {
  const void* quote = memchr(bytes.data(), '"', bytes.size());
  size_t plain = quote == nullptr ? bytes.size() : static_cast<size_t>(static_cast<const char*>(quote) - bytes.data());
  const void* escape = memchr(bytes.data(), '\\', plain);
  return escape == nullptr ? plain : static_cast<size_t>(static_cast<const char*>(escape) - bytes.data());
}

}  // namespace

void AuthzScanner::Feed(std::string_view bytes) {
  while (!bytes.empty() && !bad_) {
    size_t skipped = in_string_ && into_ == nullptr && escape_ == 0 ? PlainBytes(bytes) : 0;
    bytes.remove_prefix(skipped);
    if (bytes.empty()) return;
    Step(bytes[0]);
    bytes.remove_prefix(1);
  }
}

void AuthzScanner::Step(char c) { in_string_ ? StepInString(c) : StepOutside(c); }

void AuthzScanner::StepOutside(char c) {
  bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
  if (ended_ || (!begun_ && !blank && c != '{')) {
    bad_ = bad_ || !blank;
    return;
  }
  switch (c) {
    case '"': return BeginString();
    case '{': return Open(true);
    case '[': return Open(false);
    case '}': return Close(true);
    case ']': return Close(false);
    case ',':
      expect_key_ = in_object();
      into_ = nullptr;
      return;
    case ':':
      into_ = Wanted();
      if (into_ != nullptr) into_->clear();
      return;
    default:
      if (!blank && into_ == &facts_.status) Put(c);
  }
}

void AuthzScanner::Open(bool object) {
  if (depth_ == kMaxDepth) {
    bad_ = true;
    return;
  }
  uint64_t bit = uint64_t{1} << depth_++;
  objects_ = object ? objects_ | bit : objects_ & ~bit;
  expect_key_ = object;
  begun_ = true;
  into_ = nullptr;  // none of what is wanted is an object or a list
}

void AuthzScanner::Close(bool object) {
  if (depth_ == 0 || in_object() != object) {
    bad_ = true;
    return;
  }
  ended_ = --depth_ == 0;
  expect_key_ = false;
  into_ = nullptr;
}

void AuthzScanner::BeginString() {
  in_string_ = true;
  string_is_key_ = expect_key_;
  if (!string_is_key_) return;
  into_ = depth_ == 1 ? &key_ : depth_ == 2 ? &header_ : nullptr;
  limit_ = kMaxText;
  if (into_ != nullptr) into_->clear();
}

void AuthzScanner::EndString() {
  in_string_ = expect_key_ = false;
  into_ = nullptr;
}

void AuthzScanner::StepInString(char c) {
  if (escape_ == 0) {
    if (c == '"') return EndString();
    if (c == '\\') {
      escape_ = 1;
    } else {
      Put(c);
    }
  } else if (escape_ == 1) {
    escape_ = c == 'u' ? 5 : 0;
    code_ = 0;
    if (c == 'u') return;
    constexpr std::string_view kNames = "bfnrt", kMeant = "\b\f\n\r\t";
    size_t named = kNames.find(c);
    Put(named == kNames.npos ? c : kMeant[named]);
  } else {
    int digit = HexValue(c);
    bad_ = digit < 0;
    code_ = code_ << 4 | static_cast<uint32_t>(digit);
    if (--escape_ == 1) {
      escape_ = 0;
      PutCodePoint(code_);
    }
  }
}

void AuthzScanner::PutCodePoint(uint32_t code) {
  // What is wanted is ASCII; any other letter becomes one that is in no name.
  Put(code < 0x80 ? static_cast<char>(code) : '?');
}

void AuthzScanner::Put(char c) {
  if (into_ == nullptr) return;
  if (into_->size() < limit_) {
    into_->push_back(c);
    return;
  }
  into_->clear();
  into_ = nullptr;
}

std::string* AuthzScanner::Wanted() {
  limit_ = kMaxText;
  if (depth_ == 2 && in_object() && key_ == "RequestHeaders" && EqualsIgnoreCase(header_, "X-Fairlead")) return &facts_.mark;
  if (depth_ != 1) return nullptr;
  if (key_ == "RequestMethod") return &facts_.method;
  if (key_ == "RequestUri") return &facts_.uri;
  if (key_ == "ResponseStatusCode") return &facts_.status;
  if (key_ != "ResponseBody" || !IsCreate(facts_.method, facts_.uri)) return nullptr;
  limit_ = kMaxCreateAnswer;
  return &facts_.response_body;
}

AuthzFacts AuthzScanner::Take() { return ended_ && !bad_ ? std::move(facts_) : AuthzFacts{}; }

size_t AuthzScanner::kept_bytes() const {
  return facts_.method.size() + facts_.uri.size() + facts_.mark.size() + facts_.status.size() +
         facts_.response_body.size() + key_.size() + header_.size();
}

}  // namespace fairlead::programs
