// fairlead ca, as an operator uses it; what it makes carries a real TLS context.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "app/command_line.h"
#include "app/whole_file.h"
#include "base/strings.h"
#include "base/tls/context.h"

namespace fairlead::app {
namespace {

using testing::HasSubstr;

constexpr Nanos kDay = 24 * kHour;

class CaCommands : public testing::Test {
 protected:
  CaCommands() {
    std::string name = "/tmp/fairlead-ca-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~CaCommands() override { std::filesystem::remove_all(folder_); }

  // What it says on stdout; on stderr when it fails.
  std::string Ca(std::vector<std::string> arguments, int code = 0) {
    arguments.insert(arguments.begin(), "ca");
    arguments.insert(arguments.end(), {"--dir", At("ca")});
    std::ostringstream out, err;
    EXPECT_EQ(RunCommandLine(arguments, {}, "test", {.out = out, .err = err}, clock_), code) << err.str();
    return code == 0 ? out.str() : err.str();
  }
  std::string At(const std::string& name) const { return Cat(folder_, "/", name); }
  std::string Read(const std::string& name) const { return ReadWhole(At(name))->value_or(""); }
  mode_t ModeOf(const std::string& name) const {
    struct stat seen = {};
    return stat(At(name).c_str(), &seen) == 0 ? seen.st_mode & 0777 : 0;
  }
  Status ServesTls() const {
    return tls::TlsContext::Server({.name = "t", .certificates = {{.cert = At("host1.pem"), .key = At("host1.key"), .ocsp = ""}}, .alpn = {},
                                    .client_ca = At("ca/ca.pem")}).status();
  }

  std::string folder_;
  ManualClock clock_{1'800'000'000 * kSecond};
};

TEST_F(CaCommands, MakeAnAuthorityAndAHostsCertificateAndSayWhatIsWhat) {
  EXPECT_THAT(Ca({"init"}), HasSubstr("ca.key: whoever has it is trusted by all; it stays here\n"));
  EXPECT_EQ(Ca({"issue", "host1", "--name", "10.0.0.1", "--out", folder_}),
            Cat(At("host1.pem"), ", ", At("host1.key"), ": agent host1, as host1, 10.0.0.1, until 2027-01-22 08:00 UTC\n"));
  EXPECT_EQ(ModeOf("ca/ca.key"), 0600u);
  EXPECT_EQ(ModeOf("host1.key"), 0600u);
  EXPECT_EQ(ModeOf("host1.pem"), 0644u);
  EXPECT_TRUE(ServesTls().ok()) << ServesTls();
}

TEST_F(CaCommands, RenewInTheLastThirdWithANewKeyForTheSameNames) {
  Ca({"init"});
  Ca({"issue", "lb1", "--consumer", "--name", "lb1.example.com", "--life", "9d", "--out", folder_});
  const std::string key = Read("lb1.key");
  clock_.Advance(4 * kDay);
  EXPECT_THAT(Ca({"renew", At("lb1.pem")}), HasSubstr("consumer lb1  2027-01-24 08:00 UTC  not due\n"));
  EXPECT_EQ(Read("lb1.key"), key);
  clock_.Advance(3 * kDay);
  EXPECT_THAT(Ca({"renew", At("lb1.pem")}), HasSubstr("consumer lb1  2027-01-31 08:00 UTC  yes\n"));
  EXPECT_NE(Read("lb1.key"), key);
  EXPECT_THAT(Ca({"renew", "--force", "--life", "1h", At("lb1.pem")}), HasSubstr("2027-01-22 09:00 UTC  yes\n"));
}

TEST_F(CaCommands, ASecondAuthorityIsRefusedAndChangesNothing) {
  Ca({"init"});
  const std::string before = Read("ca/ca.pem");
  EXPECT_THAT(Ca({"init"}, 4), HasSubstr("ca.pem is there: a new authority would make void every certificate"));
  EXPECT_EQ(Read("ca/ca.pem"), before);
}

TEST_F(CaCommands, SayWhatIsMissingOrWrongAndTheWayOut) {
  EXPECT_THAT(Ca({"issue", "host1"}, 3), HasSubstr(Cat("fairlead ca init --dir ", At("ca"))));
  Ca({"init"});
  EXPECT_THAT(Ca({"issue", "host 1"}, 2), HasSubstr("\"host 1\" is no host name and no IP address"));
  EXPECT_THAT(Ca({"issue", "host1", "--life", "1s"}, 2), HasSubstr("--life 1s: from 5m to"));
  EXPECT_THAT(Ca({"renew", At("none.pem")}, 3), HasSubstr("there is no "));
  EXPECT_THAT(Ca({"renew", At("ca/ca.pem")}, 4), HasSubstr("ca.pem does not say whose it is"));
}

}  // namespace
}  // namespace fairlead::app
