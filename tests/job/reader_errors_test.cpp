// What the reader says when a job is wrong: the whole text, since it is what the user gets.
#include <cstdlib>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "job/reader.h"
#include "job_fixture.h"

namespace eidolon {
namespace {

class ReaderErrors : public JobFolder {
 protected:
  static std::string message(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
    try {
      read_job(file, overrides);
    } catch (const BadInput& error) {
      return error.what();
    }
    return "(accepted)";
  }

  /// Of a file, with its folder cut off: "job.toml:3: ...".
  std::string of_file(std::string_view text) const {
    const std::string said = message(write("job.toml", text), {});
    const std::string prefix = folder.string() + "/";
    return said.starts_with(prefix) ? said.substr(prefix.size()) : said;
  }

  /// Of `[section]` with one line below it, which is line 4 of a job that is right otherwise.
  std::string of_line(const std::string& section, const std::string& line) const {
    return of_file("[teacher]\nweights = \"/m\"\n[" + section + "]\n" + line + "\n");
  }

  std::string of_override(const std::string& text) const {
    return message(write("job.toml", "[teacher]\nweights = \"/m\"\n"), {text});
  }
};

TEST_F(ReaderErrors, UnknownKeys) {
  EXPECT_EQ(of_line("synthesis", "iteratons = 3"), "job.toml:4: unknown key 'synthesis.iteratons'; nearest is 'iterations'");
  EXPECT_EQ(of_line("quantization", "weight_bit = 3\nweigth_bits = 4"),
            "job.toml:4: unknown key 'quantization.weight_bit'; nearest is 'weight_bits'");
  EXPECT_EQ(of_line("synthesis", "weight_bits = 3"),
            "job.toml:4: unknown key 'synthesis.weight_bits'; nearest is 'quantization.weight_bits'");
  EXPECT_EQ(of_line("synthesis", "\"crop\\ns\" = 3"), "job.toml:4: unknown key 'synthesis.crop?s'; nearest is 'sardfq.crops'");
  EXPECT_EQ(of_line("synthesis", "Images = 3"), "job.toml:4: unknown key 'synthesis.Images'; nearest is 'images'");
}

TEST_F(ReaderErrors, BitsThatAFormatDoesNotHave) {
  EXPECT_EQ(of_line("quantization", "recipe = \"research\"\nweight_format = \"mxfp8_e4m3\"\nweight_bits = 4"),
            "job.toml: 'quantization.weight_bits' is 4, but the format \"mxfp8_e4m3\" has 8 bits; leave the key out, or set it "
            "to 8");
  EXPECT_EQ(
      of_line("quantization", "recipe = \"research\"\nactivation_bits = 8\nactivation_format = \"nvfp4\""),
      "job.toml: 'quantization.activation_bits' is 8, but the format \"nvfp4\" has 4 bits; leave the key out, or set it to "
      "4");
  EXPECT_EQ(of_line("quantization", "recipe = \"research\"\nweight_format = \"nvfp4\"\nweight_bits = 4"), "(accepted)");
  EXPECT_EQ(of_line("quantization", "recipe = \"research\"\nweight_format = \"mxfp8_e5m2\""), "(accepted)");
  EXPECT_EQ(of_line("quantization", "recipe = \"research\"\nweight_format = \"integer_block32\"\nweight_bits = 3"),
            "(accepted)");
}

TEST_F(ReaderErrors, RoundingThatNeedsEvenSteps) {
  const std::string rest =
      " chooses among even steps with a scale per channel, but 'quantization.weight_format' is \"mxfp4\"; set it to "
      "\"integer\", or choose another method";
  EXPECT_EQ(of_line("quantization", "recipe = \"research\"\nweight_format = \"mxfp4\"\ncorrection = \"ridge\""),
            "job.toml: 'quantization.correction' = \"ridge\"" + rest);
  EXPECT_EQ(of_line("quantization", "recipe = \"research\"\nweight_format = \"mxfp4\"\n[finetuning]\nrounding = \"adaround\""),
            "job.toml: 'finetuning.rounding' = \"adaround\"" + rest);
}

TEST_F(ReaderErrors, UnknownKeysOfGroups) {
  EXPECT_EQ(of_line("synthesis.views", "smallest_view = 1"),
            "job.toml:4: unknown key 'synthesis.views.smallest_view'; nearest is 'smallest_side'");
  EXPECT_EQ(of_line("synthesis", "smallest_view = 1"),
            "job.toml:4: unknown key 'synthesis.smallest_view'; nearest is 'views.smallest_side'");
  EXPECT_EQ(of_line("synthesis", "crops = 1"),
            "job.toml:4: unknown key 'synthesis.crops'; nearest is 'synthesis.sardfq.crops'");
  EXPECT_EQ(of_line("synthesis", "sardfq = 1"),
            "job.toml:4: 'synthesis.sardfq' is a section; write [synthesis.sardfq] and its keys below");
  EXPECT_EQ(of_line("synthesis.sardqf", "crops = 1"),
            "job.toml:3: unknown section 'synthesis.sardqf'; nearest is 'synthesis.sardfq'");
  EXPECT_EQ(of_override("synthesis.sardfq.crop=1"),
            "--set synthesis.sardfq.crop=1: unknown key 'synthesis.sardfq.crop'; nearest is 'crops'");
}

TEST_F(ReaderErrors, KeysOfMethodsThatAreNotChosen) {
  const std::string said =
      "'synthesis.sardfq.crops' belongs to synthesis.method = \"sardfq\", which is \"views\" in this job; leave the key "
      "out, or choose \"sardfq\"";
  EXPECT_EQ(of_line("synthesis.sardfq", "crops = 1"), "job.toml:4: " + said);
  EXPECT_EQ(of_override("synthesis.sardfq.crops=1"), "--set synthesis.sardfq.crops=1: " + said);
  EXPECT_EQ(of_line("finetuning.adaround", "learning_rate = 1"),
            "job.toml:4: 'finetuning.adaround.learning_rate' belongs to finetuning.rounding = \"adaround\", which is "
            "\"straight_through\" in this job; leave the key out, or choose \"adaround\"");
  EXPECT_EQ(of_line("quantization", "weight_bits = 4"),
            "job.toml:4: 'quantization.weight_bits' belongs to quantization.recipe = \"research\", which is \"int8\" in this "
            "job; leave the key out, or choose \"research\"");
  EXPECT_EQ(of_line("quantization", "int4_scales = \"channel\""),
            "job.toml:4: 'quantization.int4_scales' belongs to quantization.recipe = \"w4a8\" or \"w4a16\", which is \"int8\" "
            "in this job; leave the key out, or choose \"w4a8\" or \"w4a16\"");
  EXPECT_EQ(of_file("[finetuning]\nmethod = \"none\"\n[finetuning.distill]\nimages = \"stored\"\n"),
            "job.toml:4: 'finetuning.distill.images' belongs to finetuning.method = \"blockwise\" or \"distill\", which is "
            "\"none\" in this job; leave the key out, or choose \"blockwise\" or \"distill\"");
}

TEST_F(ReaderErrors, GeneratorsWithoutWholeGroupsOfPairs) {
  const std::string said =
      ", but a step has whole groups of 'synthesis.unit_images' = 16 images in pairs; set it to a multiple of that, which is "
      "even";
  EXPECT_EQ(of_line("synthesis", "method = \"generator\"\n[synthesis.generator]\nbatch = 24"),
            "job.toml: 'synthesis.generator.batch' is 24" + said);
  EXPECT_EQ(of_line("synthesis", "method = \"generator\"\n[synthesis.generator]\nbatch = 32"), "(accepted)");
  EXPECT_EQ(of_line("finetuning.distill", "images = \"generator, stored\""),
            "job.toml: 'finetuning.distill.images' names \"generator\", which only 'synthesis.method' = \"generator\" trains; "
            "set one of them otherwise");
}

TEST_F(ReaderErrors, UnknownSections) {
  EXPECT_EQ(of_line("synthesys", "images = 3"), "job.toml:3: unknown section 'synthesys'; nearest is 'synthesis'");
  EXPECT_EQ(of_file("[runs]\n"), "job.toml:1: unknown section 'runs'; nearest is 'run'");
  EXPECT_EQ(of_file("\nimages = 3\n"), "job.toml:2: 'images' stands outside any section; nearest is 'synthesis.images'");
  EXPECT_EQ(of_file("zzz = 3\n"), "job.toml:1: 'zzz' stands outside any section; the first section is [teacher]");
  EXPECT_EQ(of_file("synthesis = 3\n"), "job.toml:1: 'synthesis' is a section; write [synthesis] and its keys below");
  EXPECT_EQ(of_file("[[synthesis]]\nimages = 3\n"),
            "job.toml:1: 'synthesis' is a section; write [synthesis] and its keys below");
}

TEST_F(ReaderErrors, WrongTypes) {
  const auto expect = [&](const std::string& section, const std::string& line, const std::string& said) {
    EXPECT_EQ(of_line(section, line), "job.toml:4: " + said);
  };
  expect("synthesis", "images = \"many\"", "'synthesis.images' is 'many', but must be an integer from 1 to 99999999");
  expect("synthesis", "images = 2.5", "'synthesis.images' is 2.5, but must be an integer from 1 to 99999999");
  expect("synthesis", "images = [1]", "'synthesis.images' is an array, but must be an integer from 1 to 99999999");
  expect("synthesis", "images = 2020-01-01", "'synthesis.images' is a date or time, but must be an integer from 1 to 99999999");
  expect("finetuning", "token_units = 1", "'finetuning.token_units' is 1, but must be true or false");
  expect("synthesis", "learning_rate = true", "'synthesis.learning_rate' is true, but must be a number from 0 to 1e+09");
  expect("synthesis", "method = 3",
         "'synthesis.method' is 3, but must be \"views\", \"sardfq\", \"psaq\", \"psaq_v2\", \"generator\", \"gaussian\" or "
         "\"given\"");
  expect("evaluation", "images = 3", "'evaluation.images' is 3, but must be a path in quotes");
  expect("synthesis", "images = \"auto\"", "'synthesis.images' is 'auto', but must be an integer from 1 to 99999999");
  expect("run", "threads = \"all\"", "'run.threads' is 'all', but must be an integer from 1 to 4096 or \"auto\"");
  EXPECT_EQ(of_file("[synthesis.images]\n"),
            "job.toml:1: 'synthesis.images' is a table, but must be an integer from 1 to 99999999");
}

TEST_F(ReaderErrors, RoundingsThatRecipesDoNotHave) {
  for (const std::string recipe : {"int8", "w4a16", "nvfp4"}) {
    const std::string reason = " chooses among even steps with a scale per channel, but 'quantization.recipe' is \"" + recipe +
                               "\", in which not all weights have those; set it to \"research\", or choose another method";
    const std::string line = "recipe = \"" + recipe + "\"\n";
    for (const std::string correction : {"rounding", "ridge"}) {
      EXPECT_EQ(of_line("quantization", line + "correction = \"" + correction + "\""),
                "job.toml: 'quantization.correction' = \"" + correction + "\"" + reason);
    }
    EXPECT_EQ(of_line("quantization", line + "[finetuning]\nrounding = \"adaround\""),
              "job.toml: 'finetuning.rounding' = \"adaround\"" + reason);
  }
}

TEST_F(ReaderErrors, ListsHoldNamesThatThereAre) {
  EXPECT_EQ(of_line("run", "export = [\"onnx\", \"packed\"]"), "(accepted)");
  EXPECT_EQ(of_line("run", "export = \"onnx, packed\""), "(accepted)");
  EXPECT_EQ(of_line("run", "export = []"), "(accepted)");
  for (const char* list : {"[\"onnxx\"]", "[1]", "\"onnx,\"", "\"onnx:2\""})
    EXPECT_NE(of_line("run", std::string("export = ") + list), "(accepted)") << list;
  EXPECT_NE(of_line("synthesis", "method = [\"views\"]"), "(accepted)") << "no list";
}

TEST_F(ReaderErrors, ValuesOutOfRange) {
  const auto expect = [&](const std::string& section, const std::string& line, const std::string& said) {
    EXPECT_EQ(of_line(section, line), "job.toml:4: " + said);
  };
  for (const char* bits : {"1", "9", "-4"}) {
    for (const std::string key : {"weight_bits", "activation_bits"}) {
      EXPECT_EQ(of_line("quantization", "recipe = \"research\"\n" + key + " = " + bits),
                "job.toml:5: 'quantization." + key + "' is " + bits + ", but must be an integer from 2 to 8");
    }
  }
  expect("synthesis", "unit_images = 0", "'synthesis.unit_images' is 0, but must be an integer from 1 to 4096");
  expect("synthesis", "iterations = -1", "'synthesis.iterations' is -1, but must be an integer from 0 to 1000000000");
  expect("synthesis", "seed = -1", "'synthesis.seed' is -1, but must be an integer of at least 0");
  expect("synthesis", "method = \"gausian\"",
         "'synthesis.method' is 'gausian', but must be \"views\", \"sardfq\", \"psaq\", \"psaq_v2\", \"generator\", "
         "\"gaussian\" or \"given\"");
  for (const char* start : {"leafs", "", "pink:0", "pink:1.5", "pink:1,", "leaves:2, leafs:1", "pink leaves"}) {
    expect("synthesis", std::string("start = \"") + start + "\"",
           std::string("'synthesis.start' is '") + start +
               "', but must be \"gaussian\", \"pink\", \"leaves\", \"scenes\" or \"textures\", or several with shares "
               "(\"leaves:2, pink:1\")");
  }
  expect("run", "device = \"gpu\"", "'run.device' is 'gpu', but must be \"cpu\", \"cuda\" or \"auto\"");
  for (const char* number : {"nan", "inf", "-inf"}) {
    expect("synthesis", std::string("learning_rate = ") + number,
           std::string("'synthesis.learning_rate' is ") + number + ", but must be a number from 0 to 1e+09");
  }
}

TEST_F(ReaderErrors, ValuesThatContradictEachOther) {
  EXPECT_EQ(
      of_line("synthesis", "method = \"gaussian\"\nstart = \"pink\""),
      "job.toml: 'synthesis.method' is 'gaussian', which is noise alone, but 'synthesis.start' is 'pink'; for other starts "
      "alone set synthesis.iterations = 0 instead");
  EXPECT_EQ(of_line("synthesis", "method = \"psaq_v2\"\niterations = 0\noptimised_share = 0.5"),
            "job.toml: 'synthesis.iterations' is 0, so that the first round optimises nothing, but 'synthesis.psaq_v2.cycles' "
            "goes on with a share of its units; set 'synthesis.optimised_share' to 1, or the iterations to 1 or more");
  EXPECT_EQ(of_file(""),
            "job.toml: 'teacher.weights' is missing; give the folder that holds model.safetensors and config.json");
}

TEST_F(ReaderErrors, Variables) {
  unsetenv("EIDOLON_TEST_UNSET");
  EXPECT_EQ(of_file("[teacher]\nweights = \"${EIDOLON_TEST_UNSET}/m\"\n"),
            "job.toml:2: the environment variable 'EIDOLON_TEST_UNSET' is not set; set it or write the path out");
  EXPECT_EQ(of_file("[teacher]\nweights = \"${HOME/m\"\n"),
            "job.toml:2: '${' has no closing '}' in '${HOME/m'; close it, or write $${ for the characters themselves");
  EXPECT_EQ(of_file("[teacher]\nweights = \"${}/m\"\n"),
            "job.toml:2: the environment variable '' is not set; set it or write the path out");
}

TEST_F(ReaderErrors, PathsThatCannotBeWrittenBack) {
  EXPECT_EQ(of_file("[teacher]\nweights = \"/a\\u0000b\"\n"),
            "job.toml:2: the path '/a?b' is not UTF-8 text; rename the folder");
  EXPECT_EQ(of_override("teacher.weights=/a\xff"),
            "--set teacher.weights=/a\xff: the path '/a\xff' is not UTF-8 text; rename the folder");
}

TEST_F(ReaderErrors, Overrides) {
  EXPECT_EQ(of_override("synthesis.iteratons=3"),
            "--set synthesis.iteratons=3: unknown key 'synthesis.iteratons'; nearest is 'iterations'");
  EXPECT_EQ(of_override("sintesis.images=3"), "--set sintesis.images=3: unknown section 'sintesis'; nearest is 'synthesis'");
  for (const std::string text : {"synthesis.images", "images=3", "", "=", "a=b.c"}) {
    EXPECT_EQ(of_override(text), "--set " + text + ": expected section.key=value, such as synthesis.images=256");
  }
  EXPECT_EQ(of_override("synthesis.images=12x"),
            "--set synthesis.images=12x: 'synthesis.images' is '12x', but must be an integer from 1 to 99999999");
  EXPECT_EQ(of_override("synthesis.images=3\nunit_images=4"),
            "--set synthesis.images=3?unit_images=4: 'synthesis.images' is '3?unit_images=4', but must be an integer from 1 to "
            "99999999");
  EXPECT_EQ(of_override("synthesis.images=[1,2]"),
            "--set synthesis.images=[1,2]: 'synthesis.images' is an array, but must be an integer from 1 to 99999999");
}

TEST_F(ReaderErrors, FilesThatAreNoJob) {
  EXPECT_EQ(message(folder / "absent.toml", {}), (folder / "absent.toml").string() + ": there is no such job file");
  EXPECT_EQ(message(folder, {}), folder.string() + ": is a folder; give the job file inside it");
  EXPECT_TRUE(of_file("[synthesis]\nimages = \n").starts_with("job.toml:2: not TOML: ")) << of_file("[synthesis]\nimages = \n");
  EXPECT_TRUE(of_file("[synthesis]\nimages = 1\nimages = 2\n").starts_with("job.toml:3: not TOML: "));
  EXPECT_TRUE(of_file("\x89PNG\r\n").starts_with("job.toml:1: not TOML: "));
  for (const char* header : {"[[[1]]]", "[[=", "[\nrun]", "[[", "[", "[run] \u00b1", "\u00b1 1", "x\u0142"}) {
    EXPECT_NE(of_file(header).find(": not TOML: "), std::string::npos) << header;
  }
  for (const std::string& text : {std::string(70000, ' '), "# " + std::string(3000, '.')}) {
    EXPECT_EQ(of_file(text), "job.toml: is larger than any job (64 KiB, 2048 dots); is it a job file?");
  }
}

// The run directory is data_out/<job name>.
TEST_F(ReaderErrors, AJobWhoseNameWouldLeaveTheFolderOfRunsIsRefused) {
  for (const char* name : {"..toml", "...toml"}) {
    const std::string said = message(write(name, "[teacher]\nweights = \"x\"\n"), {});
    EXPECT_NE(said.find("is no name for a run directory; rename the job file"), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace eidolon
