#include "storage/hdf5.h"

#include "storage/atomic_file.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using testing::TemporaryFolder;

using Fill = std::function<void(const hdf5::File&)>;

/// What `fill` made, on disk and opened for reading.
hdf5::File written(const std::filesystem::path& path, const Fill& fill) {
  const hdf5::Image image = hdf5::make_image("memory", 512, fill);
  write_text_atomically(path, {reinterpret_cast<const char*>(image.bytes().data()), image.size});
  return hdf5::open_file(path);
}

TEST(Hdf5, ReadsBackTensorsOfEveryStoredDtype) {
  const TemporaryFolder folder;
  const Tensor counting = at::arange(6).view({2, 3}) - 3;
  const auto dtypes = {at::kByte, at::kInt, at::kLong, at::kFloat, at::kDouble};
  const hdf5::File file = written(folder / "f.h5", [&](const hdf5::File& made) {
    for (const at::ScalarType dtype : dtypes) hdf5::write_tensor(made, at::toString(dtype), counting.to(dtype));
  });
  for (const at::ScalarType dtype : dtypes) {
    const Tensor tensor = hdf5::read_tensor(file, at::toString(dtype));
    EXPECT_EQ(tensor.scalar_type(), dtype);
    EXPECT_TRUE(tensor.equal(counting.to(dtype))) << at::toString(dtype);
  }
  EXPECT_EQ(hdf5::dataset_names(file), (std::vector<std::string>{"Byte", "Double", "Float", "Int", "Long"}));
}

TEST(Hdf5, StoresBoolAsBytesAndRefusesWhatItDoesNotStore) {
  const TemporaryFolder folder;
  const hdf5::File file = written(folder / "f.h5", [](const hdf5::File& made) {
    hdf5::write_tensor(made, "mask", at::arange(3).gt(0));
    EXPECT_ERROR(Fault, "'half' of memory: dtype Half", hdf5::write_tensor(made, "half", at::ones({1}, at::kHalf)));
    EXPECT_ERROR(Fault, "'none' of memory", hdf5::write_tensor(made, "none", Tensor()));
  });
  EXPECT_TRUE(hdf5::read_tensor(file, "mask").equal(at::tensor({0, 1, 1}, at::kByte)));
}

TEST(Hdf5, KeepsScalarsAndEmptyTensors) {
  const TemporaryFolder folder;
  const hdf5::File file = written(folder / "f.h5", [](const hdf5::File& made) {
    hdf5::write_tensor(made, "scalar", at::full({}, 7, at::kLong));
    hdf5::write_tensor(made, "empty", at::empty({2, 0, 3, 4}, at::kFloat));
  });
  EXPECT_EQ(hdf5::read_tensor(file, "scalar").dim(), 0);
  EXPECT_EQ(hdf5::read_tensor(file, "scalar").item<int64_t>(), 7);
  EXPECT_EQ(hdf5::read_tensor(file, "empty").sizes(), (std::vector<int64_t>{2, 0, 3, 4}));
}

TEST(Hdf5, ChunksImagesOneByOne) {
  const TemporaryFolder folder;
  const hdf5::File file = written(folder / "f.h5", [](const hdf5::File& made) {
    hdf5::write_tensor(made, "images", at::zeros({3, 1, 2, 5}, at::kByte));
  });
  const hdf5::Handle dataset(H5Dopen2(file.handle.id(), "images", H5P_DEFAULT), H5Dclose);
  const hdf5::Handle layout(H5Dget_create_plist(dataset.id()), H5Pclose);
  hsize_t chunk[4] = {};
  ASSERT_EQ(H5Pget_chunk(layout.id(), 4, chunk), 4);
  EXPECT_EQ(std::vector<hsize_t>(chunk, chunk + 4), (std::vector<hsize_t>{1, 1, 2, 5}));
}

