#include "reporting/event_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "reporting/metrics_log.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

// TensorBoard's own reader reads such files in tests/end_to_end/watch_test.py, where it is installed.
class EventFile : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }

  fs::path folder = fs::temp_directory_path() / ("eidolon-events-" + std::to_string(getpid()));
  fs::path metrics = folder / "metrics.jsonl", curves = folder / "new" / "curves";
  fs::path first = curves / "events.out.tfevents.00000.eidolon", second = curves / "events.out.tfevents.00001.eidolon";
  MetricsLog log{metrics};
};

TEST_F(EventFile, SumsAreThoseOfRfc3720) {  // appendix B.4, and the check value of the catalogue of CRCs
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
}

TEST_F(EventFile, BeginsAsTensorFlowsDo) {
  std::ofstream(metrics) << R"({"stage":"finetune/distill","step":1,"time":0,"loss":0.5})"
                         << "\n";
  // What tf.summary's writers put there: a length of 24, its masked sum, wall_time and file_version.
  const std::string events = events_of(metrics);
  ASSERT_GT(events.size(), 40U);
  EXPECT_EQ(events.substr(0, 8), std::string("\x18\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(events.substr(8, 4), "\xa3\x7f\x4b\x22");
  EXPECT_EQ(events.substr(12, 24), std::string("\x09\0\0\0\0\0\0\0\0\x1a\x0d", 11) + "brain.Event:2");
  EXPECT_NE(events.find("finetune/distill/loss"), std::string::npos);
}

TEST_F(EventFile, NewLinesAreAppended) {
  log.append("finetune", 1, {{"loss", 2}});
  follow_metrics(metrics, curves);
  const std::string before = read_text(first);
  EXPECT_EQ(before, events_of(metrics));
  log.append("finetune", 2, {{"loss", 1}});
  follow_metrics(metrics, curves);
  EXPECT_EQ(read_text(first), events_of(metrics));
  EXPECT_TRUE(read_text(first).starts_with(before));
  EXPECT_FALSE(fs::exists(second));
}

TEST_F(EventFile, NothingNewLeavesTheFileUntouched) {
  log.append("finetune", 1, {{"loss", 2}});
  follow_metrics(metrics, curves);
  const auto before = fs::last_write_time(first);
  follow_metrics(metrics, curves);
  EXPECT_EQ(fs::last_write_time(first), before);
}

TEST_F(EventFile, LinesThatWereCutBackMakeANextFile) {
  for (int64_t step = 1; step <= 3; ++step) log.append("finetune", step, {{"loss", 2}});
  follow_metrics(metrics, curves);
  log.cut_back("finetune", 1);
  follow_metrics(metrics, curves);
  EXPECT_EQ(fs::file_size(first), 0U);
  EXPECT_EQ(read_text(second), events_of(metrics));
}

TEST_F(EventFile, IsNotWrittenThroughALink) {
  log.append("finetune", 1, {{"loss", 2}});
  fs::create_directories(curves);
  std::ofstream(folder / "elsewhere").close();
  fs::create_symlink(folder / "elsewhere", first);
  EXPECT_THROW(follow_metrics(metrics, curves), Fault);
  EXPECT_EQ(fs::file_size(folder / "elsewhere"), 0U);
}

TEST_F(EventFile, WithoutLinesThereIsNone) {
  follow_metrics(metrics, curves);
  EXPECT_EQ(events_of(metrics), "");
  EXPECT_FALSE(fs::exists(curves));
}

}  // namespace
}  // namespace eidolon
