#include "base/net/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/check.h"

namespace fairlead {

IpAddress IpAddress::V4(uint32_t host_order) {
  IpAddress a;
  a.family_ = 4;
  for (size_t i = 0; i < 4; i++) a.bytes_[i] = static_cast<uint8_t>(host_order >> (24 - 8 * i));
  return a;
}

IpAddress IpAddress::V6(std::span<const uint8_t, 16> bytes) {
  IpAddress a;
  a.family_ = 6;
  std::ranges::copy(bytes, a.bytes_.begin());
  return a;
}

StatusOr<IpAddress> IpAddress::Parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN + 1];
  IpAddress a;
  if (text.size() < sizeof buffer) {
    buffer[text.copy(buffer, text.size())] = 0;
    if (inet_pton(AF_INET, buffer, a.bytes_.data()) == 1) return a.family_ = 4, a;
    if (inet_pton(AF_INET6, buffer, a.bytes_.data()) == 1) return a.family_ = 6, a;
  }
  return InvalidArgument("\"", text, "\" is no IP address");
}

uint32_t IpAddress::v4() const {
  CHECK(is_v4());
  return uint32_t{bytes_[0]} << 24 | uint32_t{bytes_[1]} << 16 | uint32_t{bytes_[2]} << 8 | bytes_[3];
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[0] == 127;
  return is_v6() && bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t b) { return b == 0; });
}

bool IpAddress::is_unspecified() const {
  return std::ranges::all_of(bytes_, [](uint8_t b) { return b == 0; });
}

IpAddress IpAddress::Plus(uint64_t n) const {
  IpAddress sum = *this;
  for (size_t i = bytes().size(); i-- > 0 && n != 0;) {
    n += sum.bytes_[i];
    sum.bytes_[i] = static_cast<uint8_t>(n);
    n >>= 8;
  }
  return sum;
}

uint64_t IpAddress::DistanceTo(const IpAddress& higher) const {
  CHECK(family_ == higher.family_ && *this <= higher);
  unsigned __int128 from = 0, to = 0;
  for (uint8_t b : bytes()) from = from << 8 | b;
  for (uint8_t b : higher.bytes()) to = to << 8 | b;
  unsigned __int128 d = to - from;
  return d > UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(d);
}

std::string IpAddress::ToString() const {
  if (!is_set()) return {};
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
}

size_t IpAddressHash::operator()(const IpAddress& a) const {
  uint64_t words[2] = {};
  std::memcpy(words, a.bytes().data(), a.bytes().size());
  uint64_t h = (words[0] ^ 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
  h = (h ^ (h >> 32) ^ words[1]) * 0x94d049bb133111eb;
  return h ^ (h >> 29);
}

namespace {

// `address` with all bits from `length` on set to `bit`.
IpAddress FillHostBits(const IpAddress& address, int length, bool bit) {
  std::array<uint8_t, 16> bytes{};
  std::ranges::copy(address.bytes(), bytes.begin());
  for (int i = length; i < address.bits(); i++) {
    auto mask = static_cast<uint8_t>(0x80 >> (i % 8));
    uint8_t& byte = bytes[static_cast<size_t>(i / 8)];
    byte = static_cast<uint8_t>(bit ? byte | mask : byte & ~mask);
  }
  if (address.is_v6()) return IpAddress::V6(bytes);
  return IpAddress::V4(uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3]);
}

StatusOr<InterfaceAddress> ParseSlash(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == text.npos) return InvalidArgument("\"", text, "\" has no prefix length, as in 10.40.0.0/24");
  ASSIGN_OR_RETURN(IpAddress address, IpAddress::Parse(text.substr(0, slash)));
  auto length = ParseNumber<int>(text.substr(slash + 1));
  if (!length || *length > address.bits())
    return InvalidArgument("\"", text, "\" needs a prefix length from 0 to ", address.bits());
  return InterfaceAddress{address, *length};
}

}  // namespace

Prefix::Prefix(IpAddress address, int length) : network_(FillHostBits(address, length, false)), length_(length) {
  CHECK(address.is_set() && length >= 0 && length <= address.bits());
}

StatusOr<Prefix> Prefix::Parse(std::string_view text) {
  ASSIGN_OR_RETURN(InterfaceAddress parsed, ParseSlash(text));
  Prefix prefix(parsed.address, parsed.prefix_length);
  if (prefix.network() != parsed.address)
    return InvalidArgument("\"", text, "\" has host bits set; the prefix is ", prefix.ToString());
  return prefix;
}

IpAddress Prefix::last() const { return FillHostBits(network_, length_, true); }

bool Prefix::Contains(const IpAddress& address) const {
  return address.bits() == network_.bits() && address.is_set() && FillHostBits(address, length_, false) == network_;
}

bool Prefix::Overlaps(const Prefix& other) const { return Contains(other.network_) || other.Contains(network_); }

std::string Prefix::ToString() const { return Cat(network_.ToString(), "/", length_); }

StatusOr<InterfaceAddress> InterfaceAddress::Parse(std::string_view text) { return ParseSlash(text); }
std::string InterfaceAddress::ToString() const { return Cat(address.ToString(), "/", prefix_length); }

StatusOr<MacAddress> MacAddress::Parse(std::string_view text) {
  std::array<uint8_t, 6> bytes;
  auto bad = [&] { return InvalidArgument("\"", text, "\" is no MAC address, as in 02:42:ac:11:00:02"); };
  if (text.size() != 17) return bad();
  for (size_t i = 0; i < 6; i++) {
    if (i > 0 && text[3 * i - 1] != ':') return bad();
    const char* at = text.data() + 3 * i;
    auto [end, error] = std::from_chars(at, at + 2, bytes[i], 16);
    if (error != std::errc{} || end != at + 2) return bad();
  }
  return MacAddress(bytes);
}

std::string MacAddress::ToString() const {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (uint8_t b : bytes_) {
    if (!text.empty()) text += ':';
    text += kHex[b >> 4];
    text += kHex[b & 15];
  }
  return text;
}

}  // namespace fairlead
