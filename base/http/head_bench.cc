// Cost of a head: parse, and write what goes on. The requests are those of a load generator, a browser and an API
// client; the responses those of a small service and of one behind a framework.
#include <benchmark/benchmark.h>

#include <string>

#include "base/http/head.h"
#include "base/http/writer.h"

namespace fairlead::http {
namespace {

const std::string kSmallRequest =
    "GET /api/v1/items/42 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: wrk\r\nAccept: */*\r\n\r\n";

const std::string kBrowserRequest =
    "GET /products/list?category=books&page=3 HTTP/1.1\r\n"
    "Host: shop.example.com\r\n"
    "Connection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=4f9c1d2e8b7a6f5e4d3c2b1a0f9e8d7c; theme=dark; consent=yes\r\n"
    "Referer: https://shop.example.com/products\r\n"
    "Upgrade-Insecure-Requests: 1\r\n\r\n";

const std::string kPost =
    "POST /api/v1/orders HTTP/1.1\r\nHost: shop.example.com:8443\r\nUser-Agent: Go-http-client/1.1\r\n"
    "Content-Length: 512\r\nContent-Type: application/json\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdef\r\n"
    "X-Request-Id: 0123456789abcdef0123456789abcdef\r\nX-Forwarded-For: 10.1.2.3\r\nAccept-Encoding: gzip\r\n\r\n";

const std::string kSmallResponse =
    "HTTP/1.1 200 OK\r\nContent-Length: 128\r\nContent-Type: text/plain\r\nConnection: keep-alive\r\n\r\n";

const std::string kFrameworkResponse =
    "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: gunicorn\r\n"
    "Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\nVary: Accept-Encoding, Cookie\r\n"
    "Cache-Control: no-cache, no-store, must-revalidate\r\nX-Frame-Options: DENY\r\n"
    "X-Content-Type-Options: nosniff\r\nSet-Cookie: session=4f9c1d2e8b7a6f5e4d3c2b1a; Path=/; HttpOnly\r\n\r\n";

void Request(benchmark::State& state, const std::string& bytes) {
  RequestHead head;
  for (auto _ : state) {
    benchmark::DoNotOptimize(ParseRequest(bytes, head));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK_CAPTURE(Request, small, kSmallRequest);
BENCHMARK_CAPTURE(Request, browser, kBrowserRequest);
BENCHMARK_CAPTURE(Request, post, kPost);

void Response(benchmark::State& state, const std::string& bytes) {
  ResponseHead head;
  for (auto _ : state) {
    benchmark::DoNotOptimize(ParseResponse(bytes, false, head));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK_CAPTURE(Response, small, kSmallResponse);
BENCHMARK_CAPTURE(Response, framework, kFrameworkResponse);

void WriteRequest(benchmark::State& state, const std::string& bytes) {
  RequestHead head;
  ParseRequest(bytes, head);
  char out[4096];
  for (auto _ : state) {
    HeadWriter writer(out, sizeof out);
    writer.RequestLine(head.method, head.path);
    writer.CopyFields(head, FieldBit(FieldId::kXForwardedProto));
    writer.Field("X-Forwarded-Proto", "http");
    writer.EndHead();
    benchmark::DoNotOptimize(writer.size());
    benchmark::ClobberMemory();
  }
}
BENCHMARK_CAPTURE(WriteRequest, small, kSmallRequest);
BENCHMARK_CAPTURE(WriteRequest, browser, kBrowserRequest);

void Chunks(benchmark::State& state) {
  std::string bytes;
  for (int i = 0; i < 16; i++) bytes += "400\r\n" + std::string(1024, 'x') + "\r\n";
  bytes += "0\r\n\r\n";
  for (auto _ : state) {
    ChunkedBody body;
    benchmark::DoNotOptimize(body.Feed(bytes));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(Chunks);

}  // namespace
}  // namespace fairlead::http
