// The contract on the kernel's two proactors.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/io/epoll_proactor.h"
#include "base/io/proactor_contract.h"
#include "base/io/uring_proactor.h"

namespace fairlead::io {
namespace {

class KernelHost final : public ContractHost {
 public:
  template <class T, class Options>
  static std::unique_ptr<ContractHost> Make(bool tiny_buffers) {
    auto host = std::make_unique<KernelHost>();
    Options options;
    if (tiny_buffers) options.buffers = {{{4, 4096}, {4, 32768}}};
    auto proactor = T::Create(host->clock_, options);
    CHECK(proactor.ok());
    host->proactor_ = *std::move(proactor);
    return host;
  }
  KernelHost() {
    CHECK(mkdtemp(folder_) != nullptr);
    signal(SIGPIPE, SIG_IGN);  // as every program of ours does
  }
  ~KernelHost() override {
    proactor_.reset();
    std::filesystem::remove_all(folder_);
  }
  Proactor& proactor() override { return *proactor_; }
  std::string UnixPath() override { return Cat(folder_, "/", ++paths_, ".sock"); }

 private:
  SystemClock clock_;
  char folder_[32] = "/tmp/fairlead_io_XXXXXX";
  int paths_ = 0;
  std::unique_ptr<Proactor> proactor_;
};

const auto kBackends =
    testing::Values(ContractBackend{"uring", KernelHost::Make<UringProactor, UringOptions>},
                    ContractBackend{"epoll", KernelHost::Make<EpollProactor, EpollOptions>});

}  // namespace

INSTANTIATE_TEST_SUITE_P(Kernel, ProactorContract, kBackends, BackendName);
INSTANTIATE_TEST_SUITE_P(Kernel, SpliceContract, kBackends, BackendName);

}  // namespace fairlead::io
