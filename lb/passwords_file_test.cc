#include "lb/passwords_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/strings.h"
#include "lb/middleware_book.h"

namespace fairlead::lb {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Pair;

const std::string kHash = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

class UsersFileTest : public testing::Test {
 protected:
  ~UsersFileTest() override { std::filesystem::remove(path_); }
  void Write(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }
  std::string Fault(const std::string& path) { return std::string(Message(ReadUsersFile(path).status())); }
  const std::string path_ = Cat(testing::TempDir(), "fairlead-users-", getpid());
};

TEST_F(UsersFileTest, HoldsAUserInEachLine) {
  Write(Cat("# our own\n\ncarol:", kHash, "\n  dave:", kHash, "\r\n"));
  EXPECT_THAT(*ReadUsersFile(path_), ElementsAre(Pair("carol", kHash), Pair("dave", kHash)));
}

TEST_F(UsersFileTest, ALineThatIsNoUserIsNamedWithoutItsHash) {
  Write(Cat("carol:", kHash, "\ndave:plain-secret\n"));
  EXPECT_THAT(Fault(path_), HasSubstr(Cat(path_, ":2: the hash of dave is neither")));
  EXPECT_THAT(Fault(path_), testing::Not(HasSubstr("plain-secret")));
}

TEST_F(UsersFileTest, OnlyRegularFilesOfAReasonableSizeAreRead) {
  EXPECT_THAT(Fault(path_), HasSubstr("No such file"));
  for (const char* path : {"/dev/zero", "/tmp"}) EXPECT_THAT(Fault(path), EndsWith("is no regular file"));
  Write(std::string(kMaxUsersFileBytes + 1, '#'));
  EXPECT_THAT(Fault(path_), HasSubstr("has more than 1048576 bytes"));
}

class UsersOfMiddlewareTest : public UsersFileTest {
 protected:
  discovery::Middleware Auth() const { return {"auth", "basicauth", {{"users", Cat("carol:", kOld)}, {"usersfile", path_}}}; }
  // The hash that counts for carol, or the fault.
  std::string HashOf(MiddlewareBook& book) {
    const ResolvedMiddlewares& resolved = book.Resolve({"auth@docker"});
    if (!resolved.fault.empty()) return resolved.fault;
    const auto& users = std::get<MiddlewareChain::AuthStep>(resolved.chain->steps()[0].body).options.users;
    return users.empty() ? "none" : users[0].second;
  }
  const std::string kOld = "$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/";
};

TEST_F(UsersOfMiddlewareTest, TheFileGoesBeforeTheListAndIsReadAgainAtAReload) {
  MiddlewareBook book(/*reads_users_files=*/true);
  EXPECT_THAT(book.SetRow("r1", "web-1", {Auth()}), ElementsAre("auth@docker"));
  EXPECT_THAT(HashOf(book), HasSubstr("auth@docker cannot be built"));
  Write(Cat("carol:", kHash, "\n"));
  EXPECT_THAT(book.SetFile({}), ElementsAre("auth@docker"));
  EXPECT_EQ(HashOf(book), kHash);
}

TEST_F(UsersOfMiddlewareTest, WhoOnlyExplainsRoutesReadsNoFile) {
  Write(Cat("mallory:", kHash, "\n"));
  MiddlewareBook book;
  book.SetRow("r1", "web-1", {Auth()});
  EXPECT_EQ(HashOf(book), kOld);
  EXPECT_EQ(book.List()[0].what, Cat("basicauth of ", path_, ", else 401"));
}

}  // namespace
}  // namespace fairlead::lb
