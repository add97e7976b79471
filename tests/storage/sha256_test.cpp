#include "storage/sha256.h"

#include <fstream>

#include "tests/storage/expect_error.h"
#include "tests/storage/python.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using testing::TemporaryFolder;

// Known answers: NIST, "Examples with intermediate values", SHA-256, and the long test of FIPS 180-2.
TEST(Sha256, MatchesKnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnHowTheBytesArrive) {
  Sha256 hash;
  for (const std::string_view piece : {"a", "", "bc"}) hash.update(piece);
  Sha256 moved = std::move(hash);
  EXPECT_EQ(moved.hex(), sha256_hex("abc"));
}

TEST(Sha256, OfAFileEqualsSha256sum) {
  const TemporaryFolder folder;
  const auto path = folder / "bytes";
  std::ofstream(path, std::ios::binary) << std::string(3'000'001, 'x') << "end";
  const auto of = [&](const std::string& tail) {
    return testing::run_command("tail -c +" + tail + " '" + path.string() + "' | sha256sum").first.substr(0, 64);
  };
  EXPECT_EQ(sha256_of_file(path), of("1"));
  EXPECT_EQ(sha256_of_file(path, 512), of("513"));
  EXPECT_EQ(sha256_of_file(path, 4'000'000), sha256_hex(""));  // behind the end
}

TEST(Sha256, OfAMissingFileNamesIt) {
  EXPECT_ERROR(Fault, "/no/such/file", sha256_of_file("/no/such/file"));
}

}  // namespace
}  // namespace eidolon
