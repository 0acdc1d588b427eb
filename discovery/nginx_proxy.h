// nginx-proxy's dialect (conventions, A3): the environment's VIRTUAL_HOST and its companions. docs/labels.md has the table.
#pragma once

#include "discovery/labels_dialect.h"

namespace fairlead::discovery {

DialectResult DescribeNginxProxy(const ContainerFacts& facts);
// Is it a key of the environment that this dialect reads?
bool IsNginxProxyKey(std::string_view key);

}  // namespace fairlead::discovery
