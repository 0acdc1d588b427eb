#include "lb/backend.h"

namespace fairlead::lb {

io::Task<StatusOr<io::Stream>> DialEndpoint(io::Proactor& proactor, const Endpoint& endpoint,
                                            const ServiceSettings& /*settings*/, const ClientFacts& /*client*/,
                                            Nanos deadline) {
  return io::Dial(proactor, endpoint.view().address, deadline, io::BufferGroup::kLarge);
}

}  // namespace fairlead::lb
