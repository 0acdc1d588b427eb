// AttachmentStore: which container and interface has which addresses, for the engines whose protocol has no network
// objects (CNI, netavark). It lets DEL and GC work after a restart of the agent. One row for each attachment in a SQLite
// file of its own, beside the Docker plugin's. A crash of the host may lose the last ones, whose containers it ended, too.
// Calls block: use them on the offload thread.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"
#include "dataplane/dataplane.h"

struct sqlite3;

namespace fairlead::runtime {

struct AttachmentRecord {
  std::string container_id = {};
  std::string interface = {};                    // inside: "eth0"
  std::string netns = {};                        // path of its namespace
  std::string network = {};                      // of the lease key
  std::string name = {};                         // of the lease key
  std::vector<InterfaceAddress> addresses = {};
  MacAddress mac = {};
  bool addresses_only = false;                   // another plugin makes the interface: we are its IPAM
  std::string id() const { return container_id + "/" + interface; }
  friend bool operator==(const AttachmentRecord&, const AttachmentRecord&) = default;
};

class AttachmentStore {
 public:
  // Opens or makes the file; an error names it and the way out.
  static StatusOr<std::unique_ptr<AttachmentStore>> Open(const std::string& path);
  ~AttachmentStore();

  StatusOr<std::vector<AttachmentRecord>> Load();
  Status Put(const AttachmentRecord& attachment);  // outlives the process when it returns
  Status Remove(const std::string& id);            // gone is fine

  // Networks that another engine has removed while attachments were on their bridge, by name.
  StatusOr<std::vector<dataplane::NetworkSpec>> LoadNetworks();
  Status PutNetwork(const dataplane::NetworkSpec& network);
  Status RemoveNetwork(const std::string& name);

 private:
  AttachmentStore(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  template <class T>
  StatusOr<std::vector<T>> LoadAll(const char* select, StatusOr<T> (*read)(const nlohmann::json&));
  Status Write(const char* sql, const std::string& key, const std::string& body = "");
  Status Failure(std::string_view what) const;

  sqlite3* db_;
  std::string path_;
};

}  // namespace fairlead::runtime
