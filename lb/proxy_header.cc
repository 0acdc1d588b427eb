#include "lb/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

namespace fairlead::lb {
namespace {

constexpr std::string_view kV1 = "PROXY ";
constexpr std::string_view kV2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kV2FixedBytes = 16;

enum Family : uint8_t { kUnspec = 0, kInet = 1, kInet6 = 2, kUnix = 3 };
constexpr uint8_t kStream = 1;

uint16_t Read16(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]));
}

// Up to the next space, which is dropped; the last word goes to the end.
std::string_view Word(std::string_view& rest) {
  size_t space = rest.find(' ');
  std::string_view word = rest.substr(0, space);
  rest.remove_prefix(space == rest.npos ? rest.size() : space + 1);
  return word;
}

// §2.1: IPv4 in dotted decimal, IPv6 in groups of hexadecimal digits only.
std::optional<IpAddress> Address(std::string_view word, bool v6) {
  if (word.find_first_not_of(v6 ? "0123456789abcdefABCDEF:" : "0123456789.") != word.npos) return {};
  StatusOr<IpAddress> parsed = IpAddress::Parse(word);
  if (!parsed.ok() || parsed->is_v6() != v6) return {};
  return *parsed;
}

// Decimal, without leading zeros.
std::optional<uint16_t> Port(std::string_view word) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), port);
  if (error != std::errc() || end != word.data() + word.size() || (word.size() > 1 && word.front() == '0')) return {};
  return port;
}

ProxyParse ParseV1(std::string_view bytes, ReceivedProxyHeader& header) {
  std::string_view searched = bytes.substr(0, kMaxProxyV1Bytes);
  size_t end = searched.find('\r');
  if (end == searched.npos || end + 1 == searched.size())
    return bytes.size() >= kMaxProxyV1Bytes || searched.find('\n') != searched.npos ? ProxyParse::kBad
                                                                                     : ProxyParse::kNeedMore;
  if (bytes[end + 1] != '\n') return ProxyParse::kBad;
  std::string_view rest = bytes.substr(0, end);
  if (rest.find('\n') != rest.npos) return ProxyParse::kBad;
  rest.remove_prefix(kV1.size());
  header.bytes = end + 2;
  std::string_view protocol = Word(rest);
  if (protocol == "UNKNOWN") return ProxyParse::kOk;  // what follows up to CRLF is to be ignored
  if (protocol != "TCP4" && protocol != "TCP6") return ProxyParse::kBad;
  bool v6 = protocol == "TCP6";
  std::optional<IpAddress> source = Address(Word(rest), v6), destination = Address(Word(rest), v6);
  std::optional<uint16_t> source_port = Port(Word(rest)), destination_port = Port(rest);
  if (!source || !destination || !source_port || !destination_port) return ProxyParse::kBad;
  header.addresses = {*source, *destination, *source_port, *destination_port};
  return ProxyParse::kOk;
}

bool TlvsAddUp(std::string_view tlvs) {
  while (!tlvs.empty()) {
    if (tlvs.size() < 3 || tlvs.size() - 3 < Read16(tlvs, 1)) return false;
    tlvs.remove_prefix(3 + size_t{Read16(tlvs, 1)});
  }
  return true;
}

ProxyParse ParseV2(std::string_view bytes, ReceivedProxyHeader& header) {
  if (bytes.size() > 12 && (bytes[12] & 0xf0) != 0x20) return ProxyParse::kBad;
  if (bytes.size() > 12 && (bytes[12] & 0x0f) > 1) return ProxyParse::kBad;
  if (bytes.size() < kV2FixedBytes) return ProxyParse::kNeedMore;
  bool local = (bytes[12] & 0x0f) == 0;
  auto family = static_cast<uint8_t>(bytes[13]) >> 4, transport = bytes[13] & 0x0f;
  size_t size = Read16(bytes, 14);
  if (kV2FixedBytes + size > kMaxProxyV2Bytes) return ProxyParse::kBad;
  constexpr size_t kAddressBytes[] = {0, 12, 36, 216};
  if (!local && (family > kUnix || transport > 2 || size < kAddressBytes[family])) return ProxyParse::kBad;
  if (bytes.size() < kV2FixedBytes + size) return ProxyParse::kNeedMore;
  header.bytes = kV2FixedBytes + size;
  if (local) return ProxyParse::kOk;  // the rest is to be discarded, whatever it is
  std::string_view block = bytes.substr(kV2FixedBytes, size);
  // Of UNSPEC the whole block has no meaning that we know.
  if (family != kUnspec && !TlvsAddUp(block.substr(kAddressBytes[family]))) return ProxyParse::kBad;
  if (transport != kStream || (family != kInet && family != kInet6)) return ProxyParse::kOk;
  auto address = [&](size_t at) {
    const auto* p = reinterpret_cast<const uint8_t*>(block.data() + at);
    return family == kInet6 ? IpAddress::V6(std::span<const uint8_t, 16>(p, 16))
                            : IpAddress::V4(uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3]);
  };
  size_t address_bytes = family == kInet6 ? 16 : 4;
  header.addresses = {address(0), address(address_bytes), Read16(block, 2 * address_bytes),
                      Read16(block, 2 * address_bytes + 2)};
  return ProxyParse::kOk;
}

