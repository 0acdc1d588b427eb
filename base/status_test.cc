#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace fairlead {
namespace {

StatusOr<int> Half(int n) {
  if (n % 2 != 0) return InvalidArgument(n, " is odd");
  return n / 2;
}

StatusOr<int> Quarter(int n) {
  ASSIGN_OR_RETURN(int half, Half(n));
  return Half(half);
}

TEST(Status, PassesTheFirstErrorOn) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Message(Quarter(3).status()), "3 is odd");
  EXPECT_EQ(Message(Quarter(6).status()), "3 is odd");
}

TEST(Status, ContextComesInFrontAndKeepsTheCode) {
  Status status = WithContext(NotFound("no such pool"), "network shop: ");
  EXPECT_EQ(Message(status), "network shop: no such pool");
  EXPECT_EQ(CodeName(status.code()), "NOT_FOUND");
  EXPECT_TRUE(WithContext(OkStatus(), "x").ok());
}

TEST(Status, ErrnoBecomesACodeAndAText) {
  Status status = ErrnoStatus(EACCES, "bind 0.0.0.0:80");
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(Message(status), "bind 0.0.0.0:80: Permission denied");
  EXPECT_EQ(ErrnoStatus(ENOSPC, "x").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(ECONNREFUSED, "x").code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace fairlead
