// No bytes crash the reader: each text is either a job or BadInput on one line.
#include <random>

#include "base/error.h"
#include "job/reader.h"
#include "job_fixture.h"

namespace eidolon {
namespace {

class ReaderRandomBytes : public JobFolder {
 protected:
  void expect_job_or_refusal(const std::string& text) const {
    const auto file = write("job.toml", text);
    try {
      read_job(file, {});
    } catch (const BadInput& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }

  std::mt19937 random{20260301};

  std::size_t below(std::size_t end) { return random() % end; }
};

TEST_F(ReaderRandomBytes, NoiseIsRefused) {
  for (int round = 0; round < 500; ++round) {
    std::string text(below(400), '\0');
    for (char& byte : text) {
      byte = static_cast<char>(random());
    }
    expect_job_or_refusal(text);
  }
}

TEST_F(ReaderRandomBytes, DamagedJobsAreReadOrRefused) {
  Job job;
  job.teacher.weights = "/models/teacher";
  const std::string sound = to_toml(job);
  const std::string marks = "[]{}\"'=.,#\n\\$-+_e0 \t\r";
  for (int round = 0; round < 1500; ++round) {
    std::string text = sound.substr(0, below(4) == 0 ? below(sound.size()) : sound.size());
    for (std::size_t damage = below(4); damage > 0 && !text.empty(); --damage) {
      const std::size_t at = below(text.size());
      const char byte = below(2) == 0 ? marks[below(marks.size())] : static_cast<char>(random());
      below(2) == 0 ? text.insert(at, 1, byte) : text.replace(at, 1 + below(6), 1, byte);
    }
    expect_job_or_refusal(text);
  }
}

TEST_F(ReaderRandomBytes, DeepNestingIsRefused) {
  const auto repeated = [](const std::string& piece, std::size_t times) {
    std::string text;
    for (std::size_t i = 0; i < times; ++i) {
      text += piece;
    }
    return text;
  };
  EXPECT_THROW(read_job(write("job.toml", repeated("a.", 2048) + "a = 1\n"), {}), BadInput);
  EXPECT_THROW(read_job(write("job.toml", "[run." + repeated("a.", 2047) + "a]\n"), {}), BadInput);
  EXPECT_THROW(read_job(write("job.toml", "a" + repeated(".a", 30000) + " = 1\n"), {}), BadInput);
  EXPECT_THROW(read_job(write("job.toml", "a = " + repeated("[", 60000)), {}), BadInput);
  EXPECT_THROW(read_job(write("job.toml", "a = " + repeated("{a.b.c.d.e.f = ", 400)), {}), BadInput);
}

}  // namespace
}  // namespace eidolon
