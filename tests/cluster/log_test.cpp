#include "cluster/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

class Log : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override {
    log::set_ranks(0, 1);
    std::filesystem::remove_all(folder);
  }
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("eidolon-log-" + std::to_string(getpid()));
};

TEST_F(Log, FileGetsEverythingAndIsAppendedTo) {
  const auto file = folder / "rank-0001.log";
  log::open(file, 1, 2);
  log::debug("first {} %d");
  log::open(file, 1, 2);
  log::debug("second");
  const std::string text = read_text(file);
  EXPECT_NE(text.find("[rank 1] debug: first {} %d\n"), std::string::npos) << text;
  EXPECT_NE(text.find("second\n"), std::string::npos) << text;
}

TEST_F(Log, OtherRanksShowOnlyWarnings) {
  ::testing::internal::CaptureStderr();
  log::set_ranks(3, 4);
  log::info("quiet");
  log::warn("loud");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "[rank 3] warning: loud\n");
}

TEST_F(Log, RootShowsInfoWithoutPrefixWhenAlone) {
  ::testing::internal::CaptureStderr();
  log::set_ranks(0, 1);
  log::info("hello");
  log::debug("hidden");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "info: hello\n");
}

TEST_F(Log, NamesTheFileItCannotOpen) {
  try {
    log::open("/proc/no-such-folder/rank.log", 0, 1);
    ADD_FAILURE() << "opened";
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("/proc/no-such-folder/rank.log"), std::string::npos) << fault.what();
  }
}

}  // namespace
}  // namespace eidolon
