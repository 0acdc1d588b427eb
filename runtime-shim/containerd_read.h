// What containerd's messages say, as plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime-shim/cni_results.h"
#include "runtime-shim/engine.h"

namespace fairlead::containerd {
class Container;
class Envelope;
class Process;
}  // namespace fairlead::containerd

namespace fairlead::runtime {

// "running" and its likes, of a task; none there: "created", or "exited" where one was.
std::string TaskState(const containerd::Process* task, bool had_one);
// `start_ticks`: when the task's process started, since boot; it tells this run from others.
ContainerDetails ReadContainer(const std::string& name_space, const containerd::Container& container, const containerd::Process* task,
                               bool had_task, uint64_t start_ticks, Nanos started_wall, const std::vector<CniResult>& networks);
// None: it says nothing of a container of these namespaces.
std::optional<EngineEvent> ReadEvent(const containerd::Envelope& envelope, const std::vector<std::string>& namespaces);
// Field 22 of /proc/PID/stat, in ticks since boot; 0: the process is gone.
uint64_t StartTicks(std::string_view stat);

}  // namespace fairlead::runtime
