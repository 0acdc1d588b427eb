// IPv4 and IPv6 addresses, prefixes, MAC addresses: plain values, no I/O.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace fairlead {

class IpAddress {
 public:
  IpAddress() = default;  // unset: neither family
  static IpAddress V4(uint32_t host_order);
  static IpAddress V6(std::span<const uint8_t, 16> bytes);
  static StatusOr<IpAddress> Parse(std::string_view text);  // no zone, no brackets, no port

  bool is_set() const { return family_ != 0; }
  bool is_v4() const { return family_ == 4; }
  bool is_v6() const { return family_ == 6; }
  int bits() const { return is_v4() ? 32 : 128; }
  uint32_t v4() const;                         // host order
  std::span<const uint8_t> bytes() const { return {bytes_.data(), is_v4() ? 4u : is_v6() ? 16u : 0u}; }  // network order
  bool is_loopback() const;
  bool is_unspecified() const;
  IpAddress Plus(uint64_t n) const;            // wraps within the family
  // Distance to a higher or equal address of the same family; saturates at UINT64_MAX.
  uint64_t DistanceTo(const IpAddress& higher) const;
  std::string ToString() const;                // RFC 5952 for IPv6; "" when unset

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;

 private:
  uint8_t family_ = 0;
  std::array<uint8_t, 16> bytes_{};            // network order; IPv4 in the first four
};

struct IpAddressHash {
  size_t operator()(const IpAddress& a) const;
};

class Prefix {
 public:
  Prefix() = default;
  Prefix(IpAddress address, int length);                // host bits are cleared
  static StatusOr<Prefix> Parse(std::string_view text);  // "10.40.0.0/24"; host bits set are an error

  const IpAddress& network() const { return network_; }
  int length() const { return length_; }
  IpAddress last() const;                                // broadcast address of an IPv4 prefix
  bool Contains(const IpAddress& address) const;
  bool Overlaps(const Prefix& other) const;
  std::string ToString() const;

  friend auto operator<=>(const Prefix&, const Prefix&) = default;
  friend bool operator==(const Prefix&, const Prefix&) = default;

 private:
  IpAddress network_;
  int length_ = 0;
};

// "10.40.0.7/24": an address with the length of the prefix it lives in, as Docker writes it.
struct InterfaceAddress {
  IpAddress address;
  int prefix_length = 0;
  static StatusOr<InterfaceAddress> Parse(std::string_view text);
  Prefix prefix() const { return Prefix(address, prefix_length); }
  std::string ToString() const;
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

class MacAddress {
 public:
  MacAddress() = default;
  explicit MacAddress(std::array<uint8_t, 6> bytes) : bytes_(bytes) {}
  static StatusOr<MacAddress> Parse(std::string_view text);  // "02:42:ac:11:00:02"
  bool is_set() const { return bytes_ != std::array<uint8_t, 6>{}; }
  const std::array<uint8_t, 6>& bytes() const { return bytes_; }
  std::string ToString() const;
  friend auto operator<=>(const MacAddress&, const MacAddress&) = default;
  friend bool operator==(const MacAddress&, const MacAddress&) = default;

 private:
  std::array<uint8_t, 6> bytes_{};
};

}  // namespace fairlead
