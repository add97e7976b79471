// Files of strangers, made by h5py with seals that hold.
#include <sys/resource.h>

#include "storage/tensor_archive.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/python.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using testing::TemporaryFolder;

class StrangeHdf5 : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_PYTHON();
    const auto [output, status] = testing::run_python("strange_hdf5.py", {folder.path()});
    ASSERT_EQ(status, 0) << output;
  }
  std::filesystem::path file(const std::string& name) const { return folder / (name + ".h5"); }
  const TemporaryFolder folder;
};

TEST_F(StrangeHdf5, OfPlainDatasetsIsRead) {
  const TensorArchive archive = read_archive(file("plain"));
  const Tensor values = at::arange(24).view({2, 3, 2, 2}).to(at::kByte);
  ASSERT_EQ(archive.tensors.size(), 5);
  EXPECT_TRUE(archive.tensors.at("contiguous").equal(values));
  EXPECT_TRUE(archive.tensors.at("chunked").equal(values));
  EXPECT_TRUE(archive.tensors.at("ragged").equal(at::arange(35).view({5, 7}).to(at::kInt)));
  EXPECT_TRUE(archive.tensors.at("group/scalar").equal(at::full({}, 7, at::kFloat)));
  EXPECT_EQ(archive.tensors.at("empty").sizes(), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(archive.attributes.at("text"), "of a stranger");
}

TEST_F(StrangeHdf5, BeyondPlainDatasetsIsRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> reasons = {
      {"external_storage", "its values lie in another file"},
      {"virtual", "it is virtual"},
      {"gzip", "its values are filtered (deflate)"},
      {"shuffle", "its values are filtered (shuffle)"},
      {"checksum", "its values are filtered (fletcher32)"},
      {"no_chunk", "it declares 3298534883328 bytes and 0 are stored"},
      {"one_chunk", "it declares 201326592 bytes and 192 are stored"},
      {"missing_chunk", "1 of its chunks are missing"},
      {"never_written", "it declares 1099511627776 bytes and 0 are stored"},
      {"beyond_counting", "more values than any memory holds"},
      {"empty_beyond_counting", "more values than any memory holds"},
      {"null_space", "it has no values"},
      {"external_link", "images is a link"},
      {"soft_link", "images is a link"},
      {"one_dataset_of_many_names", "more values than it has bytes"},
      {"deep_groups", "nested deeper than 16"},
      {"one_text_of_many_attributes", "declare more text than it has bytes"},
  };
  for (const auto& [name, reason] : reasons) {
    SCOPED_TRACE(name);
    ASSERT_EQ(verify_archive(file(name)), ArchiveState::sound);
    EXPECT_ERROR(BadInput, reason, read_archive(file(name)));
    EXPECT_ERROR(BadInput, file(name).string(), read_archive(file(name)));
  }
}

// What a file declares is not allocated first and refused then.
TEST_F(StrangeHdf5, AsksForNoMoreMemoryThanTheFileHasBytes) {
  for (const char* name : {"no_chunk", "never_written", "one_dataset_of_many_names"}) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const long peak = usage.ru_maxrss;
    EXPECT_THROW(read_archive(file(name)), BadInput) << name;
    getrusage(RUSAGE_SELF, &usage);
    EXPECT_LT(usage.ru_maxrss - peak, 32 * 1024) << name << ": kB";
  }
}

}  // namespace
}  // namespace eidolon
