// The contract of Proactor in the simulator, without faults; simulation_test.cc adds them.
#include "base/io/proactor_contract.h"
#include "base/sim/sim_proactor.h"

namespace fairlead::io {
namespace {

class SimContractHost final : public ContractHost {
 public:
  static std::unique_ptr<ContractHost> Make(bool tiny_buffers) {
    sim::SimProactorOptions options;
    if (tiny_buffers)
      for (auto& group : options.buffers) group.count = 4;
    return std::make_unique<SimContractHost>(options);
  }
  explicit SimContractHost(const sim::SimProactorOptions& options)
      : world_(/*seed=*/1), proactor_(world_, IpAddress::V4(0x0a000001), options) {}
  Proactor& proactor() override { return proactor_; }
  std::string UnixPath() override { return Cat("/run/", ++paths_, ".sock"); }

 private:
  sim::SimWorld world_;
  sim::SimProactor proactor_;
  int paths_ = 0;
};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Sim, ProactorContract, testing::Values(ContractBackend{"sim", SimContractHost::Make}),
                         BackendName);
INSTANTIATE_TEST_SUITE_P(Sim, SpliceContract, testing::Values(ContractBackend{"sim", SimContractHost::Make}), BackendName);

}  // namespace fairlead::io
