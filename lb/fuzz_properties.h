// What holds for every input: the fuzz targets and corpus_test.cc run the same functions. A violated property aborts.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "lb/client_hello.h"
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

}  // namespace fairlead::lb
