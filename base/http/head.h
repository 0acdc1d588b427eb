// The one HTTP/1.1 parser: strict, incremental and without allocation (RFC 9112). A head is parsed in place from
// contiguous bytes; every field is split and validated, framing is decided once (RFC 9112 §6.3), and what is ambiguous
// is refused. Used by the balancer, the API server and the engine client.
#pragma once

#include <cstdint>
#include <string_view>

namespace fairlead::http {

inline constexpr int kMaxFields = 100;

enum class ParseResult : uint8_t {
  kOk,
  kNeedMore,
  kBad,             // 400
  kTooManyFields,   // 431
  kBadVersion,      // 505
  kUnsupportedCoding,  // 501: a Transfer-Encoding other than chunked
};

// Fields the program acts upon; all others are kOther.
enum class FieldId : uint8_t {
  kOther, kHost, kConnection, kContentLength, kTransferEncoding, kTe, kTrailer, kUpgrade, kKeepAlive,
  kProxyConnection, kExpect, kXForwardedFor, kXForwardedProto, kXRequestId, kVia, kMaxForwards,
};

struct Field {
  std::string_view name;   // as written
  std::string_view value;  // without surrounding blanks
  std::string_view line;   // the whole field line with its CRLF
  FieldId id = FieldId::kOther;
};

enum class Framing : uint8_t { kNone, kLength, kChunked, kUntilClose };

struct Head {
  std::string_view text;           // the whole head with its blank line; text.size() bytes were consumed
  std::string_view fields_text;    // from the first field line to the blank line, exclusive
  int minor_version = 1;           // 0 or 1
  Framing framing = Framing::kNone;
  int64_t content_length = -1;     // of the field; -1: absent
  bool connection_close = false;
  bool connection_keep_alive = false;
  bool connection_upgrade = false;
  bool has_hop_by_hop = false;     // at least one field IsHopByHop() says yes to
  std::string_view connection;     // value of Connection; "" when absent. Several lines are refused by no rule: see .cc
  int field_count = 0;
  Field fields[kMaxFields];

  const Field* Find(FieldId id) const;                 // first one, or null
  const Field* Find(std::string_view lower_name) const;
  // Does this field end at this hop: Connection, what it lists, Keep-Alive, TE, Upgrade, Proxy-Connection (RFC 9110
  // §7.6.1)? Transfer-Encoding and Content-Length are framing and answered no.
  bool IsHopByHop(const Field& field) const;
  bool persistent() const { return minor_version >= 1 ? !connection_close : connection_keep_alive; }
};

struct RequestHead : Head {
  std::string_view method;
  std::string_view target;         // as written; bytes 0x80-0xFF pass
  std::string_view host;           // value of Host, or the authority of an absolute-form target (RFC 9112 §3.2.2)
  std::string_view path;           // origin-form path with query; "*" for asterisk-form; "" for CONNECT
  bool expect_continue = false;
};

struct ResponseHead : Head {
  int status = 0;
  std::string_view reason;
};

// `bytes` begins at the first byte of the head. kNeedMore: call again with more bytes behind the same ones.
ParseResult ParseRequest(std::string_view bytes, RequestHead& head);
// `to_head_request`: the response has no body whatever its fields say (RFC 9112 §6.3).
ParseResult ParseResponse(std::string_view bytes, bool to_head_request, ResponseHead& head);

// Follows a chunked body (RFC 9112 §7.1) through pieces of any size.
class ChunkedBody {
 public:
  // Takes bytes off the front that belong to the body. Gives how many, or -1 for a malformed one. `data` is called with
  // runs of content when it is not null.
  int64_t Feed(std::string_view bytes, void (*data)(void* context, std::string_view run) = nullptr,
               void* context = nullptr);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State : uint8_t {
    kSize, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailerStart, kTrailer, kTrailerLf, kEndLf, kDone
  };
  State state_ = State::kSize;
  uint8_t digits_ = 0;
  uint32_t line_bytes_ = 0;        // of extension or trailers: bounded
  uint64_t left_ = 0;
};

}  // namespace fairlead::http
