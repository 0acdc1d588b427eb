#include "base/io/stream.h"

namespace fairlead::io {

Task<IoResult> ConnectTo(Proactor& proactor, int fd, SocketAddress address) {
  co_return co_await ConnectOperation(proactor, fd, address);
}

Task<StatusOr<Stream>> Dial(Proactor& proactor, SocketAddress address, Nanos deadline, BufferGroup group) {
  StatusOr<int> fd = proactor.OpenStream(address.family());
  if (!fd.ok()) co_return fd.status();
  IoResult result = co_await WithDeadline<IoResult>(proactor, deadline, ConnectTo(proactor, *fd, address));
  if (!result.ok()) {
    proactor.Close(*fd);
    co_return result.ToStatus(Cat("connect ", address.ToString()));
  }
  co_return Stream(proactor, *fd, group);
}

}  // namespace fairlead::io
