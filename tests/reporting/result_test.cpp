#include "reporting/result.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"

namespace eidolon {
namespace {

/// Standard output is another file for as long as this lives.
struct Redirected {
  explicit Redirected(int file) : kept(dup(STDOUT_FILENO)) { dup2(file, STDOUT_FILENO); }
  ~Redirected() {
    dup2(kept, STDOUT_FILENO);
    close(kept);
  }
  int kept;
};

std::string refusal_by(int file) {
  const Redirected redirected(file);
  try {
    print_result("a result\n");
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "taken";
}

TEST(Result, ArrivesWholeThroughASlowPipeThatDoesNotBlock) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_NONBLOCK), 0);
  std::string sent(300000, 'x'), received;
  sent.back() = '\n';
  std::thread reader([&] {
    std::array<char, 4096> part{};
    while (received.size() < sent.size()) {
      const ssize_t count = read(ends[0], part.data(), part.size());
      if (count > 0) received.append(part.data(), static_cast<size_t>(count));
    }
  });
  {
    const Redirected redirected(ends[1]);
    print_result(sent);
  }
  reader.join();
  EXPECT_EQ(received, sent);
  close(ends[0]);
  close(ends[1]);
}

TEST(Result, IsAFaultOnAFullDisk) {
  const int full = open("/dev/full", O_WRONLY);
  EXPECT_NE(refusal_by(full).find("No space left"), std::string::npos);
  close(full);
}

TEST(Result, IsAFaultWithoutAReader) {
  hold_standard_streams();
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  close(ends[0]);
  EXPECT_NE(refusal_by(ends[1]).find("Broken pipe"), std::string::npos);
  close(ends[1]);
}

TEST(Result, IsAFaultOnAClosedStreamAndNoFileTakesItsPlace) {
  const int kept = dup(STDOUT_FILENO);
  close(STDOUT_FILENO);
  hold_standard_streams();
  const int file = open("/dev/null", O_WRONLY);
  std::string said = "taken";
  try {
    print_result("a result\n");
  } catch (const Fault& fault) {
    said = fault.what();
  }
  dup2(kept, STDOUT_FILENO);
  close(kept);
  EXPECT_NE(file, STDOUT_FILENO);
  close(file);
  EXPECT_NE(said.find("does not take the result"), std::string::npos) << said;
}

TEST(JsonText, ReplacesBytesThatAreNotUtf8) {
  const std::string text = json_text({{"folder",
                                       "gr\xF6\xDF"
                                       "e"}});
  EXPECT_EQ(text,
            "{\"folder\":\"gr\xEF\xBF\xBD\xEF\xBF\xBD"
            "e\"}");
  EXPECT_EQ(nlohmann::json::parse(text).size(), 1U);
}

}  // namespace
}  // namespace eidolon
