// What holds for every input: the fuzz targets and corpus_test.cc run the same functions. A violated property aborts.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/strings.h"
#include "lb/client_hello.h"
#include "lb/field_edits.h"
#include "lb/forward_head.h"
#include "lb/proxy_header.h"

namespace fairlead::lb {

inline void CheckProxyHeader(std::string_view bytes) {
  ReceivedProxyHeader header, part;
  ProxyParse result = ParseProxyHeader(bytes, header);
  size_t read = result == ProxyParse::kOk ? header.bytes : bytes.size();
  CHECK(read <= bytes.size());
  for (size_t n = 0; n < read; n++) {  // each prefix in memory of its own: nothing behind it may be read
    ProxyParse early = ParseProxyHeader(std::string(bytes.substr(0, n)), part);
    CHECK(early == ProxyParse::kNeedMore || (early == result && result == ProxyParse::kBad));
  }
  CHECK(result != ProxyParse::kNeedMore || bytes.size() < kMaxProxyV2Bytes);
  if (result != ProxyParse::kOk) return;
  const ProxyAddresses& a = header.addresses;
  CHECK(a.source.is_set() == a.destination.is_set() && a.source.is_v4() == a.destination.is_v4());
  for (auto write : {WriteProxyV1, WriteProxyV2}) {
    char out[kMaxWrittenProxyBytes];
    size_t size = write(a, out);
    CHECK(size <= sizeof out && ParseProxyHeader({out, size}, part) == ProxyParse::kOk);
    CHECK(part.bytes == size && part.addresses == a);
  }
}

inline void CheckClientHello(std::string_view bytes) {
  ClientHello hello, part;
  ClientHelloParse result = ParseClientHello(bytes, hello);
  CHECK(result != ClientHelloParse::kNeedMore || bytes.size() < kMaxClientHelloBytes);
  for (size_t n = 0; n < bytes.size(); n += n < 300 ? 1 : 97) {
    std::string prefix(bytes.substr(0, n));
    ClientHelloParse early = ParseClientHello(prefix, part);
    CHECK(early == ClientHelloParse::kNeedMore || early == result);
    if (early == ClientHelloParse::kOk) CHECK(part.server_name == hello.server_name && part.alpn == hello.alpn);
  }
  if (result != ClientHelloParse::kOk) return;
  CHECK(hello.server_name.size() <= 255 && hello.server_name.find_first_of(std::string_view("\0:/ ", 4)) == std::string_view::npos);
  for (size_t at = 0; at < hello.alpn.size(); at += 1 + static_cast<uint8_t>(hello.alpn[at])) {
    size_t size = static_cast<uint8_t>(hello.alpn[at]);
    CHECK(size > 0 && at + size < hello.alpn.size() && hello.Offers(hello.alpn.substr(at + 1, size)));
  }
}

// Was `name` listed by a Connection line of `came`? Split here once more, so as not to ask whoever is checked.
inline bool ListedInConnection(const http::Head& came, std::string_view name) {
  bool listed = false;
  for (int i = 0; i < came.field_count; i++) {
    if (!EqualsIgnoreCase(came.fields[i].name, "connection")) continue;
    std::string_view rest = came.fields[i].value;
    while (!rest.empty()) {
      std::string_view option = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(option.size() + 1, rest.size()));
      listed |= EqualsIgnoreCase(Trim(option), name);
    }
  }
  return listed;
}

// Of what ended at this hop (RFC 9110 §7.6.1) nothing was sent on, but what is said anew for the next one. `ours`: fields
// that we write ourselves; framing and Host cannot be listed away.
inline void CheckNothingHopByHop(const http::Head& came, const http::Head& sent, http::FieldSet ours) {
  using enum http::FieldId;
  ours |= http::FieldBit(kHost) | http::FieldBit(kContentLength) | http::FieldBit(kTransferEncoding) |
          http::FieldBit(kConnection) | http::FieldBit(kTe) | http::FieldBit(kUpgrade);
  for (int i = 0; i < sent.field_count; i++) {
    const http::Field& field = sent.fields[i];
    CHECK(field.id != kKeepAlive && field.id != kProxyConnection);
    CHECK(field.id != kTe || field.value == "trailers");
    CHECK((http::FieldBit(field.id) & ours) != 0 || !ListedInConnection(came, field.name));
  }
}

