#include "storage/percent_encoding.h"

#include <gtest/gtest.h>

namespace eidolon {
namespace {

TEST(PercentEncoding, KeepsPrintableTextAndShowsOtherBytesAsHexadecimals) {
  EXPECT_EQ(percent_encoded("/data out/run-1_a.b~"), "/data out/run-1_a.b~");
  EXPECT_EQ(percent_encoded("gr\xf6\xdf"
                            "e\n50%"),
            "gr%F6%DFe%0A50%25");
  EXPECT_EQ(percent_encoded("a/b", "/"), "a%2Fb");
}

TEST(PercentEncoding, GivesEveryByteBack) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  const std::string text = percent_encoded(bytes, "/");
  for (const char character : text) EXPECT_TRUE(character >= ' ' && character <= '~');
  EXPECT_EQ(percent_decoded(text), bytes);
}

TEST(PercentEncoding, LeavesWhatNobodyEncoded) {
  for (const char* text : {"", "100%", "%", "%4", "%zz", "gr\xc3\xb6\xc3\x9f"}) EXPECT_EQ(percent_decoded(text), text);
}

}  // namespace
}  // namespace eidolon
