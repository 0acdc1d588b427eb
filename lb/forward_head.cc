#include "lb/forward_head.h"

#include "base/http/writer.h"

namespace fairlead::lb {
namespace {

using http::Field;
using http::FieldBit;
using http::FieldId;
using http::FieldSet;
using http::Framing;
using http::HeadWriter;

bool IsIdempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE" || method == "PUT" ||
         method == "DELETE";
}

// One line with what earlier proxies wrote, and the client behind it.
void PutForwardedFor(const http::RequestHead& head, std::string_view client_ip, HeadWriter& writer) {
  writer.Text("X-Forwarded-For: ");
  if ((head.seen & FieldBit(FieldId::kXForwardedFor)) != 0) {
    for (int i = 0; i < head.field_count; i++) {
      const Field& field = head.fields[i];
      if (field.id != FieldId::kXForwardedFor || field.value.empty() || head.IsHopByHop(field)) continue;
      writer.Text(field.value);
      writer.Text(", ");
    }
  }
  writer.Text(client_ip);
  writer.Text("\r\n");
}

void PutRequestId(RequestIds& ids, HeadWriter& writer) {
  writer.Text("X-Request-Id: ");
  writer.HexPadded(ids.prefix());
  writer.HexPadded(ids.NextCount());
  writer.Text("\r\n");
}

}  // namespace

bool PlanRequest(const http::RequestHead& head, std::string_view client_ip, std::string_view scheme, RequestIds& ids,
                 char* out, size_t capacity, RequestPlan& plan) {
  plan.head_bytes = static_cast<uint32_t>(head.text.size());
  plan.framing = head.framing;
  plan.body_bytes = head.framing == Framing::kLength ? head.content_length : 0;
  plan.http10 = head.minor_version == 0;
  plan.keep_alive = head.persistent();
  plan.is_head = head.method == "HEAD";
  plan.idempotent = IsIdempotent(head.method);

  const Field* host = head.Find(FieldId::kHost);
  bool keep_host = host != nullptr && host->value == head.host;  // an absolute-form target overrides it (§3.2.2)
  FieldSet left_out = FieldBit(FieldId::kXForwardedFor) | FieldBit(FieldId::kXForwardedProto);
  if (!keep_host) left_out |= FieldBit(FieldId::kHost);

  HeadWriter writer(out, capacity);
  writer.RequestLine(head.method, head.path);
  writer.CopyFields(head, left_out);
  if (!keep_host) writer.Field("Host", head.host);
  PutForwardedFor(head, client_ip, writer);
  writer.Field("X-Forwarded-Proto", scheme);
  if ((head.seen & FieldBit(FieldId::kXRequestId)) == 0) PutRequestId(ids, writer);
  writer.EndHead();
  plan.out_bytes = static_cast<uint32_t>(writer.size());
  return writer.ok();
}

bool PlanResponse(const http::ResponseHead& head, const RequestPlan& request, bool close_client, char* out,
                  size_t capacity, ResponsePlan& plan) {
  plan.head_bytes = static_cast<uint32_t>(head.text.size());
  plan.status = head.status;
  plan.interim = head.status < 200;
  plan.framing = head.framing;
  plan.body_bytes = head.framing == Framing::kLength ? head.content_length : 0;
  plan.backend_keep_alive = head.persistent() && head.framing != Framing::kUntilClose;
  plan.dechunk = request.http10 && head.framing == Framing::kChunked;
  plan.client_keep_alive =
      request.keep_alive && !close_client && head.framing != Framing::kUntilClose && !plan.dechunk;
  // Persistence is said where it is not the default of the client's version (RFC 9112 §9.3).
  std::string_view connection;
  if (!plan.interim && !plan.client_keep_alive) connection = "close";
  if (!plan.interim && plan.client_keep_alive && request.http10) connection = "keep-alive";

  plan.out_bytes = 0;
  if (!head.has_hop_by_hop && connection.empty() && head.minor_version == 1) return true;  // as it came
  HeadWriter writer(out, capacity);
  writer.StatusLine(head.status, head.reason);
  writer.CopyFields(head, plan.dechunk ? FieldBit(FieldId::kTransferEncoding) : 0);
  if (!connection.empty()) writer.Field("Connection", connection);
  writer.EndHead();
  plan.out_bytes = static_cast<uint32_t>(writer.size());
  return writer.ok();
}

}  // namespace fairlead::lb
