// A stand-in for NCCL: the functions that cluster/nccl/collectives.cpp calls, for ranks that are processes of one host and
// devices that are the stand-in accelerator. Data go through POSIX shared memory.
//
// It keeps to NCCL's contract and is strict where NCCL may be lenient. A communicator is non-blocking: a call returns
// ncclInProgress and is taken in at the second look at ncclCommGetAsyncError(). Until then every other call is refused, as
// NCCL's ncclCommEnsureReady() does. Collectives run in the order of their stream. All ranks must make the same calls: a
// difference in kind, number, type or root is an asynchronous error on every rank. Sums are added in the order of the ranks.
//
// EIDOLON_STANDIN_NCCL, read when a communicator is made, has one rank or all misbehave in one collective or all:
//
//   slow | fail | error | never [,rank=R] [,collective=N] [,ms=200]
//
//   slow    the device begins it only after `ms` milliseconds
//   fail    the call itself fails, with ncclSystemError
//   error   the device stops in it, and ncclCommGetAsyncError() says ncclInternalError
//   never   the device never finishes it
//
// Collectives count from 1; number 0 is the making of the communicator.
#include <fcntl.h>
#include <nccl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "tests/device/standin_streams.h"

namespace {

using eidolon::standin::Queue;

constexpr int most_ranks = 8, unblocked_config = 0;
constexpr unsigned config_magic = 0xcafebeef;
constexpr size_t chunk_bytes = size_t{256} << 10;

enum class Kind : int { sum, broadcast };

struct Call {
  Kind kind = Kind::sum;
  uint64_t count = 0;
  ncclDataType_t type = ncclUint8;
  int root = 0;

  bool operator==(const Call&) const = default;
};

size_t size_of(ncclDataType_t type) {
  switch (type) {
    case ncclUint8:
      return 1;
    case ncclFloat32:
      return 4;
    case ncclFloat64:
    case ncclInt64:
      return 8;
    default:
      return 0;  // a type that Eidolon does not use
  }
}

const char* name_of(ncclDataType_t type) {
  switch (type) {
    case ncclUint8:
      return "uint8";
    case ncclFloat32:
      return "float32";
    case ncclFloat64:
      return "float64";
    default:
      return "int64";
  }
}

std::string to_text(const Call& call) {
  const std::string what = std::to_string(call.count) + " of " + name_of(call.type);
  return call.kind == Kind::sum ? "sums " + what : "broadcasts " + what + " from rank " + std::to_string(call.root);
}

// -- The memory that all ranks share ------------------------------------------------------------------------------------

/// What one rank shows to the others. Both counts are of chunks, over all collectives.
struct Seat {
  std::atomic<uint64_t> written = 0, read = 0;
  Call call;
  alignas(64) char chunk[chunk_bytes];
};

struct Table {
  std::atomic<int> arrived = 0, finalized = 0;
  std::atomic<int> aborted_by = -1;
  Seat seats[most_ranks];
};

static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

/// Throws std::runtime_error where the system refuses.
std::shared_ptr<Table> map_table(const char* name, bool fresh) {
  const auto check = [&](bool good, const char* call) {
    if (!good) throw std::runtime_error(std::string(call) + " of " + name + " failed: " + std::strerror(errno));
  };
  const int file = shm_open(name, fresh ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0600);
  check(file >= 0, "shm_open");
  // Memory that is only promised would end in SIGBUS where there is none.
  const int obstacle = fresh ? posix_fallocate(file, 0, sizeof(Table)) : 0;
  void* const at = obstacle == 0 ? mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
  const int error = obstacle != 0 ? obstacle : errno;
  close(file);
  if (at == MAP_FAILED && fresh) shm_unlink(name);
  errno = error;
  check(obstacle == 0, "posix_fallocate");
  check(at != MAP_FAILED, "mmap");
  Table* const table = fresh ? new (at) Table : static_cast<Table*>(at);
  return {table, [](Table* mapped) { munmap(mapped, sizeof(Table)); }};
}

// -- Misbehaviour ---------------------------------------------------------------------------------------------------------

struct Misbehaviour {
  std::string what;
  int64_t rank = -1, collective = -1, milliseconds = 200;

