# shellcheck shell=bash
# Sourced by site.sh inside a job: how the templates start Eidolon's ranks, stop them in time and explain the end.
set -euo pipefail

# When Slurm will end the job, in unix seconds: the program writes a checkpoint shortly before. Slurm before 23.02 has no
# variable for it.
end_time() {
  local end=${SLURM_JOB_END_TIME:-} said
  if [ -z "$end" ]; then
    said=$(squeue -h -j "$SLURM_JOB_ID" -o %e 2>/dev/null) || said=
    # Without an answer there is no end: `date` takes an empty text for this morning.
    [ -z "$said" ] || end=$(date -d "$said" +%s 2>/dev/null) || end=
  fi
  printf '%s' "$end"
}

# The words that start one process per task of the job. Ranks of a node divide its cores among themselves, so nobody else
# binds them. srun ends the other ranks when one fails; mpirun always does.
launcher_words() {
  case $EIDOLON_LAUNCHER in
    mpirun) echo mpirun --bind-to none ;;
    srun) echo srun --mpi=pmix --kill-on-bad-exit=1 --cpu-bind=none --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" ;;
    *) echo "EIDOLON_LAUNCHER=$EIDOLON_LAUNCHER is neither mpirun nor srun" >&2 && return 64 ;;
  esac
}

# A requeued job counts its steps from 0 again, and a node that died during step 0 keeps that step's PMIx socket, on which the new
# one would fail ("Address already in use", Slurm 22.05). Empty steps take the numbers of earlier attempts.
skip_used_steps() {
  local used
  for ((used = 0; used < ${SLURM_RESTART_COUNT:-0}; used++)); do
    srun --mpi=none --nodes=1 --ntasks=1 true || true
  done
}

# launch STAGE JOB ...: runs a stage on all ranks and returns its exit code. It runs in the background because bash hears no
# signal while it waits for a command in the foreground; USR2 to this shell, or TERM, becomes USR2 to every rank.
launch() {
  local words code
  words=$(launcher_words)
  [ "$EIDOLON_LAUNCHER" != srun ] || skip_used_steps
  export EIDOLON_END_TIME
  EIDOLON_END_TIME=$(end_time)
  # shellcheck disable=SC2086  # launcher and container are lists of words
  $words $EIDOLON_CONTAINER "$EIDOLON_PROGRAM" "$@" &
  launcher=$!
  while true; do # a signal ends the wait, not the launcher
    signalled=
    code=0
    wait "$launcher" || code=$?
    [ -n "$signalled" ] || return "$code"
  done
}

launcher=
stop_ranks() {
  signalled=1
  [ -z "$launcher" ] || kill -USR2 "$launcher" 2>/dev/null || true
}
trap stop_ranks USR2 TERM

explain() {
  case $1 in
    0) echo "eidolon: done" ;;
    75) echo "eidolon: stopped after a checkpoint (75); submit the same line again to go on" ;;
    64) echo "eidolon: the job, the weights or the command line is wrong (64); read the error above, running again will not help" ;;
    70) echo "eidolon: a fault (70); mend what the error above names and submit the same line again: nothing finished is lost" ;;
    *) echo "eidolon: ended from outside or by the launcher (exit code $1); submit the same line again: nothing finished is lost" ;;
  esac >&2
}
trap 'explain $?' EXIT
