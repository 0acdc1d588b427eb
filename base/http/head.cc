#include "base/http/head.h"

#include <cstring>
#include <memory>

#include "base/http/authority.h"
#include "base/http/char_class.h"
#include "base/strings.h"

namespace fairlead::http {
namespace {

// The bytes of a head that are still to be read. Every Take* reads only bytes that are there and decides as soon as
// they suffice, so that a verdict never changes with more of them.
struct Cursor {
  const char* at;
  const char* end;
  size_t left() const { return static_cast<size_t>(end - at); }
};

#define TRY(step) \
  if (ParseResult result_ = (step); result_ != ParseResult::kOk) [[unlikely]] return result_

inline ParseResult TakeLineEnd(Cursor& in) {
  if (in.left() >= 2 && in.at[0] == '\r' && in.at[1] == '\n') [[likely]] {
    in.at += 2;
    return ParseResult::kOk;
  }
  if (in.left() == 0 || (in.left() == 1 && in.at[0] == '\r')) return ParseResult::kNeedMore;
  return ParseResult::kBad;
}

inline ParseResult TakeSpace(Cursor& in) {
  if (in.left() == 0) return ParseResult::kNeedMore;
  if (*in.at != ' ') return ParseResult::kBad;
  in.at++;
  return ParseResult::kOk;
}

// HTTP/1.0 or 1.1. `minor` becomes -1 for another version that is well-formed: its line must still end properly.
inline ParseResult TakeVersion(Cursor& in, int& minor) {
  constexpr std::string_view kShape = "HTTP/0.0";  // 0: any digit
  if (in.left() >= kShape.size() && std::memcmp(in.at, "HTTP/1.1", kShape.size()) == 0) [[likely]] {
    minor = 1;
    in.at += kShape.size();
    return ParseResult::kOk;
  }
  for (size_t i = 0; i < kShape.size(); i++) {
    if (i == in.left()) return ParseResult::kNeedMore;
    if (kShape[i] == '0' ? !Is(in.at[i], kDigit) : in.at[i] != kShape[i]) return ParseResult::kBad;
  }
  bool known = in.at[5] == '1' && in.at[7] <= '1';
  minor = known ? in.at[7] - '0' : -1;
  in.at += kShape.size();
  return ParseResult::kOk;
}

inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// name ":" OWS value OWS CRLF. A line that begins with a blank (obs-fold) has no name and is refused.
inline ParseResult TakeField(Cursor& in, Field& field) {
  const char* line = in.at;
  const char* colon = SkipTokenChars(in.at, in.end);
  if (colon == in.end) return ParseResult::kNeedMore;
  if (*colon != ':' || colon == line) return ParseResult::kBad;
  const char* value = colon + 1;
  while (value < in.end && IsBlank(*value)) value++;
  in.at = SkipValueChars(value, in.end);
  const char* value_end = in.at;
  TRY(TakeLineEnd(in));
  while (value_end > value && IsBlank(value_end[-1])) value_end--;
  field.name = {line, static_cast<size_t>(colon - line)};
  field.value = {value, static_cast<size_t>(value_end - value)};
  field.line = {line, static_cast<size_t>(in.at - line)};
  field.id = IdentifyField(field.name);
  return ParseResult::kOk;
}

void ReadConnection(std::string_view value, HeadFacts& head) {
  ForEachElement(value, [&head](std::string_view option) {
    if (EqualsIgnoreCase(option, "close")) {
      head.connection_close = true;
    } else if (EqualsIgnoreCase(option, "keep-alive")) {
      head.connection_keep_alive = true;
    } else if (EqualsIgnoreCase(option, "upgrade")) {
      head.connection_upgrade = head.minor_version >= 1;
    } else {
      head.connection_lists_fields = true;
    }
  });
}

// Digits only, no list (RFC 9110 §8.6 leaves that to us); 18 of them cannot overflow. -1: malformed.
int64_t ReadContentLength(std::string_view value) {
  if (value.empty() || value.size() > 18) return -1;
  int64_t length = 0;
  for (char c : value) {
    if (!Is(c, kDigit)) return -1;
    length = length * 10 + (c - '0');
  }
  return length;
}

// What a Transfer-Encoding other than `chunked` is: a list of codings that we do not speak (501), or a trick (400):
// no tokens, or chunked anywhere but once at the end.
ParseResult JudgeCodings(std::string_view value) {
  bool others = false, chunked = false, trick = false;
  ForEachElement(value, [&](std::string_view coding) {
    const char* end = coding.data() + coding.size();
    trick |= chunked || SkipTokenChars(coding.data(), end) != end;
    chunked = EqualsIgnoreCase(coding, "chunked");
    others |= !chunked;
  });
  return others && !trick ? ParseResult::kUnsupportedCoding : ParseResult::kBad;
}

// Acts upon one field that is not kOther. Gives kUnsupportedCoding as a remark: the rest of the head may be worse.
ParseResult ReadField(const Field& field, HeadFacts& head, std::string_view& host) {
  bool repeated = (head.seen & FieldBit(field.id)) != 0;
  head.seen |= FieldBit(field.id);
  switch (field.id) {
    case FieldId::kHost:
      if (repeated || !(field.value.empty() || IsAuthority(field.value))) return ParseResult::kBad;
      if (host.empty()) host = field.value;  // else an absolute-form target has said it
      return ParseResult::kOk;
    case FieldId::kContentLength: {
      int64_t length = ReadContentLength(field.value);
      if (length < 0 || (repeated && length != head.content_length)) return ParseResult::kBad;
      head.content_length = length;
      head.has_hop_by_hop |= repeated;
      return ParseResult::kOk;
    }
    case FieldId::kTransferEncoding:
      if (repeated) return ParseResult::kBad;  // lines are joined differently by different servers
      return EqualsIgnoreCase(field.value, "chunked") ? ParseResult::kOk : JudgeCodings(field.value);
    case FieldId::kConnection:
      ReadConnection(field.value, head);
      [[fallthrough]];
    case FieldId::kKeepAlive:
    case FieldId::kTe:
    case FieldId::kUpgrade:
    case FieldId::kProxyConnection:
      head.has_hop_by_hop = true;
      return ParseResult::kOk;
    default:
      return ParseResult::kOk;
  }
}

// All fields and the blank line; then the rules that need all of them.
ParseResult TakeFields(Cursor& in, Head& head, std::string_view& host, int most) {
  const char* begin = in.at;
  bool unsupported_coding = false;
  for (;;) {
    if (in.left() == 0) return ParseResult::kNeedMore;
    if (*in.at == '\r') break;
    if (head.field_count == most) return ParseResult::kTooManyFields;
    Field& field = *std::construct_at(&head.fields[head.field_count]);
    TRY(TakeField(in, field));
    head.field_count++;
    if (field.id == FieldId::kOther) continue;
    ParseResult read = ReadField(field, head, host);
    if (read == ParseResult::kUnsupportedCoding) {
      unsupported_coding = true;
    } else if (read != ParseResult::kOk) {
      return read;
    }
  }
  head.fields_text = {begin, static_cast<size_t>(in.at - begin)};
  TRY(TakeLineEnd(in));
  if ((head.seen & FieldBit(FieldId::kTransferEncoding)) != 0) {
    // Both framings, or a coding that HTTP/1.0 does not know: somebody else reads it differently (RFC 9112 §6.1).
    if (head.content_length >= 0 || head.minor_version == 0) return ParseResult::kBad;
    if (unsupported_coding) return ParseResult::kUnsupportedCoding;
    head.framing = Framing::kChunked;
  } else if (head.content_length >= 0) {
    head.framing = Framing::kLength;
  }
  return ParseResult::kOk;
}

// Which of the four forms the target has (RFC 9112 §3.2), and what of it goes on.
bool ResolveTarget(RequestHead& head) {
  std::string_view target = head.target;
  if (head.method == "CONNECT") return target.find(':') != target.npos && IsAuthority(target);
  if (target[0] == '/') {
    head.path = target;
    return true;
  }
  if (target == "*") {
    head.path = target;
    return head.method == "OPTIONS";
  }
  if (!SplitAbsoluteTarget(target, head.host, head.path)) return false;
  if (head.path.empty()) head.path = head.method == "OPTIONS" ? "*" : "/";  // RFC 9112 §3.2.4
  return true;
}

ParseResult TakeRequestLine(Cursor& in, RequestHead& head, size_t longest_target) {
  if (in.left() > 0 && *in.at == '\r') TRY(TakeLineEnd(in));  // one empty line before it (RFC 9112 §2.2)
  const char* method = in.at;
  in.at = SkipTokenChars(in.at, in.end);
  head.method = {method, static_cast<size_t>(in.at - method)};
  if (head.method.empty() && in.left() > 0) return ParseResult::kBad;
  TRY(TakeSpace(in));
  const char* target = in.at;
  in.at = SkipTargetChars(in.at, in.end);
  head.target = {target, static_cast<size_t>(in.at - target)};
  if (head.target.size() > longest_target) [[unlikely]] return ParseResult::kTargetTooLong;
  if (head.target.empty() && in.left() > 0) return ParseResult::kBad;
  TRY(TakeSpace(in));
  if (!ResolveTarget(head)) return ParseResult::kBad;
  TRY(TakeVersion(in, head.minor_version));
  TRY(TakeLineEnd(in));
  return head.minor_version < 0 ? ParseResult::kBadVersion : ParseResult::kOk;
}

// The space behind the status is missing in the heads of some servers that have no reason to give: no harm in it.
ParseResult TakeStatusLine(Cursor& in, ResponseHead& head) {
  TRY(TakeVersion(in, head.minor_version));
  TRY(TakeSpace(in));
  for (int i = 0; i < 3; i++, in.at++) {
    if (in.left() == 0) return ParseResult::kNeedMore;
    if (!Is(*in.at, kDigit)) return ParseResult::kBad;
    head.status = head.status * 10 + (*in.at - '0');
  }
  if (head.status < 100) return ParseResult::kBad;
  if (in.left() > 0 && *in.at == ' ') {
    const char* reason = ++in.at;
    in.at = SkipValueChars(in.at, in.end);
    head.reason = {reason, static_cast<size_t>(in.at - reason)};
  }
  TRY(TakeLineEnd(in));
  return head.minor_version < 0 ? ParseResult::kBadVersion : ParseResult::kOk;
}

#undef TRY

}  // namespace

ParseResult ParseRequest(std::string_view bytes, RequestHead& head, const HeadLimits& limits) {
  static_cast<HeadFacts&>(head) = HeadFacts();
  head.host = head.path = {};
  Cursor in{bytes.data(), bytes.data() + bytes.size()};
  ParseResult result = TakeRequestLine(in, head, limits.target_bytes);
  if (result == ParseResult::kOk) result = TakeFields(in, head, head.host, limits.fields);
  if (result != ParseResult::kOk) return result;
  head.text = {bytes.data(), static_cast<size_t>(in.at - bytes.data())};
  bool has_host = (head.seen & FieldBit(FieldId::kHost)) != 0;
  if (head.minor_version >= 1 && !has_host) return ParseResult::kNoHost;  // RFC 9112 §3.2
  const Field* expect = head.Find(FieldId::kExpect);
  head.expect_continue = head.minor_version >= 1 && expect != nullptr && EqualsIgnoreCase(expect->value, "100-continue");
  return ParseResult::kOk;
}

ParseResult ParseResponse(std::string_view bytes, bool to_head_request, ResponseHead& head) {
  static_cast<HeadFacts&>(head) = HeadFacts();
  head.status = 0;
  head.reason = {};
  Cursor in{bytes.data(), bytes.data() + bytes.size()};
  ParseResult result = TakeStatusLine(in, head);
  std::string_view unused_host;
  if (result == ParseResult::kOk) result = TakeFields(in, head, unused_host, kMaxFields);
  if (result != ParseResult::kOk) return result;
  head.text = {bytes.data(), static_cast<size_t>(in.at - bytes.data())};
  bool no_body = to_head_request || head.status < 200 || head.status == 204 || head.status == 304;
  if (no_body) {
    head.framing = Framing::kNone;
  } else if (head.framing == Framing::kNone) {
    head.framing = Framing::kUntilClose;
  }
  return ParseResult::kOk;
}

const Field* Head::Find(FieldId id) const {
  if (id != FieldId::kOther && (seen & FieldBit(id)) == 0) return nullptr;
  for (int i = 0; i < field_count; i++)
    if (fields[i].id == id) return &fields[i];
  return nullptr;
}

const Field* Head::Find(std::string_view lower_name) const {
  for (int i = 0; i < field_count; i++)
    if (EqualsIgnoreCase(fields[i].name, lower_name)) return &fields[i];
  return nullptr;
}

bool Head::IsHopByHop(const Field& field) const {
  switch (field.id) {
    case FieldId::kConnection:
    case FieldId::kKeepAlive:
    case FieldId::kTe:
    case FieldId::kUpgrade:
    case FieldId::kProxyConnection:
      return true;
    case FieldId::kContentLength:
      return &field != Find(FieldId::kContentLength);
    case FieldId::kHost:
    case FieldId::kTransferEncoding:
      return false;
    default:
      break;
  }
  if (!connection_lists_fields) return false;
  bool listed = false;
  for (int i = 0; i < field_count && !listed; i++) {
    if (fields[i].id != FieldId::kConnection) continue;
    ForEachElement(fields[i].value, [&](std::string_view option) { listed |= EqualsIgnoreCase(option, field.name); });
  }
  return listed;
}

}  // namespace fairlead::http
