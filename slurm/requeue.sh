# shellcheck shell=bash
# Sourced by the templates that come back by themselves: when another attempt is worth it, and how the job goes back to the queue.

# The --run-dir among the words, if there is one.
given_run_directory() {
  while [ $# -gt 0 ]; do
    case $1 in
      --run-dir) echo "${2:-}" && return ;;
      --run-dir=*) echo "${1#*=}" && return ;;
    esac
    shift
  done
}

# What the program finds saved, in the run directory and in run.shards. It is another text whenever a shard, a unit's state or a
# checkpoint was written; empty before the first start.
saved_work() {
  # shellcheck disable=SC2086  # a list of words
  $EIDOLON_CONTAINER "$EIDOLON_PROGRAM" status --json "$run" 2>/dev/null |
    grep -oE '"(shards|begun|views_left|step)":[^,}]*' || true
}

# begin_attempt JOB ...: `run` is where the outputs go, and `arguments` are the words with which this is sure.
begin_attempt() {
  arguments=("$@")
  run=$(given_run_directory "$@")
  if [ -z "$run" ]; then
    run=data_out/$(basename "$1" .toml)
    arguments+=(--run-dir "$run")
  fi
  saved_before=$(saved_work)
  echo "eidolon: attempt $((${SLURM_RESTART_COUNT:-0} + 1)) of job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, $(date -Is)" >&2
}

# How many attempts in a row have saved nothing, this one included.
attempts_in_vain() {
  local counter=$run/attempts-in-vain.$SLURM_JOB_ID
  if [ "$(saved_work)" != "$saved_before" ]; then
    rm -f "$counter"
    echo 0
  else
    mkdir -p "$run" && echo >>"$counter" # one line each
    wc -l <"$counter"
  fi
}

# A job that the user has cancelled, or that Slurm itself sends back, is no longer running, and must not be revived. At the time
# limit it is not running either, but for another reason.
may_come_back() { # may_come_back ID
  case $(squeue -h -j "$1" -o '%T %r') in
    RUNNING* | *TimeLimit*) return 0 ;;
    *) return 1 ;;
  esac
}

# requeue_if_useful CODE: the exit codes 0 and 64 are final. Anything else is 75, or a rank or a node that died.
requeue_if_useful() {
  local code=$1 id=$SLURM_JOB_ID vain
  # The first task of an array has the id of the whole array.
  [ -z "${SLURM_ARRAY_TASK_ID:-}" ] || id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
  case $code in 0 | 64) return ;; esac
  may_come_back "$id" || return 0
  vain=$(attempts_in_vain)
  if [ "$vain" -ge 3 ]; then
    echo "eidolon: not requeued: three attempts in a row saved nothing; is the time limit too short?" >&2
  elif [ "${SLURM_RESTART_COUNT:-0}" -ge "${EIDOLON_MAX_RESTARTS:-100}" ]; then
    echo "eidolon: not requeued: restarted $SLURM_RESTART_COUNT times already (EIDOLON_MAX_RESTARTS)" >&2
  else
    echo "eidolon: exit code $code, back to the queue" >&2
    trap '' TERM # Slurm ends what is left of the job
    trap - EXIT
    scontrol requeue "$id"
  fi
}
