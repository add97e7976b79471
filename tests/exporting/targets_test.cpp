#include "exporting/targets.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/error.h"
#include "job/schema.h"

namespace eidolon {
namespace {

TEST(Targets, AreTheOnesThatAJobMayName) {
  std::set<std::string> named, there;
  const Job job;
  visit_keys(job, [&](const Key& key, const auto&) {
    if (full_name(key) == "run.export") named.insert(key.allowed.choices.begin(), key.allowed.choices.end());
  });
  for (const Target& target : export_targets()) there.insert(std::string(target.name));
  EXPECT_EQ(named, there);
}

TEST(Targets, ThatDoNotExistAreRefusedWithTheNamesOfThoseThatDo) {
  try {
    export_target("onyx");
    FAIL();
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("packed, onnx, openvino, tensorrt"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace eidolon
