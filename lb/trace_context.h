// Trace context of a request: W3C Trace Context (traceparent, level 1) or B3 (single and multiple fields, as Zipkin has
// them). One that is valid goes on untouched; in place of a broken one, or none, a new trace begins here.
#pragma once

#include "base/http/head.h"
#include "base/http/writer.h"
#include "lb/config.h"

namespace fairlead::lb {

class RequestIds;

// 00-TRACE-SPAN-FLAGS, lower case, neither id all zeros; later versions may say more behind it (§3.2).
bool IsTraceparent(std::string_view value);
// TRACE-SPAN[-SAMPLED[-PARENT]], or a sampling decision alone: 0, 1 or d.
bool IsB3(std::string_view value);

// Does the request carry one valid context of this kind on? Two of them are none: nobody knows which one counts.
bool CarriesTrace(const http::RequestHead& head, ForwardOptions::Trace kind);
// The fields that a new context of this kind replaces.
http::FieldSet TraceFields(ForwardOptions::Trace kind);
// A new context. W3C has no way to leave the decision open, so the trace is sampled: who asks for contexts wants traces.
void PutTrace(ForwardOptions::Trace kind, RequestIds& ids, http::HeadWriter& writer);

}  // namespace fairlead::lb
