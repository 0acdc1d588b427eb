#include "runtime-shim/containerd_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::runtime {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ContainerdImage, AnIndexNamesTheManifestOfThisHost) {
#if defined(__aarch64__)
  const char* const ours = "sha256:arm";
#else
  const char* const ours = "sha256:amd";
#endif
  EXPECT_EQ(ReadImageBlob(R"({"manifests":[{"digest":"sha256:notes","platform":{"architecture":"unknown","os":"unknown"}},
    {"digest":"sha256:arm","platform":{"architecture":"arm64","os":"linux"}},{"digest":"sha256:amd","platform":{"architecture":"amd64","os":"linux"}}]})").next, ours);
  EXPECT_EQ(ReadImageBlob(R"({"manifests":[{"digest":"sha256:only"}]})").next, "sha256:only");
}

TEST(ContainerdImage, AManifestNamesTheConfigurationAndThatSaysWhatIsExposed) {
  EXPECT_EQ(ReadImageBlob(R"({"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:c"},"layers":[]})").next, "sha256:c");
  const ImageBlob config = ReadImageBlob(R"({"architecture":"amd64","config":{"ExposedPorts":{"53/udp":{},"80/tcp":{},"x":{},"99999/tcp":{}}}})");
  EXPECT_EQ(config.next, "");
  EXPECT_THAT(config.exposed, ElementsAre(ContainerPort{53, "udp"}, ContainerPort{80, "tcp"}));
}

TEST(ContainerdImage, WhatIsNoneSaysNothing) {
  for (const char* text : {"", "[]", "{}", R"({"manifests":[]})", R"({"config":{"ExposedPorts":["80/tcp"]}})", R"({"config":3})"}) {
    EXPECT_EQ(ReadImageBlob(text).next, "") << text;
    EXPECT_THAT(ReadImageBlob(text).exposed, IsEmpty()) << text;
  }
}

}  // namespace
}  // namespace fairlead::runtime
