// The contract of Proactor as tests, which every implementation runs. A test program includes this in one file and says:
//
//   INSTANTIATE_TEST_SUITE_P(Sim, ProactorContract, testing::Values(ContractBackend{"sim", MakeHost}), BackendName);
//   INSTANTIATE_TEST_SUITE_P(Sim, SpliceContract, ...the same);
#pragma once

#include "base/io/contract_cancel.h"
#include "base/io/contract_datagrams.h"
#include "base/io/contract_listener.h"
#include "base/io/contract_loop.h"
#include "base/io/contract_splice.h"
#include "base/io/contract_streams.h"