  bool applies(const char* kind, int own_rank, int64_t number) const {
    return what == kind && (rank < 0 || rank == own_rank) && (collective < 0 || collective == number);
  }
};

/// Throws std::runtime_error if the text is none.
Misbehaviour read_misbehaviour() {
  Misbehaviour result;
  const char* const text = std::getenv("EIDOLON_STANDIN_NCCL");
  if (text == nullptr || *text == '\0') return result;
  const auto refuse = [&](const std::string& part) -> std::runtime_error {
    return std::runtime_error("EIDOLON_STANDIN_NCCL=" + std::string(text) + ": '" + part + "' is not understood");
  };
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos) {
      if (part != "slow" && part != "fail" && part != "error" && part != "never") throw refuse(part);
      result.what = part;
      continue;
    }
    const std::string key = part.substr(0, equals);
    char* end = nullptr;
    const int64_t value = std::strtoll(part.c_str() + equals + 1, &end, 10);
    if (*end != '\0' || end == part.c_str() + equals + 1) throw refuse(part);
    if (key == "rank") {
      result.rank = value;
    } else if (key == "collective") {
      result.collective = value;
    } else if (key == "ms") {
      result.milliseconds = value;
    } else {
      throw refuse(part);
    }
  }
  if (result.what.empty()) throw refuse(text);
  return result;
}

// -- A communicator ---------------------------------------------------------------------------------------------------------

/// Leaves a collective of a communicator that was aborted.
struct Aborted : std::exception {};

void nap() {
  std::this_thread::sleep_for(std::chrono::microseconds(50));
}

/// Shared by the handle and the collectives queued.
struct State {
  int rank = 0, size = 1;
  std::string name;
  std::shared_ptr<Table> table;
  Misbehaviour misbehaviour;

  std::atomic<bool> aborted = false;
  std::atomic<int> unfinished = 0;  ///< collectives taken in
  std::mutex running;               ///< held while a collective touches the caller's memory
  uint64_t chunks = 0;              ///< of all collectives so far

