#include <gtest/gtest.h>

#include "cluster/on_root.h"
#include "model/loading/teacher.h"
#include "tests/model/model_data.h"

namespace eidolon {
namespace {

using testing::model_data;

TEST(LoadTeacher, EveryRankHasAllThatRankZeroRead) {
  for (const char* name : {"tiny_random", "tiny_random_hf"}) {
    const Teacher loaded = load_teacher(model_data(name), {}, Communicator::world()), read = read_teacher(model_data(name));
    EXPECT_EQ(loaded.model.plan->facts, read.model.plan->facts);
    EXPECT_EQ(to_json(loaded.preprocessing), to_json(read.preprocessing));
    EXPECT_EQ(loaded.content_hash, read.content_hash);
    EXPECT_EQ(loaded.class_names, read.class_names);
    EXPECT_EQ(loaded.model.parameters.size(), read.model.parameters.size());
    for (const auto& [parameter, tensor] : read.model.parameters) {
      EXPECT_TRUE(at::equal(loaded.model[parameter], tensor)) << parameter;
    }
  }
}

TEST(LoadTeacher, ARefusalReachesEveryRank) {
  const Communicator communicator = Communicator::world();
  EXPECT_THROW(load_teacher("/no/such/folder", {}, communicator), Error) << communicator.rank();
}

}  // namespace
}  // namespace eidolon
