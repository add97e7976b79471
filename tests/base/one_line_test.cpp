#include "base/one_line.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace eidolon {
namespace {

TEST(OneLine, HasNothingThatSteersATerminal) {
  EXPECT_EQ(one_line("a\nb\x1b[31mc\x7f\td"), "a?b?[31mc??d");
  EXPECT_EQ(one_line("a\n\tb\r", "\n\t"), "a\n\tb?");
  EXPECT_EQ(one_line("Größe"), "Größe");
}

TEST(Errors, AreOneLineWhateverAFileBroughtIntoThem) {
  EXPECT_STREQ(BadInput("tensor 'a\nerror: b'; export it again").what(), "tensor 'a?error: b'; export it again");
  EXPECT_STREQ(Fault("x\x1b[2J").what(), "x?[2J");
}

}  // namespace
}  // namespace eidolon
