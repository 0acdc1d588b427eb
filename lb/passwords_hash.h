// The hashes of passwords that htpasswd writes: bcrypt ($2y$), MD5 in Apache's way ($apr1$), SHA-1 ({SHA}).
#pragma once

#include <string>

namespace fairlead::lb {

// Is it this hash's password? Blocks for as long as the hash demands; how long it compares says nothing of the hash.
bool IsPasswordOf(const std::string& hash, const std::string& password);

}  // namespace fairlead::lb
