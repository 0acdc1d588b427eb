#include "lb/forward_head.h"

#include <algorithm>

#include "base/http/writer.h"
#include "base/strings.h"
#include "lb/trace_context.h"

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

// Is there such a field with a value that goes on?
bool Carried(const http::RequestHead& head, FieldId id) {
  if ((head.seen & FieldBit(id)) == 0) return false;
  for (int i = 0; i < head.field_count; i++)
    if (const Field& field = head.fields[i]; field.id == id && !field.value.empty() && !head.IsHopByHop(field)) return true;
  return false;
}

// One line with what earlier proxies wrote, and the client behind it.
void PutForwardedFor(const http::RequestHead& head, bool append, std::string_view client_ip, HeadWriter& writer) {
  writer.Text("X-Forwarded-For: ");
  if (append && (head.seen & FieldBit(FieldId::kXForwardedFor)) != 0) {
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

// A line of its own behind those of earlier proxies. An IPv6 address needs brackets and quotes (RFC 7239 §6).
void PutForwarded(const ClientText& client, HeadWriter& writer) {
  bool quoted = client.ip.find(':') != client.ip.npos;
  writer.Text(quoted ? "Forwarded: for=\"[" : "Forwarded: for=");
  writer.Text(client.ip);
  writer.Text(quoted ? "]\";proto=" : ";proto=");
  writer.Text(client.scheme);
  writer.Text("\r\n");
}

void PutRequestId(RequestIds& ids, HeadWriter& writer) {
  writer.Text("X-Request-Id: ");
  writer.HexPadded(ids.prefix());
  writer.HexPadded(ids.NextCount());
  writer.Text("\r\n");
}

constexpr std::string_view kUpgradeField = "Upgrade: ";

// The protocols that may be asked for, as one list; writes nothing without a writer. True: there is one.
bool PutUpgrade(const http::Head& head, HeadWriter* writer) {
  bool any = false;
  for (int i = 0; i < head.field_count; i++) {
    if (head.fields[i].id != FieldId::kUpgrade) continue;
    http::ForEachElement(head.fields[i].value, [&](std::string_view protocol) {
      std::string_view name = protocol.substr(0, protocol.find('/'));
      for (std::string_view ours : {"h2c", "h2", "http", "tls"})
        if (EqualsIgnoreCase(name, ours)) return;
      if (writer != nullptr) {
        writer->Text(any ? ", " : kUpgradeField);
        writer->Text(protocol);
      }
      any = true;
    });
  }
  if (any && writer != nullptr) writer->Text("\r\n");
  return any;
}

bool TakesTrailers(const http::RequestHead& head) {
  if ((head.seen & FieldBit(FieldId::kTe)) == 0 || head.minor_version == 0) return false;
  bool takes = false;
  for (int i = 0; i < head.field_count; i++)
    if (head.fields[i].id == FieldId::kTe)
      http::ForEachElement(head.fields[i].value,
                           [&](std::string_view coding) { takes |= EqualsIgnoreCase(coding, "trailers"); });
  return takes;
}

// Connection and what it announces of the next hop. Gives the protocols that the written head asks for.
std::string_view PutHopFields(const http::RequestHead& head, bool upgrade, HeadWriter& writer) {
  bool trailers = TakesTrailers(head);
  if (trailers) writer.Text("TE: trailers\r\n");
  size_t line = writer.size();
  if (upgrade) PutUpgrade(head, &writer);
  std::string_view protocols;
  if (upgrade && writer.ok()) {
    protocols = writer.text().substr(line + kUpgradeField.size());
    protocols.remove_suffix(2);  // the line's end
  }
  if (trailers || upgrade)
    writer.Text(!upgrade ? "Connection: TE\r\n" : trailers ? "Connection: TE, upgrade\r\n" : "Connection: upgrade\r\n");
  return protocols;
}

// RFC 9110 §7.8: a server must not switch to what the request did not name.
bool SwitchesToOneOf(std::string_view asked, const http::ResponseHead& head) {
  if (!head.connection_upgrade) return false;
  bool any = false, all = true;
  for (int i = 0; i < head.field_count; i++) {
    if (head.fields[i].id != FieldId::kUpgrade) continue;
    http::ForEachElement(head.fields[i].value, [&](std::string_view protocol) {
      bool named = false;
      http::ForEachElement(asked, [&](std::string_view one) { named |= EqualsIgnoreCase(one, protocol); });
      any = true;
      all &= named;
    });
  }
  return any && all;
}

// Max-Forwards of OPTIONS and TRACE (RFC 9110 §7.6.2): what is left of it, or -1 where there is none to count. The
// smallest of several counts; one that Connection lists counts, too, or a loop could outlive it.
int64_t MaxForwards(const http::RequestHead& head) {
  constexpr int64_t kMost = 999'999'999;
  if ((head.seen & FieldBit(FieldId::kMaxForwards)) == 0) return -1;
  if (head.method != "OPTIONS" && head.method != "TRACE") return -1;
  int64_t least = -1;
  for (int i = 0; i < head.field_count; i++) {
    const Field& field = head.fields[i];
    if (field.id != FieldId::kMaxForwards || field.value.empty()) continue;
    int64_t value = 0;
    for (char c : field.value) {
      if (c < '0' || c > '9') return -1;  // no count: not ours to judge
      value = std::min(value * 10 + (c - '0'), kMost);
    }
    least = least < 0 ? value : std::min(least, value);
  }
  return least;
}

}  // namespace

bool PlanRequest(const http::RequestHead& head, const ForwardOptions& options, const ClientText& client,
                 RequestIds& ids, char* out, size_t capacity, RequestPlan& plan) {
  plan.head_bytes = static_cast<uint32_t>(head.text.size());
  plan.framing = head.framing;
  plan.body_bytes = head.framing == Framing::kLength ? head.content_length : 0;
  plan.http10 = head.minor_version == 0;
  plan.keep_alive = head.persistent();
  plan.is_head = head.method == "HEAD";
  plan.idempotent = IsIdempotent(head.method);
  bool upgrade = head.connection_upgrade && !plan.has_body() && PutUpgrade(head, nullptr);
  int64_t max_forwards = MaxForwards(head);
  plan.answer = max_forwards != 0 ? 0 : head.method == "OPTIONS" ? 200 : 501;

  const Field* host = head.Find(FieldId::kHost);
  bool keep_host = host != nullptr && host->value == head.host;  // an absolute-form target overrides it (§3.2.2)
  using Options = ForwardOptions;
  bool put_proto = options.x_forwarded_proto == Options::Proto::kSet ||
                   (options.x_forwarded_proto == Options::Proto::kKeep && !Carried(head, FieldId::kXForwardedProto));
  bool put_id = options.x_request_id == Options::RequestId::kCreate ||
                (options.x_request_id == Options::RequestId::kKeepOrCreate && !Carried(head, FieldId::kXRequestId));
  bool put_trace = options.trace != Options::Trace::kOff && !CarriesTrace(head, options.trace);
  FieldSet left_out = 0;
  if (options.x_forwarded_for != Options::For::kOff) left_out |= FieldBit(FieldId::kXForwardedFor);
  if (put_proto) left_out |= FieldBit(FieldId::kXForwardedProto);
  if (put_id) left_out |= FieldBit(FieldId::kXRequestId);
  if (put_trace) left_out |= TraceFields(options.trace);
  if (!keep_host) left_out |= FieldBit(FieldId::kHost);
  if (plan.http10) left_out |= FieldBit(FieldId::kExpect);  // it means nothing there (RFC 9110 §10.1.1)
  if (max_forwards > 0) left_out |= FieldBit(FieldId::kMaxForwards);

  HeadWriter writer(out, capacity);
  writer.RequestLine(head.method, head.path);
  writer.CopyFields(head, left_out);
  if (!keep_host) writer.Field("Host", head.host);
  if (max_forwards > 0) writer.Field("Max-Forwards", static_cast<uint64_t>(max_forwards - 1));
  if (options.x_forwarded_for != Options::For::kOff)
    PutForwardedFor(head, options.x_forwarded_for == Options::For::kAppend, client.ip, writer);
  if (put_proto) writer.Field("X-Forwarded-Proto", client.scheme);
  if (options.forwarded) PutForwarded(client, writer);
  if (put_id) PutRequestId(ids, writer);
  if (put_trace) PutTrace(options.trace, ids, writer);
  plan.protocols = head.has_hop_by_hop ? PutHopFields(head, upgrade, writer) : std::string_view();
  if (options.via) writer.Text(plan.http10 ? "Via: 1.0 fairlead\r\n" : "Via: 1.1 fairlead\r\n");
  writer.EndHead();
  plan.out_bytes = static_cast<uint32_t>(writer.size());
  return writer.ok();
}

bool PlanResponse(const http::ResponseHead& head, const RequestPlan& request, bool close_client, char* out,
                  size_t capacity, ResponsePlan& plan) {
  plan.head_bytes = static_cast<uint32_t>(head.text.size());
  plan.status = head.status;
  plan.upgrade = head.status == 101;
  if (plan.upgrade && !SwitchesToOneOf(request.protocols, head)) return false;
  plan.interim = head.status < 200 && !plan.upgrade;
  plan.framing = head.framing;
  plan.body_bytes = head.framing == Framing::kLength ? head.content_length : 0;
  plan.dechunk = request.http10 && head.framing == Framing::kChunked;
  // An answer that has no body whatever it says (RFC 9112 §6.3): what it says would mislead a client that believes it,
  // and the backend may well send the body.
  bool bodiless = head.status < 200 || head.status == 204;
  FieldSet body_fields = FieldBit(FieldId::kContentLength) | FieldBit(FieldId::kTransferEncoding);
  bool misleads = bodiless && (head.seen & body_fields) != 0;
  plan.backend_keep_alive = head.persistent() && head.framing != Framing::kUntilClose && !misleads && !plan.upgrade;
  plan.client_keep_alive = request.keep_alive && !close_client && head.framing != Framing::kUntilClose &&
                           !plan.dechunk && !plan.upgrade;
  // Persistence is said where it is not the default of the client's version (RFC 9112 §9.3).
  bool say_upgrade = plan.upgrade || (head.status == 426 && (head.seen & FieldBit(FieldId::kUpgrade)) != 0);
  std::string_view connection;
  if (plan.upgrade) {
    connection = "upgrade";
  } else if (!plan.interim && !plan.client_keep_alive) {
    connection = say_upgrade ? "upgrade, close" : "close";
  } else if (!plan.interim && request.http10) {
    connection = "keep-alive";
  } else if (say_upgrade) {
    connection = "upgrade";
  }
  FieldSet left_out = 0;
  if (misleads) left_out = body_fields;
  // HTTP/1.0 knows no codings, not even in the answer to HEAD (RFC 9112 §6.1).
  if (request.http10) left_out |= FieldBit(FieldId::kTransferEncoding) | FieldBit(FieldId::kTrailer);

  plan.out_bytes = 0;
  bool as_it_came = !head.has_hop_by_hop && connection.empty() && (head.seen & left_out) == 0 && head.minor_version == 1;
  if (as_it_came) return true;
  HeadWriter writer(out, capacity);
  writer.StatusLine(head.status, head.reason);
  writer.CopyFields(head, left_out);
  if (say_upgrade) PutUpgrade(head, &writer);
  if (!connection.empty()) writer.Field("Connection", connection);
  writer.EndHead();
  plan.out_bytes = static_cast<uint32_t>(writer.size());
  return writer.ok();
}

}  // namespace fairlead::lb
