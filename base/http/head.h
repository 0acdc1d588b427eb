// The one HTTP/1.1 parser: strict, incremental and without allocation (RFC 9112). A head is parsed in place from
// contiguous bytes; every field is split and validated, framing is decided once (RFC 9112 §6.3), and what is ambiguous
// is refused. Used by the balancer, the API server and the engine client.
//
// Stricter than the RFC where servers read the same bytes differently: no line ends of LF alone, no folded fields, no
// blank before a colon, no list in Content-Length, no Transfer-Encoding but `chunked` once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/strings.h"

namespace fairlead::http {

inline constexpr int kMaxFields = 100;

enum class ParseResult : uint8_t {
  kOk,
  kNeedMore,
  kBad,             // 400
  kNoHost,          // 400: HTTP/1.1 without a Host field
  kTooManyFields,   // 431
  kTargetTooLong,   // 414
  kBadVersion,      // 505
  kUnsupportedCoding,  // 501: a Transfer-Encoding other than chunked
};

// Fields the program acts upon; all others are kOther.
enum class FieldId : uint8_t {
  kOther, kHost, kConnection, kContentLength, kTransferEncoding, kTe, kTrailer, kUpgrade, kKeepAlive,
  kProxyConnection, kExpect, kXForwardedFor, kXForwardedProto, kXRequestId, kVia, kMaxForwards, kForwarded,
  kTraceparent, kTracestate, kB3, kB3TraceId, kB3SpanId, kB3ParentSpanId,
};

FieldId IdentifyField(std::string_view name);  // ignoring case

// A set of FieldIds: FieldBit(FieldId::kHost) | FieldBit(FieldId::kVia).
using FieldSet = uint32_t;
constexpr FieldSet FieldBit(FieldId id) { return FieldSet{1} << static_cast<int>(id); }

struct Field {
  std::string_view name;   // as written
  std::string_view value;  // without surrounding blanks
  std::string_view line;   // the whole field line with its CRLF
  FieldId id = FieldId::kOther;
};

enum class Framing : uint8_t { kNone, kLength, kChunked, kUntilClose };

// What a head says as a whole.
struct HeadFacts {
  std::string_view text;           // the whole head with its blank line; text.size() bytes were consumed
  std::string_view fields_text;    // from the first field line to the blank line, exclusive
  int minor_version = 1;           // 0 or 1
  Framing framing = Framing::kNone;
  int64_t content_length = -1;     // of the field; -1: absent
  bool connection_close = false;   // of all Connection lines
  bool connection_keep_alive = false;
  bool connection_upgrade = false; // of HTTP/1.1 only (RFC 9110 §7.8)
  bool has_hop_by_hop = false;     // at least one field IsHopByHop() says yes to
  bool connection_lists_fields = false;  // Connection holds more than close, keep-alive and upgrade
  FieldSet seen = 0;               // ids of all fields
  int field_count = 0;
};

struct Head : HeadFacts {
  Head() {}                        // leaves `fields` as it is: 5 KiB that a request need not touch
  union {
    Field fields[kMaxFields];      // the first field_count of them
  };

  const Field* Find(FieldId id) const;                 // first one, or null
  const Field* Find(std::string_view lower_name) const;
  // Does this field end at this hop: Connection, what any Connection line lists, Keep-Alive, TE, Upgrade,
  // Proxy-Connection (RFC 9110 §7.6.1)? So does the second of two equal Content-Length lines: one goes on (§8.6).
  // Framing and Host are answered no whatever Connection lists.
  bool IsHopByHop(const Field& field) const;
  bool persistent() const { return !connection_close && (minor_version >= 1 || connection_keep_alive); }
};

struct RequestHead : Head {
  std::string_view method;
  std::string_view target;         // as written; bytes 0x80-0xFF pass
  std::string_view host;           // value of Host, or the authority of an absolute-form target (RFC 9112 §3.2.2);
                                   // a valid authority, or "" where Host is empty or (HTTP/1.0) absent
  // Origin-form path with query; "*" for asterisk-form; "" for CONNECT. Of an absolute-form target without a path: "/",
  // or "?query", before which a writer puts the slash (HeadWriter::RequestLine does).
  std::string_view path;
  bool expect_continue = false;
};

struct ResponseHead : Head {
  int status = 0;
  std::string_view reason;
};

// What a head may be at most. How many bytes it may be in all is the business of who collects them.
struct HeadLimits {
  uint32_t target_bytes = UINT32_MAX;
  int fields = kMaxFields;         // at most kMaxFields
};

// `bytes` begins at the first byte of the head. kNeedMore: call again with more bytes behind the same ones. Every call
// starts at the front: call again only when the new bytes hold an LF, which bounds the work of a slow sender to one
// pass per field line. The first verdict is final: more bytes never change it.
//
// One empty line before a request line is skipped (RFC 9112 §2.2); it counts in text.size().
ParseResult ParseRequest(std::string_view bytes, RequestHead& head, const HeadLimits& limits = {});
// `to_head_request`: the response has no body whatever its fields say (RFC 9112 §6.3).
ParseResult ParseResponse(std::string_view bytes, bool to_head_request, ResponseHead& head);

// Calls see(element) for the elements of a comma-separated list that are not empty (RFC 9110 §5.6.1).
template <class See>
void ForEachElement(std::string_view list, See see) {
  while (!list.empty()) {
    size_t comma = std::min(list.find(','), list.size());
    if (std::string_view element = Trim(list.substr(0, comma)); !element.empty()) see(element);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

// Follows a chunked body (RFC 9112 §7.1) through pieces of any size. Extensions and trailers are validated and pass with
// the rest; a trailer whose name this program acts upon is refused, because servers that merge trailers into the head
// would take it for framing or routing (RFC 9110 §6.5.1).
class ChunkedBody {
 public:
  static constexpr uint32_t kMaxExtensionBytes = 8 << 10;  // of one chunk
  static constexpr uint32_t kMaxTrailerBytes = 8 << 10;    // of all trailers
  static constexpr int kMaxSizeDigits = 15;

  // Takes bytes off the front that belong to the body. Gives how many, or -1 for a malformed one. `data` is called with
  // runs of content when it is not null.
  int64_t Feed(std::string_view bytes, void (*data)(void* context, std::string_view run) = nullptr,
               void* context = nullptr);
  bool done() const { return state_ == State::kDone; }
  // Content of all chunks whose sizes have been read, the one at hand in full.
  uint64_t announced() const { return announced_; }

 private:
  enum class State : uint8_t {
    kSize, kSizeBlank, kExtension, kSizeLf, kData, kDataCr, kDataLf,
    kTrailerStart, kTrailerName, kTrailerValue, kTrailerLf, kEndLf, kDone, kBad
  };
  State Step(char c);
  State AfterSize(char c);
  bool EndTrailerName() const;

  State state_ = State::kSize;
  uint8_t digits_ = 0;
  uint8_t name_bytes_ = 0;         // of the trailer at hand; longer names than name_ holds are none of ours
  char name_[20];
  uint32_t line_bytes_ = 0;        // of extension or trailers
  uint64_t left_ = 0;              // of the chunk
  uint64_t announced_ = 0;
};

}  // namespace fairlead::http
