#include "cluster/stop_words.h"

#include "cluster/mpi_check.h"

namespace eidolon {
namespace {
constexpr int stop_tag = 7;
}

bool StopWords::spread(bool requested_here) {
  if (stopping_) return true;
  if (requested_here) {
    tell_others();
  } else if (size_ > 1) {
    listen();
  }
  return stopping_;
}

void StopWords::tell_others() {
  stopping_ = true;
  for (int other = 0; other < size_; ++other) {
    if (other == rank_) continue;
    sends_.push_back(MPI_REQUEST_NULL);
    mpi_check(MPI_Isend(&word_, 1, MPI_CHAR, other, stop_tag, control_, &sends_.back()), "MPI_Isend");
  }
}

void StopWords::listen() {
  int waiting = 0;
  MPI_Status status;
  mpi_check(MPI_Iprobe(MPI_ANY_SOURCE, stop_tag, control_, &waiting, &status), "MPI_Iprobe");
  if (waiting == 0) return;
  char word = 0;
  mpi_check(MPI_Recv(&word, 1, MPI_CHAR, status.MPI_SOURCE, stop_tag, control_, MPI_STATUS_IGNORE), "MPI_Recv");
  heard_from_ = status.MPI_SOURCE;
  stopping_ = true;
}

// Who told is agreed first, so every word is received exactly once and none is left to hang MPI_Finalize.
void StopWords::drain() {
  const char told = sends_.empty() ? 0 : 1;
  std::vector<char> all_told(size_);
  mpi_check(MPI_Allgather(&told, 1, MPI_CHAR, all_told.data(), 1, MPI_CHAR, control_), "MPI_Allgather");
  for (int other = 0; other < size_; ++other) {
    if (all_told[other] == 0 || other == rank_ || other == heard_from_) continue;
    char word = 0;
    mpi_check(MPI_Recv(&word, 1, MPI_CHAR, other, stop_tag, control_, MPI_STATUS_IGNORE), "MPI_Recv");
  }
  mpi_check(MPI_Waitall(static_cast<int>(sends_.size()), sends_.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");
  sends_.clear();
}

}  // namespace eidolon
