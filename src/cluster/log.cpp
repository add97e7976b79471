#include "cluster/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <initializer_list>
#include <memory>

#include "base/error.h"

namespace eidolon::log {
namespace {

// A progress bar may stand on the terminal's last line; a message replaces it and the bar is drawn anew below.
std::string over_the_bar() {
  return isatty(STDERR_FILENO) != 0 ? "\r\033[K" : "";
}

std::string prefix(int rank, int size) {
  return size > 1 ? "[rank " + std::to_string(rank) + "] " : "";
}

spdlog::sink_ptr stderr_sink(int rank, int size) {
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  sink->set_level(rank == 0 ? spdlog::level::info : spdlog::level::warn);
  sink->set_pattern(over_the_bar() + prefix(rank, size) + "%^%l%$: %v");
  return sink;
}

spdlog::sink_ptr file_sink(const std::filesystem::path& file, int rank) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
    sink->set_pattern("%Y-%m-%d %H:%M:%S.%e " + prefix(rank, rank + 2) + "%l: %v");
    return sink;
  } catch (const spdlog::spdlog_ex& error) {
    throw Fault("cannot open the log " + file.string() + ": " + error.what() + "; check permissions and free space");
  }
}

std::shared_ptr<spdlog::logger> make_logger(std::initializer_list<spdlog::sink_ptr> sinks) {
  auto logger = std::make_shared<spdlog::logger>("eidolon", sinks);
  logger->set_level(spdlog::level::debug);
  logger->flush_on(spdlog::level::debug);
  return logger;
}

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = make_logger({stderr_sink(0, 1)});
  return instance;
}

}  // namespace

void open(const std::filesystem::path& file, int rank, int size) {
  logger() = make_logger({stderr_sink(rank, size), file_sink(file, rank)});
}

void set_ranks(int rank, int size) {
  logger() = make_logger({stderr_sink(rank, size)});
}

// As an argument, so that braces in a message are not taken for placeholders.
void debug(const std::string& message) {
  logger()->debug("{}", message);
}
void info(const std::string& message) {
  logger()->info("{}", message);
}
void warn(const std::string& message) {
  logger()->warn("{}", message);
}
void error(const std::string& message) {
  logger()->error("{}", message);
}

}  // namespace eidolon::log