  std::mutex report_mutex;
  std::string report_text;  ///< constant once there is an error
  std::atomic<ncclResult_t> error = ncclSuccess;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (table != nullptr) forget_name();
  }

  /// All have mapped the table, or will not do so any more.
  void forget_name() const {
    if (rank == 0) shm_unlink(name.c_str());
  }

  Seat& own() { return table->seats[rank]; }

  /// The first error stays.
  void report(ncclResult_t result, const std::string& text) {
    const std::lock_guard lock(report_mutex);
    if (error != ncclSuccess) return;
    report_text = text;
    error = result;
  }

  [[noreturn]] void wait_for_abort() {
    while (!aborted) nap();
    throw Aborted();
  }

  template <typename Condition>
  void wait_until(Condition condition) {
    while (!condition()) {
      if (aborted) throw Aborted();
      if (const int who = table->aborted_by; who >= 0) {
        report(ncclRemoteError, "rank " + std::to_string(who) + " has aborted");
        wait_for_abort();
      }
      nap();
    }
  }

  bool all_seats(const std::function<bool(Seat&)>& condition) {
    return std::all_of(table->seats, table->seats + size, condition);
  }

  void require_same_calls(const Call& call) {
    for (int other = 0; other < size; ++other) {
      const Call& theirs = table->seats[other].call;
      if (theirs == call) continue;
      report(ncclInvalidUsage, "rank " + std::to_string(rank) + " " + to_text(call) + " where rank " + std::to_string(other) +
                                   " " + to_text(theirs));
      wait_for_abort();
    }
  }

  template <typename Number>
  void sum_seats(char* to, size_t bytes) {
    for (size_t at = 0; at < bytes; at += sizeof(Number)) {
      Number sum{};
      std::memcpy(&sum, table->seats[0].chunk + at, sizeof sum);
      for (int other = 1; other < size; ++other) {
        Number next{};
        std::memcpy(&next, table->seats[other].chunk + at, sizeof next);
        sum += next;
      }
      std::memcpy(to + at, &sum, sizeof sum);
    }
  }

  void finish_chunk(const Call& call, char* to, size_t bytes) {
    if (call.kind == Kind::broadcast) {
      std::memcpy(to, table->seats[call.root].chunk, bytes);
    } else if (call.type == ncclFloat32) {
      sum_seats<float>(to, bytes);
    } else if (call.type == ncclFloat64) {
      sum_seats<double>(to, bytes);
    } else {
      sum_seats<int64_t>(to, bytes);
    }
  }

  void misbehave(int64_t number) {
    if (misbehaviour.applies("slow", rank, number)) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(misbehaviour.milliseconds);
      wait_until([&] { return std::chrono::steady_clock::now() >= end; });
    }
    if (misbehaviour.applies("never", rank, number)) wait_for_abort();
    if (misbehaviour.applies("error", rank, number)) {
      report(ncclInternalError, "collective " + std::to_string(number) + " broke on the device");
      wait_for_abort();
    }
  }

  void carry_out(const Call& call, const char* from, char* to, int64_t number) {
    const std::lock_guard lock(running);
    if (aborted) return;
    try {
      misbehave(number);
      const size_t bytes = call.count * size_of(call.type);
      for (size_t at = 0; at == 0 || at < bytes; at += chunk_bytes) {
        const size_t length = std::min(chunk_bytes, bytes - at);
        wait_until([&] { return all_seats([&](Seat& seat) { return seat.read >= chunks; }); });
        ++chunks;
        own().call = call;
        if (call.kind == Kind::sum || call.root == rank) std::memcpy(own().chunk, from + at, length);
        own().written = chunks;
        wait_until([&] { return all_seats([&](Seat& seat) { return seat.written >= chunks; }); });
        require_same_calls(call);
        finish_chunk(call, to + at, length);
        own().read = chunks;
      }
    } catch (const Aborted&) {
      return;  // what the call should have given is never there
    }
  }
};

/// The words on the last call that was refused; what a device reports is in its State.
std::string last_refusal;

ncclResult_t refuse(ncclResult_t result, const std::string& text) {
  last_refusal = text;
  return result;
}

std::string next_name() {
  static std::atomic<int> number = 0;
  return "/eidolon-standin-nccl-" + std::to_string(getpid()) + "-" + std::to_string(number++);
}

}  // namespace

struct ncclComm {
  std::shared_ptr<State> state;
  std::function<bool()> in_progress;  ///< of the call that is not taken in yet; true once it is
  int looks = 0;
  int64_t collectives = 0;
  bool finalized = false;

  /// Why no call may be made now; ncclSuccess if one may.
  ncclResult_t ready() const {
    if (in_progress)
      return refuse(ncclInvalidArgument, "attempt to use a communicator before the previous operation returned ncclSuccess");
    if (finalized) return refuse(ncclInvalidUsage, "the communicator is finalized");
    return state->error;
  }

  ncclResult_t begin(std::function<bool()> taken_in) {
    in_progress = std::move(taken_in);
    looks = 0;
    return ncclInProgress;
  }

  ncclResult_t enqueue(const Call& call, const void* from, void* to, cudaStream_t stream) {
    if (const ncclResult_t obstacle = ready(); obstacle != ncclSuccess) return obstacle;
    if (from == nullptr || to == nullptr || stream == nullptr || size_of(call.type) == 0 || call.root < 0 ||
        call.root >= state->size)
      return refuse(ncclInvalidArgument, "an argument is wrong");
    const int64_t number = ++collectives;
    if (state->misbehaviour.applies("fail", state->rank, number))
      return refuse(ncclSystemError, "collective " + std::to_string(number) + " was refused");
    return begin([shared = state, call, from, to, stream, number] {
      ++shared->unfinished;
      reinterpret_cast<Queue*>(stream)->push([=] {
        shared->carry_out(call, static_cast<const char*>(from), static_cast<char*>(to), number);
        --shared->unfinished;
      });
      return true;
    });
  }
};

