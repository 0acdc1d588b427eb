// Rows for tests.
#pragma once

#include <map>
#include <string>

#include "discovery/catalog.h"
#include "discovery/frame.h"
#include "discovery/replica.h"
#include "discovery/row_codec.h"

namespace fairlead::discovery {

inline EndpointRow Endpoint(const std::string& id, const std::string& service = "web", uint16_t port = 80) {
  EndpointRow row;
  row.node = "n1";
  row.engine = "docker";
  row.engine_id = id;
  row.uid = id + "@1";
  row.name = "container-" + id;
  row.state = RunState::kRunning;
  row.addresses = {{IpAddress::V4(0x0a280001), MacAddress({2, 0, 0, 0, 0, 1}), "shopnet", true}};
  ServiceEntry entry;
  entry.service = service;
  entry.ports = {{"http", port, "tcp"}};
  entry.routes = {{{"web.example"}, "/", {}}};
  entry.ip = IpAddress::V4(0x0a280001);
  entry.port = port;
  row.services = {entry};
  return row;
}

inline LeaseRow Lease(const std::string& name, bool attached = true) {
  LeaseRow row;
  row.network = "shopnet";
  row.scope = "n1";
  row.name = name;
  row.attached = attached;
  return row;
}

// An update as it arrives.
inline Update Received(const PackedUpdate& sent) {
  std::string frame;
  EncodeFrame(sent, frame);
  return *DecodeUpdate(std::string_view(frame).substr(kFrameHeaderBytes));
}

using PlainRows = std::map<std::string, Row>;

inline PlainRows Plain(const RowMap& rows) {
  PlainRows plain;
  rows.ForEach([&](const std::shared_ptr<const Row>& row) { plain.emplace(row->key, *row); });
  return plain;
}

inline PlainRows Plain(const Catalog& catalog) {
  PlainRows plain;
  catalog.ForEach([&](const std::shared_ptr<const Row>& row) { plain.emplace(row->key, *row); });
  return plain;
}

}  // namespace fairlead::discovery
