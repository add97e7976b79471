#include "job/schema.h"

#include <algorithm>
#include <map>
#include <set>

#include "gtest/gtest.h"
#include "job/reader.h"
#include "job_fixture.h"

namespace eidolon {
namespace {

/// The address and size of every field that the schema lists.
std::map<const char*, std::size_t> listed_bytes(const Job& job) {
  std::map<const char*, std::size_t> fields;
  visit_keys(job, [&](const Key&, const auto& field) { fields[reinterpret_cast<const char*>(&field)] = sizeof field; });
  return fields;
}

TEST(Schema, ListsEachFieldOnce) {
  const Job job;
  std::set<std::string> names;
  std::size_t keys = 0;
  visit_keys(job, [&](const Key& key, const auto&) {
    names.insert(full_name(key));
    ++keys;
  });
  EXPECT_EQ(names.size(), keys);
  EXPECT_EQ(listed_bytes(job).size(), keys);
}

// A field that job.h has and the schema lacks would leave a hole of at least its own size; padding leaves fewer than 8 bytes
// behind a field, except where it joins an omitted bool.
TEST(Schema, LeavesNoFieldOut) {
  const Job job;
  const char* end = reinterpret_cast<const char*>(&job.teacher);
  for (const auto& [address, size] : listed_bytes(job)) {
    EXPECT_LT(address - end, 8) << "a field of job.h before byte " << address - reinterpret_cast<const char*>(&job)
                                << " of the job has no key";
    end = address + size;
  }
  EXPECT_LT(reinterpret_cast<const char*>(&job + 1) - end, 8);
}

TEST(Schema, DefaultsAreAllowed) {
  const Job job;
  visit_keys(job, [&]<class Field>(const Key& key, const Field& field) {
    if constexpr (std::is_arithmetic_v<Field> && !std::is_same_v<Field, bool>) {
      EXPECT_GE(static_cast<double>(field), key.allowed.low) << full_name(key);
      EXPECT_LE(static_cast<double>(field), key.allowed.high) << full_name(key);
    }
    if constexpr (std::is_same_v<Field, std::string>) {
      EXPECT_TRUE(key.allowed.choices.empty() || std::ranges::count(key.allowed.choices, field)) << full_name(key);
    }
  });
}

TEST(Schema, DescriptionNamesEveryKeyWithItsHelpOnOneLine) {
  const std::string table = describe_keys();
  std::size_t lines = 1;  // the heading
  const Job job;
  visit_keys(job, [&](const Key& key, const auto&) {
    EXPECT_FALSE(key.help.empty()) << full_name(key);
    const std::string name = full_name(key);
    const std::size_t start = table.find(std::string("\n").append(name).append(" "));
    ASSERT_NE(start, std::string::npos) << full_name(key);
    const std::string line = table.substr(start + 1, table.find('\n', start + 1) - start - 1);
    EXPECT_TRUE(line.ends_with(key.help)) << line;
    ++lines;
  });
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(table, '\n')), lines);
  EXPECT_NE(table.find("an integer from 2 to 8"), std::string::npos);
  EXPECT_NE(table.find("\"cpu\", \"cuda\" or \"auto\""), std::string::npos);
}

}  // namespace
}  // namespace eidolon
