#include "lb/field_edits.h"

namespace fairlead::lb {

using http::Field;
using http::FieldBit;
using http::FieldId;

namespace {

void Append(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

// The options of Connection that are this program's own (base/http/head.h), without the fields it lists.
void WriteConnection(const http::Head& head, std::string& out) {
  bool any = false;
  auto option = [&](bool said, std::string_view name) {
    if (!said) return;
    out += any ? ", " : "Connection: ";
    out += name;
    any = true;
  };
  option(head.connection_close, "close");
  option(head.connection_keep_alive, "keep-alive");
  option(head.connection_upgrade, "upgrade");
  option((head.seen & FieldBit(FieldId::kTe)) != 0, "TE");
  if (any) out += "\r\n";
}

// Does it end at this hop only because Connection lists it?
bool IsListed(const http::Head& head, const Field& field) {
  return head.IsHopByHop(field) && field.id != FieldId::kTe && field.id != FieldId::kUpgrade && field.id != FieldId::kConnection;
}

}  // namespace

bool FieldEdits::Replaces(std::string_view name) const {
  for (const Edit& edit : edits_)
    if (edit.how != kAdd && EqualsIgnoreCase(edit.name, name)) return true;
  return false;
}

void FieldEdits::WriteNew(std::string& out) const {
  for (size_t i = 0; i < edits_.size(); i++) {
    const Edit& edit = edits_[i];
    bool last = true;  // a later Set or Remove takes its place
    for (size_t j = i + 1; j < edits_.size() && last; j++)
      last = edits_[j].how == kAdd || !EqualsIgnoreCase(edits_[j].name, edit.name);
    if (last && edit.how != kRemove) Append(out, edit.name, edit.value);
  }
}

void FieldEdits::WriteRequest(const http::RequestHead& head, std::string_view path, std::string& out) const {
  out.clear();
  out += head.method;
  out += ' ';
  if (path.starts_with('?')) out += '/';
  out += path;
  out += head.minor_version == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n";
  const Field* host = head.Find(FieldId::kHost);
  // An absolute-form target overrides it (RFC 9112 §3.2.2), and stands for it where HTTP/1.0 has none.
  const bool other_host = host != nullptr ? host->value != head.host : !head.host.empty();
  if (other_host && !Replaces("host")) Append(out, "Host", head.host);
  for (int i = 0; i < head.field_count; i++) {
    const Field& field = head.fields[i];
    if (other_host && field.id == FieldId::kHost) continue;
    if (head.connection_lists_fields && (field.id == FieldId::kConnection || IsListed(head, field))) continue;
    if (!Replaces(field.name)) out += field.line;
  }
  if (head.connection_lists_fields) WriteConnection(head, out);
  WriteNew(out);
  out += "\r\n";
}

void FieldEdits::WriteResponse(const http::ResponseHead& head, std::string& out) const {
  out.assign(head.text.substr(0, static_cast<size_t>(head.fields_text.data() - head.text.data())));
  for (int i = 0; i < head.field_count; i++)
    if (!Replaces(head.fields[i].name)) out += head.fields[i].line;
  WriteNew(out);
  out += "\r\n";
}

}  // namespace fairlead::lb
