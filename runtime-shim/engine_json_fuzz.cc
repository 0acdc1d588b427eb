// Any bytes as an engine's answer. The first byte says which answer it is to be.
#include <string_view>

#include "base/check.h"
#include "containerd/containerd.pb.h"
#include "discovery/labels.h"
#include "runtime-shim/containerd_read.h"
#include "runtime-shim/endpoint_row.h"
#include "runtime-shim/engine_json.h"

namespace fairlead::runtime {
namespace {

void TryContainer(std::string_view text) {
  StatusOr<ContainerDetails> container = ParseContainer(text);
  if (!container.ok()) return;
  CHECK(!container->id.empty());
  CHECK(container->stop_timeout_s <= 86'400);
  discovery::NameTables names;
  const discovery::EndpointRow row = BuildRow({.node = "host1"}, {}, *container, names);
  CHECK(row.engine_id == container->id && !row.services.empty());
}

// The JSON inside of what containerd says.
void TrySpec(std::string_view text) {
  containerd::Container container;
  container.set_id("c1");
  container.mutable_spec()->set_value(text.data(), text.size());
  (*container.mutable_labels())["nerdctl/ports"] = text;
  const ContainerDetails read = ReadContainer("default", container, nullptr, false, 0, 0, {});
  CHECK(read.id == "default/c1" && read.published.size() <= read.exposed.size());
}

void TryNetwork(std::string_view text) {
  StatusOr<NetworkDetails> network = ParseNetwork(text);
  if (!network.ok()) return;
  StatusOr<NetworkDetails> again = ParseNetwork(CreateNetworkBody(*network));
  CHECK(again.ok());
  CHECK(again->subnets == network->subnets);
}

void Try(std::string_view data) {
  if (data.empty()) return;
  const std::string_view text = data.substr(1);
  switch (data[0]) {
    case 'c': return TryContainer(text);
    case 'n': return TryNetwork(text);
    case 'N': return (void)ParseNetworkList(text);
    case 'r': return (void)ParseCniResult(text);
    case 's': return TrySpec(text);
    case 'v': return (void)ParseVersions(text);
    case 't': return (void)ParseTimestamp(text);
    case 'm': return (void)ParseErrorMessage(text);
    case 'l':
      if (auto list = ParseContainerList(text); list.ok())
        for (const ContainerSummary& container : *list) CHECK(!container.id.empty());
      return;
    default:
      if (auto event = ParseEvent(text); event.ok()) CHECK(event->action.find(':') == event->action.npos);
  }
}

}  // namespace
}  // namespace fairlead::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fairlead::runtime::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