TEST(Hdf5, KeepsAttributesOfAnyTextAndLength) {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> attributes{
      {"empty", ""}, {"long", std::string(200'000, 'x')}, {"text", "größe = \"224\"\n"}};
  const hdf5::File file = written(folder / "f.h5", [&](const hdf5::File& made) {
    for (const auto& [name, text] : attributes) hdf5::write_attribute(made, name, text);
    EXPECT_ERROR(Fault, "'zero' of memory", hdf5::write_attribute(made, "zero", std::string("a\0b", 3)));
  });
  EXPECT_EQ(hdf5::read_attributes(file), attributes);
}

TEST(Hdf5, KeepsManyTensorsAndAttributes) {
  const TemporaryFolder folder;
  const hdf5::File file = written(folder / "f.h5", [&](const hdf5::File& made) {
    for (int i = 0; i < 500; ++i) {
      const std::string name = std::to_string(i);
      hdf5::write_tensor(made, "student/blocks." + name + "/weight", at::full({i % 7}, i));
      hdf5::write_attribute(made, name, name);
    }
  });
  EXPECT_EQ(hdf5::dataset_names(file).size(), 500);
  EXPECT_EQ(hdf5::read_attributes(file).size(), 500);
  EXPECT_TRUE(hdf5::read_tensor(file, "student/blocks.499/weight").equal(at::full({2}, 499)));
}

TEST(Hdf5, ReadsFixedLengthTextAndRefusesOtherAttributes) {
  const TemporaryFolder folder;
  const auto write = [](const hdf5::File& made, const char* name, hid_t type, const void* value) {
    const hdf5::Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    const hdf5::Handle attribute(H5Acreate2(made.handle.id(), name, type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    EXPECT_GE(H5Awrite(attribute.id(), type, value), 0);
  };
  const auto text_type = [](H5T_str_t padding) {
    hdf5::Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    EXPECT_GE(H5Tset_size(type.id(), 6), 0);
    EXPECT_GE(H5Tset_strpad(type.id(), padding), 0);
    return type;
  };
  const hdf5::File texts = written(folder / "texts.h5", [&](const hdf5::File& made) {
    write(made, "full", text_type(H5T_STR_NULLPAD).id(), "abcdef");
    write(made, "spaces", text_type(H5T_STR_SPACEPAD).id(), "a b   ");
    write(made, "zeros", text_type(H5T_STR_NULLPAD).id(), "abc\0\0\0");
  });
  EXPECT_EQ(hdf5::read_attributes(texts),
            (std::map<std::string, std::string>{{"full", "abcdef"}, {"spaces", "a b"}, {"zeros", "abc"}}));
  const int64_t number = 7;
  const hdf5::File numbers =
      written(folder / "n.h5", [&](const hdf5::File& made) { write(made, "number", H5T_NATIVE_INT64, &number); });
  EXPECT_ERROR(Fault, "'number' of", hdf5::read_attributes(numbers));
}

TEST(Hdf5, ErrorsNameTheFileTheObjectAndTheFirstCauseAndPrintNothing) {
  const TemporaryFolder folder;
  write_text_atomically(folder / "garbage.h5", std::string(5000, 'g'));
  ::testing::internal::CaptureStderr();
  EXPECT_ERROR(Fault, "garbage.h5: file signature not found", hdf5::open_file(folder / "garbage.h5"));
  EXPECT_ERROR(Fault, "absent.h5: ", hdf5::open_file(folder / "absent.h5"));
  hdf5::make_image("memory", 512, [](const hdf5::File& file) {
    EXPECT_ERROR(Fault, "'nothing' of memory: ", hdf5::read_tensor(file, "nothing"));
    hdf5::write_tensor(file, "a", at::ones({1}));
    EXPECT_ERROR(Fault, "'a' of memory: name already exists", hdf5::write_tensor(file, "a", at::ones({1})));
    EXPECT_ERROR(Fault, "'a/b' of memory: ", hdf5::write_tensor(file, "a/b", at::ones({1})));
  });
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(Hdf5, LetsTheErrorOfAFillThrough) {
  EXPECT_ERROR(Fault, "stop", hdf5::make_image("memory", 512, [](const hdf5::File& file) {
                 hdf5::write_tensor(file, "a", at::ones({1}));
                 throw Fault("stop");
               }));
}

TEST(Hdf5, HandlesCloseOnceAndMove) {
  hdf5::Handle first(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  const hid_t id = first.id();
  {
    const hdf5::Handle second = std::move(first);
    EXPECT_EQ(second.id(), id);
    EXPECT_GT(H5Iis_valid(id), 0);
  }
  EXPECT_EQ(H5Iis_valid(id), 0);
}

}  // namespace
}  // namespace eidolon
