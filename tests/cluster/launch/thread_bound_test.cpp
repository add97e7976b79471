#include "cluster/launch/thread_bound.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

ThreadBound bound(int64_t cores, int64_t ranks_on_cores, const std::string& omp_num_threads, std::optional<double> quota = {},
                  int64_t ranks_on_host = 1) {
  return bound_threads({cores, ranks_on_cores, ranks_on_host, omp_num_threads, quota});
}

TEST(ThreadBound, IsTheShareOfTheCores) {
  EXPECT_EQ(bound(16, 1, "").threads, 16);
  EXPECT_EQ(bound(16, 3, "").threads, 5);
  EXPECT_EQ(bound(2, 4, "").threads, 1);
  EXPECT_EQ(bound(2, 4, "").by, "cores");
}

TEST(ThreadBound, IsNoMoreThanOpenMpIsGranted) {
  EXPECT_EQ(bound(16, 1, "4").threads, 4);
  EXPECT_EQ(bound(16, 1, "4").by, "OMP_NUM_THREADS");
  EXPECT_EQ(bound(16, 1, " 4,2").threads, 4) << "of the first level";
  EXPECT_EQ(bound(16, 8, "4").threads, 2) << "cores that others use are not granted by it";
  EXPECT_EQ(bound(16, 8, "4").by, "cores");
}

TEST(ThreadBound, IgnoresWhatIsNoPositiveNumber) {
  for (const char* text : {"0", "-3", "many", "4x", " ", ",", "99999999999999999999"}) {
    EXPECT_EQ(bound(16, 1, text).threads, 16) << text;
  }
}

TEST(ThreadBound, IsNoMoreThanTheQuotaOfTheHostGivesEachRank) {
  EXPECT_EQ(bound(64, 1, "", 4.0).threads, 4);
  EXPECT_EQ(bound(64, 1, "", 2.9).threads, 2);
  EXPECT_EQ(bound(64, 1, "", 2.9).by, "CPU quota of 2.9 cores");
  EXPECT_EQ(bound(64, 4, "", 7.0, 4).threads, 1);
  EXPECT_EQ(bound(64, 1, "", 0.5).threads, 1) << "at least one";
  EXPECT_EQ(bound(64, 1, "2", 4.0).by, "OMP_NUM_THREADS");
  EXPECT_EQ(bound(2, 1, "", 4.0).by, "cores");
  EXPECT_EQ(bound(64, 1, "", 1e300).threads, 64);
}

/// A /proc/self/cgroup and a /sys/fs/cgroup of the test's own.
class CpuQuota : public ::testing::Test {
 protected:
  void belongs_to(const std::string& lines) { write("cgroup", lines); }
  void write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories((folder / file).parent_path());
    std::ofstream(folder / file) << text;
  }
  std::optional<double> quota() const { return cpu_quota(folder / "cgroup", folder / "fs"); }
  testing::TemporaryFolder folder;
};

TEST_F(CpuQuota, IsNoneWhereNothingIsSaid) {
  EXPECT_EQ(quota(), std::nullopt);
  belongs_to("0::/\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("fs/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST_F(CpuQuota, OfVersion2IsReadFromTheContainersOwnGroup) {
  belongs_to("0::/\n");
  write("fs/cpu.max", "250000 100000\n");
  EXPECT_EQ(quota(), 2.5);
}

TEST_F(CpuQuota, IsTheLeastOfAllGroupsAbove) {
  belongs_to("0::/slurm/job_7/step_0\n");
  write("fs/cpu.max", "max 100000\n");
  write("fs/slurm/cpu.max", "800000 100000\n");
  write("fs/slurm/job_7/cpu.max", "200000 50000\n");
  write("fs/slurm/job_7/step_0/cpu.max", "max 100000\n");
  write("fs/slurm/job_8/cpu.max", "10000 100000\n");
  EXPECT_EQ(quota(), 4);
}

// Docker without a namespace of control groups: the path is the host's, the mount shows the container's group alone.
TEST_F(CpuQuota, IsFoundAtTheMountWhereThePathLeadsNowhere) {
  belongs_to("0::/../../system.slice/docker-7.scope\n");
  write("fs/cpu.max", "100000 100000\n");
  EXPECT_EQ(quota(), 1);
}

TEST_F(CpuQuota, OfVersion1IsReadWhereTheCpuControllerIs) {
  belongs_to("12:memory:/a\n4:cpu,cpuacct:/docker/7\n2:cpuset:/b\n");
  write("fs/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("fs/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("fs/cpu,cpuacct/docker/7/cpu.cfs_quota_us", "300000\n");
  write("fs/cpu,cpuacct/docker/7/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 3);
}

TEST_F(CpuQuota, OfAMachineWithBothVersionsIsTheLeast) {
  belongs_to("1:cpu:/a\n0::/a\n");
  write("fs/cpu/a/cpu.cfs_quota_us", "300000\n");
  write("fs/cpu/a/cpu.cfs_period_us", "100000\n");
  write("fs/unified/a/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 1.5);
}

TEST_F(CpuQuota, IgnoresWhatIsNoQuota) {
  belongs_to("garbage\n0::\n0::relative\n0::/a\n");
  for (const char* text : {"", "0 100000", "100000 0", "100000", "-5 100000", "nan 100000", "many few"}) {
    write("fs/a/cpu.max", text);
    EXPECT_EQ(quota(), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace eidolon
