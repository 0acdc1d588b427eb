// The long-running programs. Each composes its modules, runs until it is told to stop, and gives the exit code.
#pragma once

#include "app/config.h"

namespace fairlead::app {

int RunAgent(const Config& config);
int RunDns(const Config& config);
int RunLb(const Config& config);
// Supervises the three as child processes (contract, "Programs"). `program` is this binary's own path.
int RunUp(const Config& config, const std::string& program);

// Says what failed, once, on stderr and as a log line; gives the exit code of the contract.
int Fail(const Status& status);
int ExitCodeOf(const Status& status);

// As many descriptors as the hard limit allows.
void RaiseDescriptorLimit();

}  // namespace fairlead::app
