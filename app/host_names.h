// HostNames: what a program needs to follow the names of its endpoints: c-ares and the book of what it said.
#pragma once

#include <memory>

#include "app/config.h"
#include "app/process.h"
#include "base/dns/ares_resolver.h"
#include "base/dns/host_book.h"

namespace fairlead::app {

class HostNames {
 public:
  static StatusOr<std::unique_ptr<HostNames>> Make(Process& process, const Config& config) {
    ASSIGN_OR_RETURN(auto resolver, dns::AresResolver::Make(process.proactor(), {.servers = config.nameservers}));
    return std::unique_ptr<HostNames>(new HostNames(process, std::move(resolver)));
  }
  // Asks, as tasks of the process.
  void Start() {
    process_.tasks().Spawn(resolver_->Run());
    process_.tasks().Spawn(book_.Run());
  }
  dns::HostBook& book() { return book_; }

 private:
  HostNames(Process& process, std::unique_ptr<dns::AresResolver> resolver)
      : process_(process), resolver_(std::move(resolver)), book_(process.proactor(), *resolver_, process.metrics()) {}

  Process& process_;
  std::unique_ptr<dns::AresResolver> resolver_;
  dns::HostBook book_;
};

}  // namespace fairlead::app
