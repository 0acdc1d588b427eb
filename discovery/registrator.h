// registrator's dialect (conventions, A5): SERVICE_… in the environment or among the labels, and of fabio's tags the routes
// "urlprefix-HOST/PATH". docs/labels.md has the table.
#pragma once

#include "discovery/labels_dialect.h"

namespace fairlead::discovery {

DialectResult DescribeRegistrator(const ContainerFacts& facts);
// Is it a key of the environment that this dialect reads?
bool IsRegistratorKey(std::string_view key);

}  // namespace fairlead::discovery
