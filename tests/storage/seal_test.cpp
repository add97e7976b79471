#include "storage/seal.h"

#include "storage/sha256.h"
#include "tests/storage/expect_error.h"

namespace eidolon {
namespace {

const std::string digest(64, 'd');

TEST(Seal, IsReadableAndStatesTheDigestInItsSecondLine) {
  const std::string block = make_seal("eidolon checkpoint", digest);
  EXPECT_EQ(block.size(), 512);
  const std::string lines = "eidolon checkpoint\nsha256 " + digest + "\n";
  EXPECT_TRUE(block.starts_with(lines + "seal " + sha256_hex(lines) + "\n"));
  EXPECT_EQ(sealed_digest(block), digest);
}

TEST(Seal, IsBrokenByEveryFlippedByte) {
  const std::string block = make_seal("title", digest);
  for (std::size_t at = 0; at < block.size(); ++at) {
    std::string flipped = block;
    flipped[at] = static_cast<char>(~flipped[at]);
    EXPECT_FALSE(sealed_digest(flipped)) << "byte " << at;
  }
  EXPECT_FALSE(sealed_digest(block.substr(1)));
  EXPECT_FALSE(sealed_digest(""));
}

TEST(Seal, RefusesTitlesThatAreNotOneShortLine) {
  EXPECT_ERROR(Fault, "one line", make_seal("", digest));
  EXPECT_ERROR(Fault, "one line", make_seal(std::string(201, 't'), digest));
  EXPECT_THROW(make_seal("two\nlines", digest), Fault);
}

}  // namespace
}  // namespace eidolon
