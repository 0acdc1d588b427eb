#include "base/io/datagrams.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace fairlead::io {
namespace {

constexpr size_t kPerCall = 64;  // messages per system call; the headers of a call live on the stack (20 KiB)

struct Message {
  sockaddr_storage peer;
  iovec bytes;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))];
};

void Prepare(const Datagram& datagram, Message& message, mmsghdr& header) {
  message.bytes = {datagram.bytes.data(), datagram.bytes.size()};
  header = {};
  header.msg_hdr.msg_name = &message.peer;
  header.msg_hdr.msg_iov = &message.bytes;
  header.msg_hdr.msg_iovlen = 1;
  header.msg_hdr.msg_control = message.control;
}

IpAddress LocalOf(msghdr& header) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      return IpAddress::V4(ntohl(info.ipi_spec_dst.s_addr));  // of a broadcast: our own address, from which to answer
    }
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      return IpAddress::V6(std::span<const uint8_t, 16>(info.ipi6_addr.s6_addr));
    }
  }
  return {};
}

template <class Info>
void PutControl(Message& message, msghdr& header, int level, int type, const Info& info) {
  header.msg_controllen = CMSG_SPACE(sizeof info);
  std::memset(message.control, 0, header.msg_controllen);
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(c), &info, sizeof info);
}

void SetSource(const IpAddress& local, Message& message, msghdr& header) {
  if (local.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, local.bytes().data(), 4);
    PutControl(message, header, IPPROTO_IP, IP_PKTINFO, info);
  } else if (local.is_v6()) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, local.bytes().data(), 16);
    PutControl(message, header, IPPROTO_IPV6, IPV6_PKTINFO, info);
  } else {
    header.msg_control = nullptr;
  }
}

}  // namespace

int ReceiveDatagramBatch(int fd, std::span<Datagram> batch) {
  Message messages[kPerCall];
  mmsghdr headers[kPerCall];
  size_t count = std::min(batch.size(), kPerCall);
  for (size_t i = 0; i < count; i++) {
    Prepare(batch[i], messages[i], headers[i]);
    headers[i].msg_hdr.msg_namelen = sizeof messages[i].peer;
    headers[i].msg_hdr.msg_controllen = sizeof messages[i].control;
  }
  int got;
  do {
    got = recvmmsg(fd, headers, static_cast<unsigned>(count), MSG_DONTWAIT, nullptr);
  } while (got < 0 && errno != EAGAIN && (errno == EINTR || errno == ECONNREFUSED));  // an ICMP answer to a former send
  for (int i = 0; i < got; i++) {
    msghdr& header = headers[i].msg_hdr;
    batch[i].peer = SocketAddress::FromKernel(reinterpret_cast<sockaddr*>(&messages[i].peer), header.msg_namelen);
    batch[i].local = LocalOf(header);
    batch[i].bytes = batch[i].bytes.first(headers[i].msg_len);
    batch[i].truncated = (header.msg_flags & MSG_TRUNC) != 0;
  }
  return std::max(got, 0);
}

int SendDatagramBatch(int fd, std::span<const Datagram> batch, uint64_t& dropped) {
  Message messages[kPerCall];
  mmsghdr headers[kPerCall];
  size_t count = std::min(batch.size(), kPerCall);
  for (size_t i = 0; i < count; i++) {
    Prepare(batch[i], messages[i], headers[i]);
    headers[i].msg_hdr.msg_name = const_cast<sockaddr*>(batch[i].peer.raw());
    headers[i].msg_hdr.msg_namelen = batch[i].peer.size();
    SetSource(batch[i].local, messages[i], headers[i].msg_hdr);
  }
  size_t taken = 0;
  while (taken < count) {
    int sent = sendmmsg(fd, headers + taken, static_cast<unsigned>(count - taken), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      taken += static_cast<size_t>(sent);
    } else if (errno == EAGAIN || errno == ENOBUFS) {
      break;
    } else if (errno != EINTR) {
      ++dropped;
      ++taken;
    }
  }
  return static_cast<int>(taken);
}

}  // namespace fairlead::io
