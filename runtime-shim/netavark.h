// NetavarkPlugin: the verbs of netavark's external plugins (plugin-API.md of containers/netavark, API 1.0.0) for
// fairlead-netavark. Podman tells the container's name, so every container keeps its address.
#pragma once

#include <string>

#include "runtime-shim/attachments.h"
#include "runtime-shim/json_fields.h"

namespace fairlead::runtime {

class NetavarkPlugin {
 public:
  // `dns_address` unset: containers are told no name server.
  NetavarkPlugin(Attachments& attachments, IpAddress dns_address) : attachments_(attachments), dns_address_(dns_address) {}

  // {"command": "create" | "setup" | "teardown", "netns", "input"} to {"result": {…}} or {"error": "…"}.
  io::Task<StatusOr<Json>> Handle(Json request);

 private:
  io::Task<StatusOr<Json>> Run(Json request);
  StatusOr<Json> Create(Json network) const;
  io::Task<StatusOr<Json>> Setup(Json input, std::string netns);

  Attachments& attachments_;
  const IpAddress dns_address_;
};

}  // namespace fairlead::runtime
