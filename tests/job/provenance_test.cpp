#include "job/provenance.h"

#include <nlohmann/json.hpp>

#include "gtest/gtest.h"
#include "job/format_version.h"

namespace eidolon {
namespace {

TEST(Provenance, WritesTimesInUtc) {
  using namespace std::chrono;
  EXPECT_EQ(iso_8601(system_clock::time_point()), "1970-01-01T00:00:00Z");
  EXPECT_EQ(iso_8601(sys_days(2024y / February / 29) + 23h + 59min + 58s), "2024-02-29T23:59:58Z");
}

TEST(Provenance, HoldsWhatItWasTold) {
  Provenance provenance;
  provenance.mpi_library = "Open MPI v4.1.4, package: Debian\nbuilt somewhere";
  provenance.hosts = {"node1", "node1", "node2"};
  provenance.device = "cuda";
  provenance.threads = 8;
  provenance.command_line = {"eidolon", "run", "a job.toml"};
  const std::string text = environment_json(provenance);
  const auto json = nlohmann::json::parse(text);
  EXPECT_TRUE(text.ends_with("}\n"));
  EXPECT_EQ(json["mpi"], "Open MPI v4.1.4, package: Debian");
  EXPECT_EQ(json["ranks"], 3);
  EXPECT_EQ(json["hosts"][2], "node2");
  EXPECT_EQ(json["device"], "cuda");
  EXPECT_EQ(json["threads_per_rank"], 8);
  EXPECT_EQ(json["start"], "1970-01-01T00:00:00Z");
  EXPECT_EQ(json["command_line"][2], "a job.toml");
  EXPECT_EQ(json["format_version"], format_version);
  EXPECT_TRUE(json["libtorch"].get<std::string>().starts_with("2.")) << json["libtorch"];
  EXPECT_TRUE(program_version().starts_with(json["program"].get<std::string>()));
}

TEST(Provenance, SurvivesBytesThatAreNotUtf8) {
  Provenance provenance;
  provenance.command_line = {"eidolon", "\xff\xfe"};
  EXPECT_TRUE(nlohmann::json::accept(environment_json(provenance)));
}

}  // namespace
}  // namespace eidolon