// What middlewares change is what they were told to change: framing, host and the connection's fate stay, and nothing
// that the client lists in Connection takes away what is set.
inline void CheckEditedRequest(const http::RequestHead& head) {
  static http::RequestHead edited;
  FieldEdits edits;
  edits.Set("X-Mine", "1");
  edits.Remove("Cookie");
  edits.Add("Vary", "Origin");
  edits.Set("X-Mine", "2");
  std::string out;
  edits.WriteRequest(head, "/edited?q", out);
  http::ParseResult again = http::ParseRequest(out, edited);
  if (again == http::ParseResult::kTooManyFields && head.field_count > http::kMaxFields - 4) return;
  CHECK(again == http::ParseResult::kOk && edited.text.size() == out.size() && edited.minor_version == head.minor_version);
  CHECK(edited.method == head.method && edited.host == head.host && edited.path == "/edited?q");
  CHECK(edited.framing == head.framing && edited.content_length == head.content_length);
  CHECK(edited.persistent() == head.persistent() && edited.connection_upgrade == head.connection_upgrade);
  CHECK(edited.Find("cookie") == nullptr);
  int mine = 0;
  for (int i = 0; i < edited.field_count; i++)
    if (EqualsIgnoreCase(edited.fields[i].name, "x-mine")) {
      CHECK(edited.fields[i].value == "2" && !edited.IsHopByHop(edited.fields[i]));
      ++mine;
    }
  CHECK(mine == 1);
}

// The first two bytes choose the options; the rest is the client's request.
inline void CheckForwardedRequest(std::string_view bytes) {
  static http::RequestHead head, sent;
  if (bytes.size() < 2) return;
  auto pick = [&](int shift, unsigned options) { return ((static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1])) >> shift) % options; };
  const ForwardOptions options = {.x_forwarded_for = static_cast<ForwardOptions::For>(pick(0, 3)),
                                  .x_forwarded_proto = static_cast<ForwardOptions::Proto>(pick(2, 3)),
                                  .x_request_id = static_cast<ForwardOptions::RequestId>(pick(4, 3)),
                                  .forwarded = pick(6, 2) == 1,
                                  .trace = static_cast<ForwardOptions::Trace>(pick(7, 3)),
                                  .via = pick(9, 2) == 1};
  const ClientText client = {pick(10, 2) == 1 ? "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff" : "192.0.2.7", "https"};
  if (http::ParseRequest(bytes.substr(2), head) != http::ParseResult::kOk || head.path.empty()) return;
  CheckEditedRequest(head);
  SeededRandom random(1);
  RequestIds ids(random);
  std::string out(head.text.size() + head.host.size() + client.ip.size() + kAddedBytes, '\0');  // as the session reserves
  RequestPlan plan;
  CHECK(PlanRequest(head, options, client, ids, out.data(), out.size(), plan));
  out.resize(plan.out_bytes);

  http::ParseResult again = http::ParseRequest(out, sent);
  if (again == http::ParseResult::kTooManyFields && head.field_count > http::kMaxFields - 12) return;
  CHECK(again == http::ParseResult::kOk && sent.text.size() == out.size() && sent.minor_version == 1);
  CHECK(sent.method == head.method && sent.host == head.host);
  CHECK(sent.path == (head.path.starts_with('?') ? Cat("/", head.path) : head.path));
  CHECK(sent.framing == head.framing && sent.content_length == head.content_length);
  CHECK(!sent.connection_close && !sent.connection_keep_alive);
  CHECK(sent.connection_upgrade == !plan.protocols.empty() && !(sent.connection_upgrade && plan.has_body()));
  CHECK(plan.protocols.empty() || sent.Find(http::FieldId::kUpgrade)->value == plan.protocols);
  using enum http::FieldId;
  CheckNothingHopByHop(head, sent,
                       http::FieldBit(kXForwardedFor) | http::FieldBit(kXForwardedProto) | http::FieldBit(kXRequestId) |
                           http::FieldBit(kVia) | http::FieldBit(kForwarded) | http::FieldBit(kMaxForwards) |
                           http::FieldBit(kTraceparent) | http::FieldBit(kTracestate) | http::FieldBit(kB3) |
                           http::FieldBit(kB3TraceId) | http::FieldBit(kB3SpanId) | http::FieldBit(kB3ParentSpanId));
  const http::Field* id = sent.Find(kXRequestId);
  CHECK(options.x_request_id == ForwardOptions::RequestId::kOff || id != nullptr);
  if (options.x_request_id == ForwardOptions::RequestId::kCreate)
    CHECK(id->value.size() == 32 && id->value.find_first_not_of("0123456789abcdef") == id->value.npos);
  CHECK(!options.via || sent.fields[sent.field_count - 1].line ==
                            (head.minor_version == 0 ? "Via: 1.0 fairlead\r\n" : "Via: 1.1 fairlead\r\n"));
  if (options.x_forwarded_for != ForwardOptions::For::kOff) {
    int lines = 0;
    for (int i = 0; i < sent.field_count; i++) {
      if (sent.fields[i].id != http::FieldId::kXForwardedFor) continue;
      lines++;
      std::string_view value = sent.fields[i].value;
      CHECK(value == client.ip || (options.x_forwarded_for == ForwardOptions::For::kAppend && value.ends_with(Cat(", ", client.ip))));
    }
    CHECK(lines == 1);
  }
}

