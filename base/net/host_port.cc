#include "base/net/host_port.h"

#include <algorithm>

#include "base/strings.h"

namespace fairlead {
namespace {

constexpr size_t kMaxNameBytes = 253, kMaxLabelBytes = 63;

bool IsLabelByte(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

}  // namespace

bool IsHostName(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  const std::vector<std::string_view> labels = Split(name, '.');
  for (std::string_view label : labels)
    if (label.empty() || label.size() > kMaxLabelBytes || label.front() == '-' || label.back() == '-' || !std::ranges::all_of(label, IsLabelByte))
      return false;
  return !std::ranges::all_of(labels.back(), [](char c) { return c >= '0' && c <= '9'; });
}

StatusOr<HostPort> HostPort::Parse(std::string_view text) {
  StatusOr<SocketAddress> address = SocketAddress::Parse(text);
  if (address.ok()) return HostPort{.address = *address, .host = "", .port = 0};
  const size_t colon = text.rfind(':');
  std::string_view name = text.substr(0, colon);
  if (name.ends_with('.')) name.remove_suffix(1);
  if (!IsHostName(name)) {
    if (text.starts_with("unix:")) return address.status();
    return InvalidArgument("\"", text, "\" is no address; write 10.0.0.1:80, [::1]:80, db.example.com:5432 or unix:/path");
  }
  const auto port = colon == text.npos ? std::nullopt : ParseNumber<uint16_t>(text.substr(colon + 1));
  if (!port || *port == 0) return InvalidArgument("\"", text, "\" has no port to connect to; write ", name, ":80");
  return HostPort{.address = {}, .host = LowerAscii(name), .port = *port};
}

std::string HostPort::ToString() const { return is_name() ? Cat(host, ":", port) : address.ToString(); }

}  // namespace fairlead
