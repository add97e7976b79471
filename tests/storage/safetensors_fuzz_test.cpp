// No bytes crash the reader: they are read, or refused with BadInput.
#include <random>

#include "storage/atomic_file.h"
#include "storage/safetensors.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/safetensors_fixture.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using testing::little_endian;
using testing::safetensors_bytes;
using testing::write_bytes;

class SafetensorsFuzz : public ::testing::Test {
 protected:
  /// True if the bytes are accepted. Any other exception than BadInput fails the test.
  bool accepts(const std::string& bytes) {
    write_bytes(path, bytes);
    try {
      read_safetensors(path);
      return true;
    } catch (const BadInput& error) {
      EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return false;
    } catch (const std::exception& error) {
      ADD_FAILURE() << "neither read nor refused: " << error.what();
      return false;
    }
  }

  void expect_refusal(const std::string& cause, const std::string& header, const std::string& data = "") {
    write_bytes(path, safetensors_bytes(header, data));
    EXPECT_ERROR(BadInput, cause, read_safetensors(path));
  }

  std::string small_file() {
    write_safetensors(
        path, {{"blocks.0.weight", at::ones({2, 3})}, {"half", at::ones({4}, at::kHalf)}, {"mask", at::ones({3}, at::kBool)}},
        {{"format", "pt"}});
    return read_text(path);
  }

  const testing::TemporaryFolder folder;
  const std::filesystem::path path = folder / "fuzzed.safetensors";
};

TEST_F(SafetensorsFuzz, SurvivesEveryFlippedByteOfTheHeader) {
  const std::string sound = small_file();
  const std::size_t header_end = sound.size() - (24 + 8 + 3);
  for (std::size_t at = 0; at < header_end; ++at) {
    for (const int mask : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff}) {
      std::string bytes = sound;
      bytes[at] = static_cast<char>(bytes[at] ^ mask);
      const bool accepted = accepts(bytes);
      EXPECT_FALSE(at < 8 && accepted) << "byte " << at << " of the length, mask " << mask;
    }
  }
}

TEST_F(SafetensorsFuzz, RefusesEveryTruncationAndEveryExtension) {
  const std::string sound = small_file();
  ASSERT_TRUE(accepts(sound));
  for (std::size_t size = 0; size < sound.size(); ++size) EXPECT_FALSE(accepts(sound.substr(0, size))) << size;
  EXPECT_FALSE(accepts(sound + '\0'));
}

TEST_F(SafetensorsFuzz, SurvivesRandomBytes) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 200, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    EXPECT_FALSE(accepts(bytes));
    EXPECT_FALSE(accepts(safetensors_bytes(bytes, "")));
  }
}

TEST_F(SafetensorsFuzz, SurvivesShuffledPiecesOfRealHeaders) {
  const std::vector<std::string> pieces{"{",
                                        "}",
                                        "[",
                                        "]",
                                        ":",
                                        ",",
                                        "\"a\"",
                                        "\"dtype\"",
                                        "\"F32\"",
                                        "\"shape\"",
                                        "\"data_offsets\"",
                                        "-1",
                                        "0",
                                        "4",
                                        "1e9",
                                        "18446744073709551616",
                                        "null",
                                        "true",
                                        "\"__metadata__\"",
                                        "\"\\ud800\""};
  std::mt19937 random(2);
  for (int round = 0; round < 2000; ++round) {
    std::string header = "{";
    for (unsigned count = random() % 30; count > 0; --count) header += pieces[random() % pieces.size()];
    accepts(safetensors_bytes(header, "abcd"));
  }
}

TEST_F(SafetensorsFuzz, RefusesAHugeHeaderLengthWithoutReservingIt) {
  for (const uint64_t length : {100'000'001ull, 1ull << 40, 1ull << 63, ~0ull}) {
    write_bytes(path, little_endian(length) + "{}");
    EXPECT_ERROR(BadInput, "more than 100 MB", read_safetensors(path));
  }
  write_bytes(path, little_endian(100'000'000) + "{}");
  EXPECT_ERROR(BadInput, "ends inside its header", read_safetensors(path));
}

