#include "lb/trace_context.h"

#include "base/http/char_class.h"
#include "lb/forward_head.h"

namespace fairlead::lb {
namespace {

using http::Field;
using http::FieldBit;
using http::FieldId;

bool IsHex(std::string_view text, bool lower_only) {
  for (char c : text)
    if (!http::Is(c, http::kHexDigit) || (lower_only && c >= 'A' && c <= 'F')) return false;
  return !text.empty();
}

bool IsId(std::string_view text, bool lower_only = false) {
  return IsHex(text, lower_only) && text.find_first_not_of('0') != text.npos;
}

bool IsTraceId(std::string_view text) { return (text.size() == 16 || text.size() == 32) && IsId(text); }
bool IsSpanId(std::string_view text) { return text.size() == 16 && IsId(text); }
bool IsDecision(std::string_view text) { return text == "0" || text == "1" || text == "d"; }

// The only field of this name that goes on, or null.
const Field* OnlyOne(const http::RequestHead& head, FieldId id) {
  const Field* only = nullptr;
  if ((head.seen & FieldBit(id)) == 0) return nullptr;
  for (int i = 0; i < head.field_count; i++) {
    const Field& field = head.fields[i];
    if (field.id != id || head.IsHopByHop(field)) continue;
    if (only != nullptr) return nullptr;
    only = &field;
  }
  return only;
}

}  // namespace

bool IsTraceparent(std::string_view value) {
  if (value.size() < 55 || value[2] != '-' || value[35] != '-' || value[52] != '-') return false;
  std::string_view version = value.substr(0, 2);
  if (!IsHex(version, true) || version == "ff") return false;
  if (value.size() > 55 && (version == "00" || value[55] != '-')) return false;
  return IsId(value.substr(3, 32), true) && IsId(value.substr(36, 16), true) && IsHex(value.substr(53, 2), true);
}

bool IsB3(std::string_view value) {
  if (IsDecision(value)) return true;
  size_t dash = value.find('-');
  if (dash == value.npos || !IsTraceId(value.substr(0, dash))) return false;
  std::string_view rest = value.substr(dash + 1);
  if (!IsSpanId(rest.substr(0, 16))) return false;
  if (rest.size() == 16) return true;
  if (rest.size() < 18 || rest[16] != '-' || !IsDecision(rest.substr(17, 1))) return false;
  return rest.size() == 18 || (rest[18] == '-' && IsSpanId(rest.substr(19)));
}

bool CarriesTrace(const http::RequestHead& head, ForwardOptions::Trace kind) {
  if (kind == ForwardOptions::Trace::kW3c) {
    const Field* parent = OnlyOne(head, FieldId::kTraceparent);
    return parent != nullptr && IsTraceparent(parent->value);
  }
  if (const Field* single = OnlyOne(head, FieldId::kB3)) return IsB3(single->value);
  const Field* trace = OnlyOne(head, FieldId::kB3TraceId);
  const Field* span = OnlyOne(head, FieldId::kB3SpanId);
  return trace != nullptr && span != nullptr && IsTraceId(trace->value) && IsSpanId(span->value);
}

http::FieldSet TraceFields(ForwardOptions::Trace kind) {
  if (kind == ForwardOptions::Trace::kW3c) return FieldBit(FieldId::kTraceparent) | FieldBit(FieldId::kTracestate);
  return FieldBit(FieldId::kB3) | FieldBit(FieldId::kB3TraceId) | FieldBit(FieldId::kB3SpanId) |
         FieldBit(FieldId::kB3ParentSpanId);
}

// B3 is written in multiple fields: a decision that came alone in X-B3-Sampled or X-B3-Flags still counts beside them.
void PutTrace(ForwardOptions::Trace kind, RequestIds& ids, http::HeadWriter& writer) {
  bool w3c = kind == ForwardOptions::Trace::kW3c;
  writer.Text(w3c ? "traceparent: 00-" : "X-B3-TraceId: ");
  writer.HexPadded(ids.prefix() | 1);  // an id of all zeros is none
  writer.HexPadded(ids.NextMixed());
  writer.Text(w3c ? "-" : "\r\nX-B3-SpanId: ");
  writer.HexPadded(ids.NextMixed() | 1);
  writer.Text(w3c ? "-01\r\n" : "\r\n");
}

}  // namespace fairlead::lb
