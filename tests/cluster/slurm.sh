#!/bin/bash
# Runs shards on a real Slurm of one node: an array, kills of some of its tasks, the missing ones again, the merge as a job that waits for
# them; then compares the bytes with those of a run of all inputs.
#
#   tests/cluster/slurm.sh PROGRAM [COMMAND] [FRAMES]
#
# Uses slurmctld, slurmd and munged of this machine, as root, with a configuration, ports and a key of its own in a temporary folder: a Slurm
# that is set up here is not touched. Where they are not installed, Debian's packages are, if ULTRAMOTION_INSTALL_SLURM=1 is set and this is
# root. Otherwise the test says that it is left out, and ends with 0.

set -eu -o pipefail
program=$(realpath "$1")
command=${2:-detect}
frames=${3:-36}
root=$(cd "$(dirname "$0")/../.." && pwd)
export PATH=$PATH:/usr/sbin

left_out() {
    echo "left out: $1"
    exit 0
}
needed=(slurmctld slurmd munged sbatch scontrol)
absent() { for name in "${needed[@]}"; do command -v "$name" >/dev/null || echo "$name"; done; }
command -v python3 >/dev/null || left_out "there is no python3"
[ "$(id -u)" = 0 ] || left_out "slurmd starts the jobs of users, which only root can"
if [ -n "$(absent)" ]; then
    [ "${ULTRAMOTION_INSTALL_SLURM:-}" = 1 ] && command -v apt-get >/dev/null ||
        left_out "$(absent | paste -sd ' ') not installed (ULTRAMOTION_INSTALL_SLURM=1 installs Debian's packages)"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null 2>&1 ||
        left_out "Debian's packages of Slurm cannot be installed"
fi

work=$(mktemp -d)
pids=()
finish() {
    code=$?
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [ $code -ne 0 ]; then
        tail -n 15 "$work"/*.log "$work"/jobs/*.log 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

# munged insists on folders that others cannot write to.
chmod 755 "$work"
mkdir -m 700 "$work/munge" "$work/state" "$work/spool"
mkdir "$work/jobs"
head -c 1024 /dev/urandom >"$work/munge/key"
chmod 400 "$work/munge/key"
munged --foreground --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
    --log-file="$work/munge.log" --seed-file="$work/munge/seed" --force >/dev/null 2>&1 &
pids+=($!)

host=$(hostname -s 2>/dev/null || cut -d. -f1 /proc/sys/kernel/hostname)
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'; }
cat >"$work/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
MaxArraySize=5
KillWait=2
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$work/slurm.conf
slurmctld -D -L "$work/slurmctld.log" >/dev/null 2>&1 &
pids+=($!)
slurmd -D -N "$host" -L "$work/slurmd.log" >/dev/null 2>&1 &
pids+=($!)
for _ in $(seq 100); do
    sinfo -h -o %T 2>/dev/null | grep -q idle && break
    sleep 0.2
done
sinfo -h -o %T 2>/dev/null | grep -q idle || { tail -n 5 "$work"/*.log; left_out "a node of Slurm does not come up on this machine"; }

# Inputs: pictures of the bundled clip, and one that is broken.
"$program" extract "$root/assets/phantom-demo.mp4" --frames "..$frames" --output "$work/cut" --quiet >/dev/null
mkdir -p "$work/study/deep"
n=0
for picture in $(find "$work/cut/frames" -name '*.png' | sort); do
    n=$((n + 1))
    to=$work/study
    [ $((n % 2)) = 0 ] && to=$work/study/deep
    mv "$picture" "$to/$(basename "$picture" .png)x.png"
done
printf '\x89PNG\r\n\x1a\n broken' >"$work/study/broken.png"
kinds=coco,yolo,csv,overlay
[ "$command" = extract ] && kinds=coco,yolo,csv,frames
what=("$command" "$work/study" --as-images --write "$kinds" --quiet)
[ "$command" = extract ] || what+=(--threads 1)
code=0
"$program" "${what[@]}" --output "$work/whole" >/dev/null || code=$?
[ "$code" = 2 ] # of the broken picture

cd "$work/jobs"
# 7 shards in arrays of at most 5 tasks: two arrays, the second with an offset.
export ULTRAMOTION=$program
submit() { SBATCH_OPTIONS="--cpus-per-task 1" "$root/deploy/slurm/submit.sh" 7 "$work/out" "${what[@]}"; }
submitted=$(submit)
first=$(head -n 1 <<<"$submitted")
[ "$(wc -l <<<"$submitted")" = 3 ] || { echo "not two arrays and a merge: $submitted" >&2; exit 1; }

# End tasks while they work: the whole task by the scheduler, the program alone, and by SIGTERM as at a limit of time, after which the task puts
# itself back into the queue.
killed=0
for attempt in $(seq 90); do
    [ $killed -lt 6 ] || break
    task=$(squeue -h -t R -o %i | grep _ | head -n 1) || true
    if [ -n "$task" ]; then
        case $((killed % 3)) in
        0) scancel --signal=KILL --full "$task" 2>/dev/null && killed=$((killed + 1)) ;;
        1)
            pid=$(pgrep -f -- "^$program .*--output $work/out .*--shard auto" | head -n 1) || true
            [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null && killed=$((killed + 1))
            ;;
        2) scancel --signal=TERM --batch "$task" 2>/dev/null && killed=$((killed + 1)) ;;
        esac
    fi
    sleep 0.3
done
wait_for_jobs() {
    for _ in $(seq 1200); do
        [ -z "$(squeue -h -o %i)" ] && return 0
        # What the scheduler puts back into the queue would wait for two minutes.
        for job in $(squeue -h -t PD -o '%A %r' | awk '$2 == "BeginTime" { print $1 }'); do
            scontrol update JobId="$job" StartTime=now 2>/dev/null || true
        done
        sleep 0.5
    done
    echo "jobs do not end" >&2
    return 1
}
wait_for_jobs
missing=$("$program" merge "$work/out" --missing) || true
requeued=$(grep -c "Requeuing" "$work/slurmctld.log") || true
echo "job $first: $killed tasks ended ($requeued went back into the queue), missing after it: ${missing:-none}"
if [ -n "$missing" ]; then
    [ ! -e "$work/out/run.json" ] || { echo "merged although shards are missing" >&2; exit 1; }
fi

# The same line again: the missing ones, and the merge.
submit >/dev/null
wait_for_jobs
"$program" merge "$work/out" --missing
cmp_out() { diff -r --exclude=shards --exclude=run.json "$work/whole" "$work/out"; }
cmp_out
[ "$killed" -gt 0 ] || echo "no task was ended early: they were too quick; give more frames to try that too"
grep -q '"status": "completed"' "$work/out/run.json"
echo "$command on Slurm $(sbatch --version | cut -d' ' -f2): 7 shards in 2 arrays, $killed ended early, $(find "$work/whole" -type f | wc -l) files equal to those of one run"