// 16 bytes; IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
std::array<uint8_t, 16> AsV6(const IpAddress& ip) {
  std::array<uint8_t, 16> bytes{};
  if (ip.is_v4()) bytes[10] = bytes[11] = 0xff;
  std::ranges::copy(ip.bytes(), bytes.begin() + (ip.is_v4() ? 12 : 0));
  return bytes;
}

bool Known(const ProxyAddresses& a) { return a.source.is_set() && a.destination.is_set(); }
bool BothV4(const ProxyAddresses& a) { return a.source.is_v4() && a.destination.is_v4(); }

class Writer {
 public:
  explicit Writer(char* out) : begin_(out), at_(out) {}
  void Text(std::string_view text) { at_ = std::ranges::copy(text, at_).out; }
  void Byte(uint8_t byte) { *at_++ = static_cast<char>(byte); }
  void Number16(uint16_t n) {
    Byte(static_cast<uint8_t>(n >> 8));
    Byte(static_cast<uint8_t>(n));
  }
  void Bytes(std::span<const uint8_t> bytes) {
    for (uint8_t byte : bytes) Byte(byte);
  }
  void Decimal(uint16_t n) { at_ = std::to_chars(at_, at_ + 5, n).ptr; }
  // Version 1 allows groups of hexadecimal digits only, where inet_ntop shows a mapped address in dotted form.
  void AddressText(const IpAddress& ip, bool v4) {
    char text[INET6_ADDRSTRLEN];
    if (v4) {
      inet_ntop(AF_INET, ip.bytes().data(), text, sizeof text);
      return Text(text);
    }
    std::array<uint8_t, 16> bytes = AsV6(ip);
    if (ip.is_v6() && inet_ntop(AF_INET6, bytes.data(), text, sizeof text) != nullptr && std::strchr(text, '.') == nullptr)
      return Text(text);
    for (size_t i = 0; i < 16; i += 2) {
      if (i != 0) Byte(':');
      at_ = std::to_chars(at_, at_ + 4, bytes[i] << 8 | bytes[i + 1], 16).ptr;
    }
  }
  size_t size() const { return static_cast<size_t>(at_ - begin_); }

 private:
  char* begin_;
  char* at_;
};

}  // namespace

ProxyParse ParseProxyHeader(std::string_view bytes, ReceivedProxyHeader& header) {
  header = {};
  for (std::string_view start : {kV1, kV2}) {
    size_t common = std::min(start.size(), bytes.size());
    if (bytes.substr(0, common) != start.substr(0, common)) continue;
    if (common < start.size()) return ProxyParse::kNeedMore;
    return start == kV1 ? ParseV1(bytes, header) : ParseV2(bytes, header);
  }
  return ProxyParse::kBad;
}

size_t WriteProxyV1(const ProxyAddresses& addresses, char* out) {
  Writer writer(out);
  writer.Text(kV1);
  if (!Known(addresses)) {
    writer.Text("UNKNOWN\r\n");
    return writer.size();
  }
  bool v4 = BothV4(addresses);
  writer.Text(v4 ? "TCP4 " : "TCP6 ");
  writer.AddressText(addresses.source, v4);
  writer.Byte(' ');
  writer.AddressText(addresses.destination, v4);
  writer.Byte(' ');
  writer.Decimal(addresses.source_port);
  writer.Byte(' ');
  writer.Decimal(addresses.destination_port);
  writer.Text("\r\n");
  return writer.size();
}

size_t WriteProxyV2(const ProxyAddresses& addresses, char* out) {
  Writer writer(out);
  writer.Text(kV2);
  writer.Byte(0x21);  // version 2, PROXY
  if (!Known(addresses)) {
    writer.Byte(kUnspec);
    writer.Number16(0);
    return writer.size();
  }
  bool v4 = BothV4(addresses);
  writer.Byte(static_cast<uint8_t>((v4 ? kInet : kInet6) << 4 | kStream));
  writer.Number16(v4 ? 12 : 36);
  for (const IpAddress* ip : {&addresses.source, &addresses.destination}) {
    if (v4) {
      writer.Bytes(ip->bytes());
    } else {
      writer.Bytes(AsV6(*ip));
    }
  }
  writer.Number16(addresses.source_port);
  writer.Number16(addresses.destination_port);
  return writer.size();
}

}  // namespace fairlead::lb
