// Any labels and variables of any dialect. Lines: "KEY=VALUE" a label, "$KEY=VALUE" a variable, "#8080/tcp" an exposed port.
#include "base/check.h"
#include "base/strings.h"
#include "discovery/labels.h"

namespace fairlead::discovery {
namespace {

ContainerFacts FactsOf(std::string_view text) {
  ContainerFacts facts{.name = "web-1", .labels = {}, .exposed_ports = {}, .where = {}};
  facts.where.addresses.push_back({.ip = IpAddress::V4(0x0a000001), .mac = {}, .network = "shopnet", .managed = true});
  for (std::string_view line : Split(text, '\n')) {
    if (line.starts_with('#')) {
      const size_t slash = line.find('/');
      auto number = ParseNumber<uint16_t>(line.substr(1, slash == line.npos ? slash : slash - 1));
      if (number) facts.exposed_ports.emplace_back(*number, slash == line.npos ? "tcp" : line.substr(slash + 1));
      continue;
    }
    const bool variable = line.starts_with('$');
    line.remove_prefix(variable ? 1 : 0);
    const size_t equals = std::min(line.find('='), line.size());
    auto& into = variable ? facts.environment : facts.labels;
    into.emplace(line.substr(0, equals), line.substr(std::min(equals + 1, line.size())));
  }
  return facts;
}

void CheckService(const ServiceEntry& entry) {
  CHECK(!entry.service.empty() && entry.service.size() <= kMaxLabelBytes);
  CHECK(!entry.project.empty() && entry.project.size() <= kMaxLabelBytes);
  CHECK(entry.weight <= kMaxWeight);
  CHECK(entry.routes.size() <= kMaxRoutesPerService);
  CHECK(entry.published() || !entry.problems.empty());  // whoever gets no traffic is told why
  CHECK(entry.check.kind == CheckKind::kNone || (entry.check.interval > 0 && entry.check.timeout > 0));
}

void Try(std::string_view text) {
  const ContainerFacts facts = FactsOf(text);
  NameTables names, others;
  const ContainerServices first = DescribeServices(facts, names), again = DescribeServices(facts, others);
  CHECK(!first.services.empty() && first.services.size() <= kMaxServicesPerContainer);
  CHECK(first.services == again.services);
  CHECK(!first.project.empty() && first.branch.size() <= kMaxLabelBytes);
  for (const ServiceEntry& entry : first.services) CheckService(entry);
}

}  // namespace
}  // namespace fairlead::discovery

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fairlead::discovery::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