namespace {

/// Throws std::runtime_error.
ncclResult_t make_communicator(ncclComm_t* made, int size, const char* name, int rank) {
  last_refusal.clear();
  auto state = std::make_shared<State>();
  state->rank = rank;
  state->size = size;
  state->name = name;
  state->misbehaviour = read_misbehaviour();
  if (state->misbehaviour.applies("fail", rank, 0)) {
    state->forget_name();
    return refuse(ncclSystemError, "the communicator was refused");
  }
  state->table = map_table(name, /*fresh=*/false);
  *made = new ncclComm{.state = state, .in_progress = {}};
  if (state->misbehaviour.applies("never", rank, 0)) return (*made)->begin([] { return false; });
  if (state->misbehaviour.applies("error", rank, 0)) state->report(ncclInternalError, "the communicator broke");
  ++state->table->arrived;
  return (*made)->begin([state] {
    if (state->table->arrived < state->size) return false;
    state->forget_name();
    return true;
  });
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  try {
    const std::string name = next_name();
    map_table(name.c_str(), /*fresh=*/true);
    std::snprintf(id->internal, sizeof id->internal, "%s", name.c_str());
    return ncclSuccess;
  } catch (const std::runtime_error& error) {
    return refuse(ncclSystemError, error.what());
  }
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int nranks, ncclUniqueId commId, int rank, ncclConfig_t* config) {
  *comm = nullptr;
  if (nranks < 1 || nranks > most_ranks || rank < 0 || rank >= nranks) return refuse(ncclInvalidArgument, "no such rank");
  if (config == nullptr || config->magic != config_magic || config->blocking != unblocked_config)
    return refuse(ncclInvalidArgument, "the stand-in has communicators that do not block, and no others");
  try {
    return make_communicator(comm, nranks, commId.internal, rank);
  } catch (const std::runtime_error& error) {
    return refuse(ncclInvalidArgument, error.what());
  }
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t* error) {
  *error = communicator->state->error;
  if (*error != ncclSuccess || !communicator->in_progress) return ncclSuccess;
  const bool taken_in = ++communicator->looks >= 2 && communicator->in_progress();
  if (taken_in) {
    communicator->in_progress = nullptr;
  } else {
    *error = ncclInProgress;
  }
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* sendbuff, void* recvbuff, size_t count, ncclDataType_t datatype, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  if (op != ncclSum || datatype == ncclUint8) return refuse(ncclInvalidArgument, "the stand-in only sums, and no bytes");
  return comm->enqueue({.kind = Kind::sum, .count = count, .type = datatype}, sendbuff, recvbuff, stream);
}

ncclResult_t ncclBroadcast(const void* sendbuff, void* recvbuff, size_t count, ncclDataType_t datatype, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  const Call call{.kind = Kind::broadcast, .count = count, .type = datatype, .root = root};
  return comm->enqueue(call, sendbuff, recvbuff, stream);
}

ncclResult_t ncclCommFinalize(ncclComm_t communicator) {
  if (const ncclResult_t obstacle = communicator->ready(); obstacle != ncclSuccess) return obstacle;
  communicator->finalized = true;
  return communicator->begin([state = communicator->state, announced = false]() mutable {
    if (state->unfinished > 0) return false;
    if (!std::exchange(announced, true)) ++state->table->finalized;
    return state->table->finalized >= state->size;
  });
}

ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  if (communicator->in_progress || !communicator->finalized)
    return refuse(ncclInvalidUsage, "a communicator is destroyed that is not finalized");
  delete communicator;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  const std::shared_ptr<State> state = communicator->state;
  state->aborted = true;
  int nobody = -1;
  state->table->aborted_by.compare_exchange_strong(nobody, state->rank);
  const std::lock_guard lock(state->running);  // from here on no collective touches the caller's memory
  delete communicator;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "unknown result code";
  }
}

const char* ncclGetLastError(ncclComm_t communicator) {
  const bool reported = communicator != nullptr && communicator->state->error != ncclSuccess;
  return reported ? communicator->state->report_text.c_str() : last_refusal.c_str();
}

}  // extern "C"
