// Test fixture (linked by tests only): a host namespace with a bridge driver, and containers that an engine would make:
// namespaces that take an attachment's container side, name it eth0 and give it its addresses.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/net/netns_fixture.h"
#include "base/net/socket_address.h"
#include "dataplane/dataplane.h"

namespace fairlead::dataplane {

inline EndpointSpec MakeEndpoint(int n, const std::string& network_id) {
  const char* digits = "0123456789abcdef";
  EndpointSpec endpoint;
  endpoint.id = std::string(64, 'e');
  for (int i = 0; i < 4; ++i) endpoint.id[static_cast<size_t>(11 - i)] = digits[(n >> (4 * i)) & 15];
  endpoint.network_id = network_id;
  endpoint.addresses = {{IpAddress::V4(0x0a280000 + static_cast<uint32_t>(n)), 24},
                        {IpAddress::Parse("fd00:40::").value().Plus(static_cast<uint64_t>(n)), 64}};
  endpoint.mac = MacAddress({0x02, 0x40, 0, 0, static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)});
  return endpoint;
}

// A datagram socket; belongs to the namespace that it was opened in.
class UdpSocket {
 public:
  static StatusOr<std::unique_ptr<UdpSocket>> Open(const SocketAddress& local) {
    std::unique_ptr<UdpSocket> made(new UdpSocket(socket(local.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)));
    if (bind(made->fd_, local.raw(), local.size()) != 0) return ErrnoStatus(errno, Cat("bind ", local.ToString()));
    return made;
  }
  ~UdpSocket() { close(fd_); }

  SocketAddress local() const {
    sockaddr_storage storage;
    socklen_t length = sizeof storage;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &length);
    return SocketAddress::FromKernel(reinterpret_cast<sockaddr*>(&storage), length);
  }
  void Send(std::string_view text, const SocketAddress& to) { sendto(fd_, text.data(), text.size(), 0, to.raw(), to.size()); }
  // Who a datagram that arrives within the time came from.
  std::optional<SocketAddress> Receive(int timeout_ms) {
    pollfd readable{fd_, POLLIN, 0};
    if (poll(&readable, 1, timeout_ms) != 1) return std::nullopt;
    char text[64];
    sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (recvfrom(fd_, text, sizeof text, 0, reinterpret_cast<sockaddr*>(&storage), &length) < 0) return std::nullopt;
    return SocketAddress::FromKernel(reinterpret_cast<sockaddr*>(&storage), length);
  }

 private:
  explicit UdpSocket(int fd) : fd_(fd) {}
  const int fd_;
};

// Asks and answers over two sockets, and says whom the asker heard. A datagram that is lost (carrier still coming up,
// neighbour not resolved) is sent again, as any UDP client does; nothing within 5 s means no way through.
inline std::string Ask(UdpSocket& asker, UdpSocket& server) {
  for (int tries = 0; tries < 100; ++tries) {
    asker.Send("question", server.local());
    if (auto from = server.Receive(25)) server.Send("answer", *from);
    if (auto from = asker.Receive(25)) return from->ToString();
  }
  return "nobody";
}

class Container {
 public:
  static StatusOr<Container> Create() {
    ASSIGN_OR_RETURN(NetworkNamespace made, NetworkNamespace::Create());
    return Container(std::move(made));
  }

  // What an engine does with an attachment.
  Status Take(Netlink& host, const Attachment& attachment, const EndpointSpec& endpoint) const {
    ASSIGN_OR_RETURN(const Link link, host.FindLink(attachment.container_interface));
    RETURN_IF_ERROR(host.ChangeLink(link, {.name = "eth0", .namespace_fd = namespace_.fd()}));
    return With([&](Netlink& inside, const Link& eth0) -> Status {
      RETURN_IF_ERROR(inside.ChangeLink(eth0, {.up = true}));
      for (const InterfaceAddress& address : endpoint.addresses) RETURN_IF_ERROR(inside.AddAddress(eth0, {address, 0}));
      return OkStatus();
    });
  }

  Status With(const std::function<Status(Netlink&, const Link&)>& body) const {
    return namespace_.Run([&]() -> Status {
      ASSIGN_OR_RETURN(const auto inside, Netlink::Open());
      ASSIGN_OR_RETURN(const Link eth0, inside->FindLink("eth0"));
      return body(*inside, eth0);
    });
  }

  StatusOr<std::unique_ptr<UdpSocket>> Udp(const IpAddress& local, uint16_t port = 0) const {
    std::unique_ptr<UdpSocket> made;
    RETURN_IF_ERROR(namespace_.Run([&]() -> Status {
      ASSIGN_OR_RETURN(made, UdpSocket::Open(SocketAddress(local, port)));
      return OkStatus();
    }));
    return made;
  }

 private:
  explicit Container(NetworkNamespace made) : namespace_(std::move(made)) {}
  NetworkNamespace namespace_;
};

class BridgeTest : public NetnsTest {
 protected:
  void SetUp() override {
    NetnsTest::SetUp();
    if (HasFatalFailure()) return;
    network_.id = "0a1b2c3d4e5f60718293a4b5c6d7e8f900112233445566778899aabbccddeeff";
    network_.gateways = {*InterfaceAddress::Parse("10.40.0.1/24"), *InterfaceAddress::Parse("fd00:40::1/64")};
    driver_ = MakeBridgeDriver();
  }
  void TearDown() override {
    driver_.reset();
    NetnsTest::TearDown();
  }

  // A container with the n-th address of each family, attached and configured.
  Container Start(int n) {
    const EndpointSpec endpoint = MakeEndpoint(n, network_.id);
    auto container = Container::Create();
    EXPECT_TRUE(container.ok()) << container.status();
    auto attachment = driver_->Attach(network_, endpoint);
    EXPECT_TRUE(attachment.ok()) << attachment.status();
    const Status taken = container->Take(netlink(), *attachment, endpoint);
    EXPECT_TRUE(taken.ok()) << taken;
    return *std::move(container);
  }

  NetworkSpec network_;
  std::unique_ptr<Driver> driver_;
};

}  // namespace fairlead::dataplane
