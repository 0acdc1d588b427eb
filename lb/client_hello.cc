#include "lb/client_hello.h"

#include <algorithm>

namespace fairlead::lb {
namespace {

constexpr size_t kRecordHeader = 5, kHandshakeHeader = 4;
constexpr uint8_t kHandshakeRecord = 22, kClientHelloMessage = 1;
constexpr size_t kMaxRecord = 1 << 14;
constexpr uint16_t kServerName = 0, kAlpn = 16;
constexpr size_t kMaxHostName = 255;

// Takes numbers and vectors from the front; after the first that does not fit, nothing fits.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && rest_.empty(); }
  bool has_more() const { return ok_ && !rest_.empty(); }

  std::string_view Take(size_t bytes) {
    if (!ok_ || bytes > rest_.size()) {
      ok_ = false;
      return {};
    }
    std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }
  size_t Number(int bytes) {
    size_t n = 0;
    for (char c : Take(static_cast<size_t>(bytes))) n = n << 8 | static_cast<uint8_t>(c);
    return n;
  }
  // A vector behind its length of `length_bytes` (RFC 8446 §3.4); its size must lie within the limits.
  std::string_view Vector(int length_bytes, size_t min, size_t max) {
    size_t bytes = Number(length_bytes);
    if (bytes < min || bytes > max) ok_ = false;
    return Take(bytes);
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

bool IsHostName(std::string_view name) {
  return name.size() <= kMaxHostName && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

// One name of type host_name: the only type there is, and no type may come twice.
bool ReadServerName(std::string_view extension, ClientHello& hello) {
  Reader reader(extension);
  Reader names(reader.Vector(2, 1, 0xffff));
  size_t type = names.Number(1);
  std::string_view name = names.Vector(2, 1, 0xffff);
  if (!reader.at_end() || !names.at_end() || type != 0 || !IsHostName(name)) return false;
  hello.server_name = name;
  return true;
}

bool ReadAlpn(std::string_view extension, ClientHello& hello) {
  Reader reader(extension);
  std::string_view list = reader.Vector(2, 2, 0xffff);
  if (!reader.at_end()) return false;
  for (Reader names(list); !names.at_end();) {
    names.Vector(1, 1, 255);
    if (!names.ok()) return false;
  }
  hello.alpn = list;
  return true;
}

bool ReadExtensions(std::string_view extensions, ClientHello& hello) {
  bool seen[2] = {};
  for (Reader reader(extensions); !reader.at_end();) {
    size_t type = reader.Number(2);
    std::string_view data = reader.Vector(2, 0, 0xffff);
    if (!reader.ok()) return false;
    if (type != kServerName && type != kAlpn) continue;
    bool& before = seen[type == kAlpn];
    if (before) return false;  // RFC 8446 §4.2
    before = true;
    if (!(type == kAlpn ? ReadAlpn(data, hello) : ReadServerName(data, hello))) return false;
  }
  return true;
}

bool ReadMessage(std::string_view body, ClientHello& hello) {
  Reader reader(body);
  if (reader.Number(1) != 3) return false;            // legacy_version: SSL 3.0 and all of TLS
  reader.Take(1 + 32);                                // its minor part; random
  reader.Vector(1, 0, 32);                            // session id
  if (reader.Vector(2, 2, 0xfffe).size() % 2 != 0) return false;  // cipher suites
  reader.Vector(1, 1, 0xff);                          // compression methods
  if (!reader.has_more()) return reader.ok();         // TLS 1.2 and before: extensions may be absent
  std::string_view extensions = reader.Vector(2, 0, 0xffff);
  return reader.at_end() && ReadExtensions(extensions, hello);
}

}  // namespace

bool ClientHello::Offers(std::string_view protocol) const {
  for (Reader names(alpn); names.has_more();)
    if (names.Vector(1, 1, 255) == protocol) return true;
  return false;
}

// Records are walked until they hold the whole message, which alone is looked into.
ClientHelloParse ParseClientHello(std::string_view bytes, ClientHello& hello) {
  hello.server_name = hello.alpn = {};
  hello.joined.clear();
  constexpr auto kBad = ClientHelloParse::kBad;
  std::string_view message;                           // of the only record so far
  size_t held = 0, wanted = kHandshakeHeader;
  uint8_t header[kHandshakeHeader];
  for (size_t at = 0, records = 0; held < wanted; records++) {
    std::string_view rest = bytes.substr(at);
    auto byte = [&](size_t i) { return static_cast<uint8_t>(rest[i]); };
    if (!rest.empty() && byte(0) != kHandshakeRecord) return kBad;
    if (rest.size() > 1 && byte(1) != 3) return kBad;
    bool whole_header = rest.size() >= kRecordHeader;
    size_t length = whole_header ? size_t{byte(3)} << 8 | byte(4) : 0;
    if (whole_header && (length == 0 || length > kMaxRecord)) return kBad;  // RFC 8446 §5.1
    if (at + kRecordHeader + length > kMaxClientHelloBytes) return kBad;
    std::string_view fragment = whole_header ? rest.substr(kRecordHeader, length) : std::string_view();
    for (size_t i = 0; i < fragment.size() && held + i < kHandshakeHeader; i++) {
      header[held + i] = static_cast<uint8_t>(fragment[i]);
      if (held + i == 0 && header[0] != kClientHelloMessage) return kBad;
      if (held + i + 1 == kHandshakeHeader) {
        wanted = kHandshakeHeader + (size_t{header[1]} << 16 | size_t{header[2]} << 8 | header[3]);
        if (wanted > kMaxClientHelloBytes) return kBad;
      }
    }
    if (fragment.size() < length || !whole_header) {
      // What of the record is here may be all that is wanted: a message may end within a record.
      if (held + fragment.size() < wanted) return ClientHelloParse::kNeedMore;
    }
    if (records == 0) {
      message = fragment;
    } else {
      if (records == 1) hello.joined.assign(message);
      hello.joined.append(fragment);
    }
    held += fragment.size();
    at += kRecordHeader + length;
  }
  if (!hello.joined.empty()) message = hello.joined;
  return ReadMessage(message.substr(kHandshakeHeader, wanted - kHandshakeHeader), hello) ? ClientHelloParse::kOk : kBad;
}

}  // namespace fairlead::lb
