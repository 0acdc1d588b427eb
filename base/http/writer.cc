#include "base/http/writer.h"

#include <charconv>
#include <cstring>

#include "base/http/message.h"

namespace fairlead::http {

void HeadWriter::Text(std::string_view bytes) {
  if (bytes.size() > static_cast<size_t>(end_ - at_)) [[unlikely]] {
    overflow_ = true;
    end_ = at_;  // nothing behind a gap
    return;
  }
  if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
  at_ += bytes.size();
}

void HeadWriter::Decimal(uint64_t value) {
  char digits[20];
  char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  Text({digits, static_cast<size_t>(end - digits)});
}

void HeadWriter::Hex(uint64_t value) {
  char digits[16];
  char* end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
  Text({digits, static_cast<size_t>(end - digits)});
}

void HeadWriter::HexPadded(uint64_t value) {
  char digits[16];
  for (int i = 15; i >= 0; i--, value >>= 4) digits[i] = "0123456789abcdef"[value & 15];
  Text({digits, sizeof digits});
}

void HeadWriter::RequestLine(std::string_view method, std::string_view path) {
  Text(method);
  Text(path.starts_with('?') ? " /" : " ");
  Text(path);
  Text(" HTTP/1.1\r\n");
}

void HeadWriter::StatusLine(int status, std::string_view reason) {
  Text("HTTP/1.1 ");
  Decimal(static_cast<uint64_t>(status));
  Text(" ");
  Text(reason);
  Text("\r\n");
}

void HeadWriter::Field(std::string_view name, std::string_view value) {
  Text(name);
  Text(": ");
  Text(value);
  Text("\r\n");
}

void HeadWriter::Field(std::string_view name, uint64_t value) {
  Text(name);
  Text(": ");
  Decimal(value);
  Text("\r\n");
}

void HeadWriter::CopyFields(const Head& head, FieldSet left_out) {
  std::string_view rest = head.fields_text;
  if (head.has_hop_by_hop || (head.seen & left_out) != 0) {
    for (int i = 0; i < head.field_count; i++) {
      const http::Field& field = head.fields[i];
      bool copied = (FieldBit(field.id) & left_out) == 0 && !(head.has_hop_by_hop && head.IsHopByHop(field));
      if (copied) continue;
      size_t run = static_cast<size_t>(field.line.data() - rest.data());
      Text(rest.substr(0, run));
      rest.remove_prefix(run + field.line.size());
    }
  }
  Text(rest);
}

void HeadWriter::Reply(int status, std::string_view content_type, std::string_view body, bool close) {
  StatusLine(status, ReasonPhrase(status));
  if (!content_type.empty()) Field("Content-Type", content_type);
  Field("Content-Length", body.size());
  if (close) Field("Connection", "close");
  EndHead();
  Text(body);
}

}  // namespace fairlead::http
