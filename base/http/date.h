// The Date field (RFC 9110 §5.6.7).
#pragma once

#include <string>

#include "base/time.h"

namespace fairlead::http {

std::string HttpDate(Nanos wall);  // "Sun, 06 Nov 1994 08:49:37 GMT"

}  // namespace fairlead::http
