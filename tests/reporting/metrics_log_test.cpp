#include "reporting/metrics_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

class Metrics : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::vector<std::string> lines() const {
    std::vector<std::string> result;
    std::istringstream text(read_text(file));
    for (std::string line; std::getline(text, line);) result.push_back(line);
    return result;
  }

  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("eidolon-metrics-" + std::to_string(getpid()));
  std::filesystem::path file = folder / "metrics.jsonl";
  MetricsLog log{file};
};

TEST_F(Metrics, WritesOneObjectPerLine) {
  log.append("finetune", 3, {{"loss", 0.5}, {"bad", std::nan("")}});
  log.append("finetune", 4, {});
  ASSERT_EQ(lines().size(), 2);
  const auto json = nlohmann::json::parse(lines()[0]);
  EXPECT_EQ(json.at("stage"), "finetune");
  EXPECT_EQ(json.at("step"), 3);
  EXPECT_EQ(json.at("loss"), 0.5);
  EXPECT_TRUE(json.at("bad").is_null());
  EXPECT_EQ(json.at("undefined"), nlohmann::json({{"bad", "not a number"}}));
  EXPECT_FALSE(nlohmann::json::parse(lines()[1]).contains("undefined"));
  EXPECT_GT(json.at("time").get<double>(), 1.7e9);
}

TEST_F(Metrics, KeepsLinesWholeAfterATornOne) {
  std::ofstream(file) << "{\"stage\":\"finetune\",\"st";
  log.append("finetune", 1, {});
  ASSERT_EQ(lines().size(), 2);
  EXPECT_EQ(nlohmann::json::parse(lines()[1]).at("step"), 1);
}

TEST_F(Metrics, CutsBackItsStageOnly) {
  log.append("synthesize", 100, {});
  for (int64_t step = 1; step <= 5; ++step) log.append("finetune", step, {});
  std::ofstream(file, std::ios::app) << "{\"stage\":\"synthesize\",\"step\":1";
  log.cut_back("finetune", 3);
  ASSERT_EQ(lines().size(), 4);
  EXPECT_EQ(nlohmann::json::parse(lines()[0]).at("stage"), "synthesize");
  EXPECT_EQ(nlohmann::json::parse(lines()[3]).at("step"), 3);
}

TEST_F(Metrics, CutBackLeavesAWholeFileUntouched) {
  log.append("finetune", 1, {{"loss", 0.1}});
  const auto before = std::filesystem::last_write_time(file);
  log.cut_back("finetune", 1);
  EXPECT_EQ(std::filesystem::last_write_time(file), before);
}

TEST_F(Metrics, CutBackWithoutAFileDoesNothing) {
  log.cut_back("finetune", 3);
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(Metrics, InactiveWritesNothing) {
  MetricsLog inactive(file, false);
  inactive.append("finetune", 1, {});
  inactive.cut_back("finetune", 0);
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(Metrics, NamesTheFileItCannotWrite) {
  MetricsLog nowhere(folder / "absent" / "metrics.jsonl");
  try {
    nowhere.append("finetune", 1, {});
    ADD_FAILURE() << "written";
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("absent/metrics.jsonl"), std::string::npos) << fault.what();
  }
}

TEST_F(Metrics, AreNotWrittenThroughALink) {
  std::ofstream(folder / "elsewhere") << "kept";
  std::filesystem::create_symlink(folder / "elsewhere", file);
  try {
    MetricsLog(file, true).append("distill", 1, {});
    FAIL() << "was written";
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("nothing is written through links"), std::string::npos) << fault.what();
  }
  EXPECT_EQ(read_text(folder / "elsewhere"), "kept");
}

}  // namespace
}  // namespace eidolon
