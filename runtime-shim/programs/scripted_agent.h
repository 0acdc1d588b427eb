// An agent for tests of the small programs: a unix socket in a folder of its own, where a thread does with each
// connection what the test says. Only tests include it.
#pragma once

#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/strings.h"

namespace fairlead::programs {

// A folder that goes with what is in it.
class TestFolder {
 public:
  TestFolder() { CHECK(mkdtemp(path_.data()) != nullptr); }
  TestFolder(const TestFolder&) = delete;
  ~TestFolder() {
    DIR* folder = opendir(path_.c_str());
    while (dirent* entry = readdir(folder)) unlink(Path(entry->d_name).c_str());
    closedir(folder);
    rmdir(path_.c_str());
  }
  std::string Path(std::string_view name) const { return Cat(path_, "/", name); }

 private:
  std::string path_ = "/tmp/fairlead-programs-XXXXXX";
};

// A listening unix socket.
inline int ListenAt(const std::string& path, int backlog = 16) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, backlog) == 0);
  return fd;
}

class ScriptedAgent {
 public:
  // One connection as the script sees it.
  class Peer {
   public:
    Peer(int fd, int stop) : fd_(fd), stop_(stop) {}
    // The head and the body of one request; "" when the program went away or the test ended.
    std::string Request() {
      std::string text;
      for (char piece[4096];;) {
        size_t head = text.find("\r\n\r\n");
        if (head != text.npos && text.size() >= head + 4 + LengthIn(text)) return text;
        if (!WaitFor(-1)) return "";
        ssize_t bytes = recv(fd_, piece, sizeof piece, 0);
        if (bytes <= 0) return "";
        text.append(piece, static_cast<size_t>(bytes));
      }
    }
    bool Send(std::string_view bytes) {
      while (!bytes.empty()) {
        ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(sent));
      }
      return true;
    }
    bool Answer(std::string_view body, int status = 200) {
      return Send(Cat("HTTP/1.1 ", status, " X\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
    }
    // Until the program closes or the test ends.
    void StaySilent() { while (WaitFor(-1) && recv(fd_, scratch_, sizeof scratch_, 0) > 0) {} }
    // Lets time pass; false when the program has closed or the test ended.
    bool Pause(int milliseconds) {
      pollfd wait[] = {{stop_, POLLIN, 0}, {fd_, POLLRDHUP, 0}};
      return poll(wait, 2, milliseconds) == 0;
    }

   private:
    static size_t LengthIn(const std::string& text) {
      size_t at = text.find("Content-Length: ");
      return at == text.npos ? 0 : static_cast<size_t>(atol(text.c_str() + at + 16));
    }
    bool WaitFor(int timeout_ms) {
      pollfd wait[] = {{fd_, POLLIN, 0}, {stop_, POLLIN, 0}};
      return poll(wait, 2, timeout_ms) > 0 && wait[1].revents == 0;
    }
    int fd_, stop_;
    char scratch_[4096];
  };
  using Script = std::function<void(Peer&)>;

  // Serves at `path`, a connection a thread.
  ScriptedAgent(std::string path, Script script) : path_(std::move(path)), script_(std::move(script)) {
    CHECK(pipe(stop_) == 0);
    listener_ = ListenAt(path_);
    thread_ = std::thread([this] { Serve(); });
  }
  ScriptedAgent(const ScriptedAgent&) = delete;
  ~ScriptedAgent() {
    CHECK(write(stop_[1], "x", 1) == 1);
    thread_.join();
    for (int fd : {listener_, stop_[0], stop_[1]}) close(fd);
    unlink(path_.c_str());
  }

  // Keeps each request and answers it with `body`.
  static Script Answers(std::string body, int status = 200) {
    return [body = std::move(body), status](Peer& peer) {
      if (!peer.Request().empty()) peer.Answer(body, status);
    };
  }
  const std::string& path() const { return path_; }

 private:
  void Serve() {
    std::vector<std::thread> peers;
    for (;;) {
      pollfd wait[] = {{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
      if (poll(wait, 2, -1) <= 0 || wait[1].revents != 0) break;
      int fd = accept(listener_, nullptr, nullptr);
      if (fd < 0) continue;
      peers.emplace_back([this, fd] {
        Peer peer(fd, stop_[0]);
        script_(peer);
        close(fd);
      });
    }
    for (std::thread& peer : peers) peer.join();
  }

  std::string path_;
  Script script_;
  int listener_ = -1;
  int stop_[2];
  std::thread thread_;
};

}  // namespace fairlead::programs