// The first byte chooses what was asked; the rest is the backend's answer.
inline void CheckForwardedResponse(std::string_view bytes) {
  static http::ResponseHead head, sent;
  if (bytes.empty()) return;
  auto chosen = [&](int bit) { return (static_cast<uint8_t>(bytes[0]) >> bit & 1) != 0; };
  RequestPlan request;
  request.is_head = chosen(0);
  request.http10 = chosen(1);
  request.keep_alive = chosen(2);
  if (chosen(3)) request.protocols = "websocket, x/1";
  if (http::ParseResponse(bytes.substr(1), request.is_head, head) != http::ParseResult::kOk) return;
  std::string out(head.text.size() + kAddedBytes, '\0');
  ResponsePlan plan;
  if (!PlanResponse(head, request, chosen(4), out.data(), out.size(), plan)) {
    CHECK(head.status == 101);
    return;
  }
  out = plan.out_bytes == 0 ? std::string(head.text) : out.substr(0, plan.out_bytes);
  http::ParseResult again = http::ParseResponse(out, request.is_head, sent);
  if (again == http::ParseResult::kTooManyFields && head.field_count > http::kMaxFields - 2) return;
  CHECK(again == http::ParseResult::kOk && sent.text.size() == out.size());
  CHECK(sent.status == head.status && sent.reason == head.reason);
  CheckNothingHopByHop(head, sent, 0);
  CHECK(plan.dechunk ? sent.framing == http::Framing::kUntilClose : sent.framing == head.framing);
  CHECK(plan.dechunk || plan.framing != http::Framing::kLength || sent.content_length == head.content_length);
  CHECK(plan.upgrade == (sent.status == 101) && plan.interim == (sent.status < 200 && sent.status != 101));
  if (plan.interim || plan.upgrade) {
    CHECK(!sent.connection_close);
    return;
  }
  CHECK(plan.client_keep_alive == (request.http10 ? sent.connection_keep_alive : !sent.connection_close));
  CHECK(!(plan.client_keep_alive && sent.framing == http::Framing::kUntilClose));
}

}  // namespace fairlead::lb
