#include "tests/fuzz/reading.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <system_error>

#include "base/error.h"

// Of AddressSanitizer; null in builds without it.
extern "C" {
__attribute__((weak)) int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                                                    void (*on_free)(const volatile void*));
__attribute__((weak)) std::size_t __sanitizer_get_allocated_size(const volatile void*);
}

namespace eidolon::fuzz {
namespace {

struct Memory {
  std::atomic<bool> counts = false;
  std::atomic<int64_t> held = 0, most = 0;
};
Memory memory;

void on_malloc(const volatile void*, std::size_t bytes) {
  if (!memory.counts) return;
  const int64_t held = memory.held += static_cast<int64_t>(bytes);
  if (held <= memory.most) return;
  memory.counts = false;
  std::fprintf(stderr, "holds %lld bytes at once, may hold %lld\n", static_cast<long long>(held),
               static_cast<long long>(memory.most));
  std::abort();
}

void on_free(const volatile void* bytes) {
  if (memory.counts && bytes != nullptr) memory.held -= static_cast<int64_t>(__sanitizer_get_allocated_size(bytes));
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

[[noreturn]] void fail(const std::string& what) {
  memory.counts = false;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

void require_named(const std::string& message) {
  const bool is_line = message.find_first_of("\n\r\x1b") == message.npos && message.size() < 10'000;
  const bool names_file = message.find(scratch().string()) != message.npos;
  const bool has_remedy = message.find("; ") != message.npos || message.find(" must be ") != message.npos;
  if (!is_line || !names_file || !has_remedy) fail("no line with file and remedy: " + message.substr(0, 1000));
}

}  // namespace

const std::filesystem::path& scratch() {
  static const struct Folder {
    Folder() {
      const bool in_memory = ::access("/dev/shm", W_OK | X_OK) == 0;
      std::string name =
          ((in_memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) / "eidolon-fuzz-XXXXXX")
              .string();
      if (::mkdtemp(name.data()) == nullptr) fail("cannot make " + name);
      path = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
    std::filesystem::path path;
  } folder;
  return folder.path;
}

void put(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!stream.flush()) fail("cannot write " + file.string());
}

bool reads(uint64_t size, const std::function<void()>& read, uint64_t more) {
  static const bool hooked = __sanitizer_install_malloc_and_free_hooks != nullptr &&
                             __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0;
  constexpr uint64_t always = uint64_t{64} << 20;
  constexpr double longest = 1;  // second
  bool threw = false;
  memory.held = 0;
  memory.most = static_cast<int64_t>(2 * size + always + more);
  const double begin = processor_seconds();
  memory.counts = hooked;
  try {
    read();
  } catch (const Error& error) {
    memory.counts = false;
    require_named(error.what());
    threw = true;
  } catch (const std::exception& error) {
    fail(std::string("no error of ours: ") + error.what());
  }
  memory.counts = false;
  const double seconds = processor_seconds() - begin;
  if (seconds > longest) fail("took " + std::to_string(seconds) + " s");
  return !threw;
}

}  // namespace eidolon::fuzz
