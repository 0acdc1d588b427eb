// Opening and asking sockets of the kernel: what UringProactor and EpollProactor do alike. `flags` is 0 or
// SOCK_NONBLOCK: io_uring waits on blocking descriptors only, epoll needs the others.
#pragma once

#include "base/io/proactor.h"

namespace fairlead::io {

StatusOr<int> OpenListener(const SocketAddress& address, const ListenOptions& options, int flags);
Status CheckListenable(const SocketAddress& address);
StatusOr<int> AdoptListenerDescriptor(int fd, int flags);
StatusOr<int> OpenStreamDescriptor(int family, int flags);
StatusOr<int> OpenUdpDescriptor(const SocketAddress& address, const UdpOptions& options, int flags);
SocketAddress LocalAddressOf(int fd);
SocketAddress PeerAddressOf(int fd);
StatusOr<PeerCredentials> CredentialsOf(int fd);

}  // namespace fairlead::io
