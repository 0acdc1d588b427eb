#include <cstring>

#include "base/http/head.h"

namespace fairlead::http {
namespace {

// Is `name` of the length of `word`, which is lower case, the same word? Or-ing 0x20 folds the case of letters; among
// token characters it makes no other byte equal to a letter or '-'.
template <size_t kSize>
bool Same(const char* name, const char (&word)[kSize]) {
  uint8_t differs = 0;
  for (size_t i = 0; i < kSize - 1; i++) differs |= (static_cast<uint8_t>(name[i]) | 0x20) ^ static_cast<uint8_t>(word[i]);
  return differs == 0;
}

}  // namespace

FieldId IdentifyField(std::string_view name) {
  const char* p = name.data();
  switch (name.size()) {
    case 2:
      if (Same(p, "te")) return FieldId::kTe;
      return Same(p, "b3") ? FieldId::kB3 : FieldId::kOther;
    case 3: return Same(p, "via") ? FieldId::kVia : FieldId::kOther;
    case 4: return Same(p, "host") ? FieldId::kHost : FieldId::kOther;
    case 6: return Same(p, "expect") ? FieldId::kExpect : FieldId::kOther;
    case 7:
      if (Same(p, "upgrade")) return FieldId::kUpgrade;
      return Same(p, "trailer") ? FieldId::kTrailer : FieldId::kOther;
    case 9: return Same(p, "forwarded") ? FieldId::kForwarded : FieldId::kOther;
    case 10:
      if (Same(p, "connection")) return FieldId::kConnection;
      if (Same(p, "tracestate")) return FieldId::kTracestate;
      return Same(p, "keep-alive") ? FieldId::kKeepAlive : FieldId::kOther;
    case 11:
      if (Same(p, "traceparent")) return FieldId::kTraceparent;
      return Same(p, "x-b3-spanid") ? FieldId::kB3SpanId : FieldId::kOther;
    case 12:
      if (Same(p, "x-b3-traceid")) return FieldId::kB3TraceId;
      if (Same(p, "x-request-id")) return FieldId::kXRequestId;
      return Same(p, "max-forwards") ? FieldId::kMaxForwards : FieldId::kOther;
    case 14: return Same(p, "content-length") ? FieldId::kContentLength : FieldId::kOther;
    case 15: return Same(p, "x-forwarded-for") ? FieldId::kXForwardedFor : FieldId::kOther;
    case 16: return Same(p, "proxy-connection") ? FieldId::kProxyConnection : FieldId::kOther;
    case 17:
      if (Same(p, "transfer-encoding")) return FieldId::kTransferEncoding;
      if (Same(p, "x-b3-parentspanid")) return FieldId::kB3ParentSpanId;
      return Same(p, "x-forwarded-proto") ? FieldId::kXForwardedProto : FieldId::kOther;
    default: return FieldId::kOther;
  }
}

}  // namespace fairlead::http
