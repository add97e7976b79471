#include "storage/late_file.h"

#include <chrono>
#include <fstream>
#include <thread>

#include "base/pulse.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using testing::TemporaryFolder;

TEST(LateFile, IsWaitedForWithSignsOfLife) {
  const TemporaryFolder folder;
  const int64_t before = pulses();
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    std::ofstream(folder / "late");
  });
  EXPECT_TRUE(await_file(folder / "late", 30));
  writer.join();
  EXPECT_GT(pulses(), before);
}

TEST(LateFile, ThatNeverComesIsGivenUp) {
  const TemporaryFolder folder;
  EXPECT_FALSE(await_file(folder / "never", 0.3));
  EXPECT_FALSE(await_file(folder / "never", 0));
  EXPECT_FALSE(await_file(folder / "no folder" / "never", 0.3));
}

}  // namespace
}  // namespace eidolon
