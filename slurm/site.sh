# shellcheck shell=bash disable=SC2034  # the variables of Slurm are read by their names
# What is particular to your site. Edit this file, or a copy beside it that EIDOLON_SITE names; the templates stay as they are.
# You source it before sbatch (accounts and partitions), and each template sources it again inside the job (everything else):
#
#     source slurm/site.sh
#     sbatch slurm/run.sbatch job.toml
#
# An empty value leaves Slurm's or Open MPI's own default. Options on sbatch's command line override all of this.

# --- Slurm ---
account=
partition=
qos=
constraint=
reservation=
# Mail has no variable: sbatch --mail-user=you@site --mail-type=END,FAIL,REQUEUE

# --- the program ---
slurm_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$slurm_folder/../build/eidolon                          # of a clone
[ -x "$program" ] || program=$slurm_folder/../../../bin/eidolon # of an installed tree
EIDOLON_PROGRAM=${EIDOLON_PROGRAM:-$program}
EIDOLON_CONTAINER=${EIDOLON_CONTAINER:-} # words before the program, such as "apptainer exec --nv eidolon.sif"
EIDOLON_LAUNCHER=${EIDOLON_LAUNCHER:-mpirun} # mpirun, or srun where Slurm speaks PMIx (srun --mpi=list)
load_modules() {
  : # module load gcc/12 openmpi/4.1 hdf5
}

# --- the network between nodes ---
interfaces= # such as ib0, hsn0,hsn1 or 10.1.0.0/16; empty: Open MPI and NCCL try all, which may hang on hosts with private bridges
nccl_interfaces=$interfaces # NCCL takes names only, no address ranges

# ----- nothing to edit below -----
if [ -z "${SLURM_JOB_ID:-}" ]; then
  for option in account partition qos constraint reservation; do
    [ -z "${!option}" ] || export "SBATCH_${option^^}=${!option}"
  done
  unset option
else
  load_modules
  [ -z "$interfaces" ] || export OMPI_MCA_btl_tcp_if_include=$interfaces OMPI_MCA_oob_tcp_if_include=$interfaces
  [ -z "$nccl_interfaces" ] || export NCCL_SOCKET_IFNAME=$nccl_interfaces
  # shellcheck source=slurm/launch.sh
  source "$slurm_folder/launch.sh"
fi
