#include "job/schema.h"

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "gtest/gtest.h"
#include "job/mixture.h"
#include "job/reader.h"
#include "job/toml_text.h"
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

void expect_allowed(const Job& job) {
  visit_keys(job, [&]<class Field>(const Key& key, const Field& field) {
    if constexpr (std::is_arithmetic_v<Field> && !std::is_same_v<Field, bool>) {
      EXPECT_GE(static_cast<double>(field), key.allowed.low) << full_name(key);
      EXPECT_LE(static_cast<double>(field), key.allowed.high) << full_name(key);
    }
    if constexpr (std::is_same_v<Field, std::string>) {
      const auto among = [&](const std::string& word) { return std::ranges::count(key.allowed.choices, word) > 0; };
      if (key.allowed.mixture) {
        const std::vector<MixtureShare> shares = mixture_shares(field).value_or(std::vector<MixtureShare>{});
        EXPECT_FALSE(shares.empty()) << full_name(key);
        for (const MixtureShare& share : shares) EXPECT_TRUE(among(share.name)) << full_name(key);
      } else if (key.allowed.list) {
        EXPECT_TRUE(field.empty()) << full_name(key);
      } else {
        EXPECT_TRUE(key.allowed.choices.empty() || among(field)) << full_name(key);
      }
    }
  });
}

TEST(Schema, DefaultsOfEveryMethodAreAllowed) {
  for (const SynthesisMethod& method : synthesis_methods()) {
    Job job;
    job.synthesis = method.defaults();
    EXPECT_EQ(job.synthesis.method, method.name);
    expect_allowed(job);
  }
}

/// The longest line, in bytes (there are no others than ASCII).
std::size_t widest(const std::string& text) {
  std::istringstream lines(text);
  std::size_t width = 0;
  for (std::string line; std::getline(lines, line);) width = std::max(width, line.size());
  return width;
}

TEST(DescribeKeys, NamesEveryKeyWithDefaultHelpAndAcceptedValuesWithinAHundredColumns) {
  const std::string text = describe_keys(WhichKeys::all);
  const std::string words = std::regex_replace(text, std::regex("\\s+"), " ");  // help may be broken over lines
  const Job job;
  visit_keys(job, [&]<class Field>(const Key& key, const Field& field) {
    EXPECT_FALSE(key.help.empty()) << full_name(key);
    EXPECT_NE(text.find(full_name(key) + " = " + toml_text(field)), std::string::npos) << full_name(key);
    EXPECT_NE(words.find(key.help), std::string::npos) << full_name(key);
  });
  EXPECT_NE(text.find("an integer from 2 to 8"), std::string::npos);
  EXPECT_NE(text.find("\"cpu\", \"cuda\" or \"auto\""), std::string::npos);
  EXPECT_NE(text.find("synthesis.images = 256 (sardfq, psaq, psaq_v2: 32)\n"), std::string::npos);
  EXPECT_LE(widest(text), 100u);
}

TEST(DescribeKeys, ShowsTheDozenThatPeopleSetUnlessAskedForAll) {
  const std::string text = describe_keys(WhichKeys::common);
  std::size_t keys = 0;
  const Job job;
  visit_keys(job, [&](const Key& key, const auto&) { keys += text.find(full_name(key) + " = ") != std::string::npos ? 1 : 0; });
  EXPECT_EQ(keys, 12u);
  EXPECT_NE(text.find("synthesis.method = \"views\""), std::string::npos);
  EXPECT_NE(text.find("eidolon keys --all"), std::string::npos);
  EXPECT_LE(widest(text), 100u);
}

}  // namespace
}  // namespace eidolon
