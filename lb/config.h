// What the balancer is told by its file: listeners, services with endpoints that are no containers, and routes.
// Names and defaults are the contract's ("Configuration").
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/io/proactor.h"
#include "base/net/host_port.h"
#include "base/net/socket_address.h"
#include "base/strings.h"
#include "base/time.h"
#include "discovery/middleware.h"
#include "discovery/row.h"

namespace fairlead::tls {
class TlsContext;
}

namespace fairlead::lb {

inline constexpr size_t kMaxListeners = 64;  // a route names its listeners by a bit each

// What a listener's clients speak. kHttps is HTTP inside TLS that ends here; kTls is passed through by its SNI.
enum class ListenerProtocol : uint8_t { kHttp, kHttps, kTcp, kTls };

struct CertificateFiles {
  std::string cert, key;          // PEM; the certificate with its chain
  std::string ocsp;               // DER response to staple; "": none
};

struct TlsSpec {                  // of a listener with kHttps
  std::vector<CertificateFiles> certificates;  // chosen by SNI; the first is the default
  std::vector<std::string> alpn = {"http/1.1"};
  std::string client_ca;          // PEM; "": clients show no certificate
  std::string min_version = "1.2";
};

// What is told of the client and of this hop to the backend (contract: lb.forwarded). Off leaves a field as it came.
struct ForwardOptions {
  enum class For : uint8_t { kAppend, kSet, kOff };
  enum class Proto : uint8_t { kSet, kKeep, kOff };  // keep: set only where the client said none
  enum class RequestId : uint8_t { kKeepOrCreate, kCreate, kOff };
  enum class Trace : uint8_t { kOff, kW3c, kB3 };    // a valid context is carried on, otherwise one is created
  For x_forwarded_for = For::kAppend;
  Proto x_forwarded_proto = Proto::kSet;
  RequestId x_request_id = RequestId::kKeepOrCreate;
  bool forwarded = false;         // append Forwarded of RFC 7239
  Trace trace = Trace::kOff;
  bool via = true;                // RFC 9110 §7.6.3
  friend bool operator==(const ForwardOptions&, const ForwardOptions&) = default;
};

// What a request may be at most; 0 body bytes: any.
struct RequestLimits {
  uint32_t head_bytes = 64 << 10;   // 431
  int fields = 100;                 // 431
  uint32_t target_bytes = 16 << 10; // 414
  int64_t body_bytes = 0;           // 413
};

struct ListenerSpec {
  std::string name;
  SocketAddress bind;
  ListenerProtocol protocol = ListenerProtocol::kHttp;
  bool accept_proxy = false;      // each connection begins with a PROXY header
  std::string service;            // SERVICE.PROJECT, of kTcp
  TlsSpec tls;
  std::shared_ptr<const tls::TlsContext> tls_context;  // of `tls`, by LoadTls() (lb/tls.h)
  Nanos request_header = 10 * kSecond;
  Nanos request_body = 30 * kSecond;
  Nanos keep_alive = 60 * kSecond;
  ForwardOptions forward;         // the same for all listeners
  RequestLimits limits;
  bool lenient = false;           // heads of old clients are brought to the strict form (base/http/lenient.h)
  bool normalize_path = false;    // runs of slashes and dot segments go before routing (base/http/path.h)
};

enum class ServiceProtocol : uint8_t { kHttp, kTcp };
enum class ProxyHeader : uint8_t { kNone, kV1, kV2 };

struct BackendTls {               // TLS towards the endpoints
  bool enabled = false;
  bool verify = true;             // chain and name
  std::string ca;                 // PEM; "": the system's store
  std::string server_name;        // SNI and the name that is verified; "": the service's name
  std::string cert, key;          // PEM; what we show
  friend bool operator==(const BackendTls&, const BackendTls&) = default;
};

struct ServiceSettings {
  ServiceProtocol protocol = ServiceProtocol::kHttp;
  ProxyHeader proxy_header = ProxyHeader::kNone;  // sent first on each connection to an endpoint
  BackendTls tls;
  std::shared_ptr<const tls::TlsContext> tls_context;  // of `tls`, by LoadTls()
  discovery::StickyCookie sticky;  // of HTTP; its name is set where it is enabled
  Nanos connect = 1 * kSecond;
  Nanos response = 30 * kSecond;  // silence of the backend
  Nanos idle = 60 * kSecond;      // of pooled connections
  Nanos tunnel = kHour;           // silence in both directions of TCP and of upgraded connections
  bool retry_connect_failure = true;
  bool retry_reset_before_response = true;
  int max_retries = 2;
  friend bool operator==(const ServiceSettings&, const ServiceSettings&) = default;
};

// Of the file. One that is written with a host name becomes one for each of the name's addresses, or one without address
// that says why there is none (app/file_endpoints.h).
struct StaticEndpoint {
  SocketAddress address;          // unset: its name has none
  uint32_t weight = 1;
  HostPort name = {};             // as it is written, where it is a host name
  std::string note = {};          // what there is to say of the name: "no name server answered in time"
};

// What an endpoint of the file is called as EndpointView::uid.
inline std::string FileEndpointUid(const StaticEndpoint& endpoint) {
  return Cat("file/", endpoint.address.is_set() ? endpoint.address.ToString() : endpoint.name.ToString());
}

struct ServiceSpec {
  std::string name;               // SERVICE.PROJECT
  ServiceSettings settings;
  std::vector<StaticEndpoint> endpoints;
  discovery::HealthCheck health_check = {};  // by the balancer of these endpoints, by agents of containers; kNone: none, or the label's
  uint32_t fail_open_below = 0;   // percent of ready endpoints (discovery/fail_open.h); 0: only when none is
};

struct RouteSpec {
  std::vector<std::string> hosts;  // lower case; "*.x" and "*" are wildcards; none where there is a rule
  std::string path_prefix = "/";
  std::string service;             // SERVICE.PROJECT
  std::vector<std::string> listeners;  // empty: all
  std::string rule;                // discovery/rule.h, valid; in place of hosts and path_prefix
  int64_t priority = 0;            // 0: by host and path, or the bytes of the rule
  std::vector<std::string> middlewares = {};  // in the order they are applied: "ID@file", "ID@docker"
};

// The TCP ports that labels may open (fairlead.listen), and at which address.
struct DynamicPortRange {
  IpAddress ip = IpAddress::V4(0);
  uint16_t low = 0, high = 0;     // 0: none
  friend bool operator==(const DynamicPortRange&, const DynamicPortRange&) = default;
};

struct Config {
  std::vector<ListenerSpec> listeners;
  std::vector<ServiceSpec> services;
  std::vector<RouteSpec> routes;
  std::vector<discovery::Middleware> middlewares;  // each id once, valid
  ForwardOptions forward;         // of all listeners
  DynamicPortRange dynamic_ports = {};
  std::string zone = "fl.internal";  // SERVICE.PROJECT.lb.ZONE is routed without any label
  std::string branch_zone = {};      // and BRANCH.PROJECT.BRANCH_ZONE (lb/branches.h); "": branches have no names
  unsigned workers = 1;
  io::IoBackend io = io::IoBackend::kAuto;
};

}  // namespace fairlead::lb
