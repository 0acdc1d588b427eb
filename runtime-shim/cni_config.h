// What a CNI call says: environment and network configuration (https://www.cni.dev/docs/spec/, 0.3.1 to 1.1.0) as one
// value. No I/O.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runtime-shim/attachments.h"
#include "runtime-shim/json_fields.h"

namespace fairlead::runtime {

// Codes of CNI's error result; those from 100 on are a plugin's own.
enum class CniCode {
  kVersion = 1, kField = 2, kUnknownContainer = 3, kEnvironment = 4, kIo = 5, kDecode = 6, kConfig = 7, kTryLater = 11,
  kNotAvailable = 50, kExhausted = 100, kConflict = 101, kDrifted = 102,
};

// Versions that are spoken, the oldest first.
const std::vector<std::string>& CniVersions();

struct CniError {
  CniCode code = CniCode::kIo;
  std::string message;
};

struct CniCall {
  std::string command, container_id, netns, interface;
  std::string version = "1.0.0";                 // of the result, as the configuration says
  AttachNetwork network;
  bool as_ipam = false;                          // below another plugin: ips and routes, no interface
  std::string pod_name;                          // K8S_POD_NAME; "": the engine did not say
  std::vector<IpAddress> wanted;                 // IP= of CNI_ARGS, runtimeConfig.ips
  MacAddress mac;                                // MAC= of CNI_ARGS, runtimeConfig.mac
  Json dns;                                      // of the configuration: handed on in the result
  Json routes;                                   // as_ipam: of the configuration; null: a default route by each gateway
  std::set<std::string> valid;                   // GC: "container/interface" of what is to stay
};

// `request` is what fairlead-cni sends: {"command", "container_id", "netns", "ifname", "args", "config"}.
struct ParsedCni {
  CniCall call;
  bool ok = true;
  CniError error;                                // when not ok
};
ParsedCni ParseCni(const Json& request);

}  // namespace fairlead::runtime