TEST_F(SafetensorsFuzz, RefusesShapesWhoseSizeOverflows) {
  const auto of_shape = [](const std::string& shape) {
    return R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":[0,0]}})";
  };
  expect_refusal("overflows", of_shape("[4611686018427387904,4]"));
  expect_refusal("overflows", of_shape("[4294967296,4294967296,4294967296]"));
  expect_refusal("overflows", of_shape("[0,9223372036854775807,9223372036854775807]"));
  expect_refusal("not a count", of_shape("[9223372036854775808]"));
  expect_refusal("not a count", of_shape("[18446744073709551616]"));
  expect_refusal("not a count", of_shape("[-1]"));
  expect_refusal("not a count", of_shape("[1.0]"));
  expect_refusal("no usable shape", of_shape("4"));
  std::string ones = "1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  expect_refusal("no usable shape", of_shape("[" + ones + "]"));
}

TEST_F(SafetensorsFuzz, RefusesOverlappingTensors) {
  expect_refusal("overlaps",
                 R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                 "abcdef");
  expect_refusal("overlaps",
                 R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                 "abcd");
}

TEST_F(SafetensorsFuzz, RefusesGapsAndUnclaimedBytes) {
  expect_refusal("gap",
                 R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})",
                 "abcde");
  expect_refusal("gap", R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", "abc");
  expect_refusal("belong to no tensor", R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "abc");
  expect_refusal("belong to no tensor", "{}", "a");
}

TEST_F(SafetensorsFuzz, RefusesOffsetsThatContradict) {
  const auto at_offsets = [](const std::string& offsets) {
    return R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + offsets + "}}";
  };
  expect_refusal("contradict", at_offsets("[0,3]"), "abc");
  expect_refusal("contradict", at_offsets("[4,0]"), "abcd");
  expect_refusal("truncated", at_offsets("[0,4]"), "abc");
  expect_refusal("gap", at_offsets("[9223372036854775803,9223372036854775807]"), "abcd");
  expect_refusal("not a count", at_offsets("[-4,0]"), "abcd");
  expect_refusal("not a count", at_offsets("[0,\"4\"]"), "abcd");
  expect_refusal("pair", at_offsets("[0,4,8]"), "abcd");
}

TEST_F(SafetensorsFuzz, RefusesDuplicateKeys) {
  const std::string tensor = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  expect_refusal("\"a\" twice", "{" + tensor + "," + tensor + "}", "x");
  expect_refusal("\"dtype\" twice", R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", "x");
  expect_refusal("\"k\" twice", R"({"__metadata__":{"k":"1","k":"2"}})");
}

TEST_F(SafetensorsFuzz, RefusesHeadersOfAnotherForm) {
  expect_refusal("not JSON", "");
  expect_refusal("not JSON", R"({"a":)");
  expect_refusal("not JSON", R"({"a":1e999})");
  expect_refusal("not JSON", "{\"\xff\":{}}");
  expect_refusal("not a JSON object", "[]");
  expect_refusal("no shape", R"({"a":1})");
  expect_refusal("no dtype", R"({"a":{"shape":[],"data_offsets":[0,4]}})", "abcd");
  expect_refusal("unknown dtype \"F31\"", R"({"a":{"dtype":"F31","shape":[],"data_offsets":[0,4]}})", "abcd");
  expect_refusal("unknown dtype", R"({"a":{"dtype":7,"shape":[],"data_offsets":[0,4]}})", "abcd");
  expect_refusal("__metadata__", R"({"__metadata__":{"format":1}})");
  expect_refusal("__metadata__", R"({"__metadata__":["text"]})");
  expect_refusal("nests deeper", std::string(1'000'000, '['));
  expect_refusal("other bytes than 0 and 1", R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", "\x02");
}

TEST_F(SafetensorsFuzz, KeepsMessagesShortAndOnOneLine) {
  const std::string name = std::string(100'000, 'n') + "\\n\\u0000";
  write_bytes(path, safetensors_bytes("{\"" + name + "\":{}}", ""));
  try {
    read_safetensors(path);
    FAIL() << "accepted";
  } catch (const BadInput& error) {
    EXPECT_LT(std::string(error.what()).size(), 1000);
  }
}

}  // namespace
}  // namespace eidolon
