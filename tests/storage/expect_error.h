// EXPECT_ERROR(Fault, "damaged", read_archive(path)): the statement throws exactly that error with that text in its one line.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

#define EXPECT_ERROR(type, text, ...)                                                           \
  try {                                                                                         \
    __VA_ARGS__;                                                                                \
    ADD_FAILURE() << "no " #type " was thrown";                                                 \
  } catch (const type& error) {                                                                 \
    const std::string what = error.what();                                                      \
    EXPECT_NE(what.find(text), std::string::npos) << "the message is: " << what;                \
    EXPECT_EQ(what.find('\n'), std::string::npos) << "the message has several lines: " << what; \
  }
