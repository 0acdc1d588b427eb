// Resolver asks name servers for the addresses of a host. One family at a time, so that a silent half of the answer does
// not make the other half a failure. AresResolver asks real servers; tests script one.
#pragma once

#include <string>
#include <vector>

#include "base/io/task.h"
#include "base/net/ip_address.h"
#include "base/time.h"

namespace fairlead::dns {

enum class Family : uint8_t { kV4, kV6 };

struct HostAnswer {
  // kNone: the name is there and has no address of this family. kGone: there is no such name. kFailed: nobody could say.
  enum class Outcome : uint8_t { kFound, kNone, kGone, kFailed };
  Outcome outcome = Outcome::kFailed;
  std::vector<IpAddress> addresses;  // of kFound, as they came
  Nanos ttl = 0;                     // of kFound: the shortest of the answer and of the aliases that led to it
  std::string reason;                // of the others, for people
};

class Resolver {
 public:
  virtual ~Resolver() = default;
  virtual io::Task<HostAnswer> Resolve(std::string host, Family family) = 0;
};

}  // namespace fairlead::dns
