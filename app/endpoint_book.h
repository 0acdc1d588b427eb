// EndpointBook: endpoints that are no containers, as their owners register them (PUT /v1/endpoints), each for a time that
// renewals extend; one that lapses is removed. On disk, so that a restart of the agent takes nothing away: what is left of
// the time goes on, and who could not renew meanwhile is given kGrace to do so. One that is registered by a host name is a
// row for each of the name's addresses, or one without address that says why. Belongs to the agent's worker.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "app/endpoint_file.h"
#include "base/dns/host_book.h"
#include "base/io/event.h"
#include "base/io/files.h"
#include "base/io/offload.h"
#include "base/io/task.h"
#include "base/net/host_port.h"
#include "base/status.h"
#include "discovery/row.h"

namespace fairlead::app {

// What an owner says of an endpoint. The fields are those of the API.
struct Registration {
  std::string service, project;           // DNS labels
  HostPort address;
  std::string name;                       // "": none but the address
  std::string protocol = "http";
  uint32_t weight = 1;
  std::vector<discovery::RouteRule> routes;
  std::string check = "";                 // as label fairlead.check; "": the port decides
  std::string branch, release, env;
  Nanos ttl = kNever;                     // kNever: until it is removed
  friend bool operator==(const Registration&, const Registration&) = default;

  std::string Service() const;            // SERVICE.PROJECT
  static StatusOr<Registration> Parse(const nlohmann::json& body);  // the error names the key and what it takes
  nlohmann::json ToJson() const;
};

class EndpointBook final : public dns::HostBook::Listener {
 public:
  static constexpr size_t kMaxEndpoints = 2'000;
  static constexpr Nanos kMinTtl = 1 * kSecond, kMaxTtl = 7 * 24 * kHour;
  static constexpr Nanos kGrace = 30 * kSecond;

  // What becomes of a registration: a row to publish, or the key of one that is gone.
  class Sink {
   public:
    virtual void Registered(discovery::EndpointRow row) = 0;
    virtual void Unregistered(const std::string& key) = 0;

   protected:
    ~Sink() = default;
  };

  EndpointBook(io::Proactor& proactor, io::Files& files, io::Offload& offload, dns::HostBook& hosts, std::string path, std::string node,
               Sink& sink);

  // Before all else: what the former agent left, told to the sink. A file that cannot be read is an error that names it.
  io::Task<Status> Load();
  // Removes what lapses, until cancelled.
  io::Task<void> Run();

  struct Entry {
    Registration what;
    std::string uid;                      // of this registration until it lapses or is removed
    Nanos since_wall = 0;
    Nanos expires = kNever;               // Proactor::Now()
    bool follows_host = false;            // its name is wanted of the HostBook
    std::map<std::string, discovery::EndpointRow> told = {};  // by key: what the sink has of it
  };
  // Each durable when it answers. True: it was there just so, and was renewed.
  io::Task<StatusOr<bool>> Put(Registration what);
  io::Task<Status> Remove(std::string service, HostPort address);  // SERVICE.PROJECT; NotFound
  const Entry* Find(const std::string& service, const HostPort& address) const;
  const Entry* FindUid(std::string_view uid) const;        // of one of its rows
  bool WouldRenew(const Registration& what) const;
  Nanos ExpiresWall(const Entry& entry) const;  // kNever: never
  size_t size() const { return entries_.size(); }

 private:
  using Key = EndpointFile::Key;

  static Key KeyOf(const Registration& what) { return {what.Service(), what.address.ToString()}; }
  std::vector<discovery::EndpointRow> RowsOf(const Entry& entry) const;
  discovery::EndpointRow RowOf(const Entry& entry) const;
  void HostChanged(const std::string& host) override;
  void Follow(Entry& entry);              // has its name asked for, and tells what is known
  void Tell(Entry& entry);                // brings the sink up to date
  void Forget(Entry& entry);
  uint64_t Note(const Key& key);          // for the disk: what it is now, or that it is gone
  io::Task<Status> Flush(uint64_t change);
  std::string Encode(const Entry& entry) const;
  StatusOr<Entry> Decode(const std::string& value) const;

  io::Proactor& proactor_;
  io::Offload& offload_;
  dns::HostBook& hosts_;
  EndpointFile file_;
  const std::string node_;
  Sink& sink_;
  std::map<Key, Entry> entries_;
  Nanos next_look_ = kNever;              // of Run(); nothing lapses before
  io::Event sooner_;                      // an expiry may be nearer than the one that Run() waits for
};

}  // namespace fairlead::app
