#include "evaluation/image_folder.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/evaluation/picture_files.h"

namespace eidolon {
namespace {

struct ImageFolder : ::testing::Test {
  TemporaryFolder folder;
  std::filesystem::path root = folder.path / "images";
  std::filesystem::path classes = folder.path / "classes.txt";

  void put(const std::string& name) { write_bytes(root / name, "x"); }

  std::string refusal(const std::filesystem::path& class_file, int64_t class_count = 10) {
    try {
      list_labelled_images(root, class_file, class_count);
    } catch (const BadInput& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(ImageFolder, TakesLabelsFromTheLinesOfTheClassFile) {
  write_bytes(classes, "zebra\r\nant\ncat \n\n");
  for (const char* name : {"ant/b.JPEG", "ant/a.png", "zebra/1.jpg", "ant/notes.txt", "README.txt", ".cache/x.jpg"}) {
    put(name);
  }
  const auto images = list_labelled_images(root, classes, 3).images;
  ASSERT_EQ(images.size(), 3U);
  EXPECT_EQ(images[0].path, root / "ant" / "a.png");
  EXPECT_EQ(images[1].path, root / "ant" / "b.JPEG");
  EXPECT_EQ(images[2].path, root / "zebra" / "1.jpg");
  EXPECT_EQ(images[0].label, 1);
  EXPECT_EQ(images[1].label, 1);
  EXPECT_EQ(images[2].label, 0);
}

TEST_F(ImageFolder, TakesIndicesWithoutAClassFile) {
  put("9/a.jpg");
  put("07/b.jpg");
  const auto images = list_labelled_images(root, "", 10).images;
  ASSERT_EQ(images.size(), 2U);
  EXPECT_EQ(images[0].label, 7);
  EXPECT_EQ(images[1].label, 9);
}

TEST_F(ImageFolder, NamesFoldersThatAreNoClass) {
  put("dog/a.jpg");
  write_bytes(classes, "ant\ncat\n");
  EXPECT_NE(refusal(classes).find("images/dog is no class"), std::string::npos);
  EXPECT_NE(refusal("").find("images/dog is not a class index"), std::string::npos);
}

TEST_F(ImageFolder, RefusesIndicesOutsideTheModel) {
  put("10/a.jpg");
  EXPECT_NE(refusal("").find("outside the model's classes 0..9"), std::string::npos);
  EXPECT_EQ(refusal("", 11), "");
}

TEST_F(ImageFolder, RefusesNegativeAndOverflowingIndices) {
  put("-1/a.jpg");
  EXPECT_NE(refusal("").find("outside the model's classes"), std::string::npos);
  std::filesystem::rename(root / "-1", root / "99999999999999999999");
  EXPECT_NE(refusal("").find("is not a class index"), std::string::npos);
}

TEST_F(ImageFolder, RefusesAClassTwice) {
  put("1/a.jpg");
  put("01/a.jpg");
  EXPECT_NE(refusal("").find("are both class 1"), std::string::npos);
  write_bytes(classes, "ant\ncat\nant\n");
  EXPECT_NE(refusal(classes).find("line 3 names class 'ant' a second time"), std::string::npos);
}

TEST_F(ImageFolder, RefusesClassFilesThatDoNotFit) {
  put("ant/a.jpg");
  write_bytes(classes, "ant\n\ncat\n");
  EXPECT_NE(refusal(classes).find("line 2 is empty"), std::string::npos);
  write_bytes(classes, "ant\nbee\ncat\n");
  EXPECT_NE(refusal(classes, 2).find("names 3 classes, the model has 2"), std::string::npos);
  EXPECT_NE(refusal(folder.path / "absent.txt").find("cannot read"), std::string::npos);
  EXPECT_NE(refusal(folder.path).find("cannot read"), std::string::npos);
}

TEST_F(ImageFolder, RefusesAMissingFolderAndOneWithoutImages) {
  EXPECT_NE(refusal("").find("no folder"), std::string::npos);
  write_bytes(root / "3" / "notes.txt", "x");
  EXPECT_NE(refusal("").find("no .jpg, .jpeg or .png"), std::string::npos);
}

TEST_F(ImageFolder, ReadsClassListsOfEveryEditor) {
  for (const char* text : {"\xEF\xBB\xBFzebra\r\nant \r\ncat\t\r\n", "\xEF\xBB\xBFzebra\nant\ncat", "zebra\nant\ncat\n\n"}) {
    write_bytes(classes, text);
    EXPECT_EQ(read_class_list(classes, 3), (std::vector<std::string>{"zebra", "ant", "cat"})) << text;
  }
  write_bytes(classes, std::string("\xFF\xFEz\0e\0\n\0", 8));
  put("zebra/a.jpg");
  EXPECT_NE(refusal(classes).find("UTF-16"), std::string::npos);
}

TEST_F(ImageFolder, CountsPicturesThatItPassesOver) {
  for (const char* name : {"0/a.jpg", "0/b.JFIF", "0/c.webp", "0/d.TIF", "1/e.tif", "1/f.bmp", "1/notes.txt", "1/.thumbs/g.gif",
                           "1/Thumbs.db", "0/more/h.jpg", "0/more/i.webp", "j.png"}) {
    put(name);
  }
  const ImageListing listing = list_labelled_images(root, "", 2);
  EXPECT_EQ(listing.images.size(), 2U);
  EXPECT_EQ(listing.unsupported, (std::map<std::string, int64_t>{{".bmp", 1}, {".tif", 2}, {".webp", 1}}));
  EXPECT_EQ(listing.misplaced, 3);
}

TEST_F(ImageFolder, SaysWhichPicturesThereAreIfNoneCanBeRead) {
  put("0/a.webp");
  put("0/b.webp");
  EXPECT_NE(refusal("").find("there are 2 .webp, which are not read"), std::string::npos) << refusal("");
}

const std::vector<std::string> model_names{"tench, Tinca tinca", "goldfish", "great_white shark", "hen"};

TEST(ClassList, ContradictsTheModelWhereItsNamesStandAtOtherIndices) {
  const std::string text = contradiction_of({"tench", "hen", "goldfish", "Great White Shark"}, model_names);
  EXPECT_NE(text.find("line 2 is 'hen'"), std::string::npos) << text;
  EXPECT_NE(text.find("as class 3 (class 1 is 'goldfish')"), std::string::npos) << text;
  EXPECT_NE(contradiction_of({"goldfish", "great white shark", "hen"}, model_names).find("line 1"), std::string::npos);
}

TEST(ClassList, DoesNotContradictWithTheSameOrOtherNames) {
  EXPECT_EQ(contradiction_of({"tench", "Goldfish", "great-white-shark", "hen"}, model_names), "");
  EXPECT_EQ(contradiction_of({"Tinca tinca", "goldfish"}, model_names), "");  // the first classes alone
  EXPECT_EQ(contradiction_of({"n01440764", "n01443537", "n01484850", "n01514859"}, model_names), "");
  EXPECT_EQ(contradiction_of({"Schleie", "Goldfisch", "Hai", "goldfish"}, model_names), "");  // other names, one by accident
  EXPECT_EQ(contradiction_of({"tench", "hen"}, {}), "");
}

// ImageNet calls two of its classes "crane" and two "maillot".
TEST(ClassList, TakesANameOfTwoClassesForEither) {
  EXPECT_EQ(contradiction_of({"crane", "hen", "crane bird"}, {"crane", "hen", "crane bird, crane"}), "");
  EXPECT_EQ(contradiction_of({"bird", "hen", "crane"}, {"crane", "hen", "crane, bird"}).find("line 1"), 0U);
}

}  // namespace
}  // namespace eidolon
