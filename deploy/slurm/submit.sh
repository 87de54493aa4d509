#!/bin/bash
# Runs ultramotion on a Slurm cluster: the inputs in SHARDS shares, one task of an array each, then their merge.
#
#   deploy/slurm/submit.sh SHARDS OUT COMMAND INPUT… [OPTIONS]
#   deploy/slurm/submit.sh 16 /scratch/out detect /scratch/study --write coco,yolo
#
# The same line again submits the shards that are not complete, and the merge. Options of sbatch are taken from SBATCH_OPTIONS, as
# SBATCH_OPTIONS='--partition gpu --gres gpu:1 --cpus-per-task 8 --time 4:00:00', the program from ULTRAMOTION.
# Prints the numbers of the jobs, that of the merge last.

set -eu -o pipefail
if [ $# -lt 4 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 64
fi
shards=$1 output=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
ultramotion=${ULTRAMOTION:-ultramotion}
# Words on purpose.
# shellcheck disable=SC2206
options=(${SBATCH_OPTIONS:-})
export ULTRAMOTION_OUTPUT=$output

# Arrays have at most MaxArraySize tasks, numbered from 0; more shards need several arrays.
size=$(scontrol show config | awk '$1 == "MaxArraySize" { print $3 }')
jobs=()
for ((offset = 0; offset < shards; offset += size)); do
    last=$((shards - offset < size ? shards - offset - 1 : size - 1))
    tasks=0-$last
    if [ -e "$output/shards/plan.json" ]; then
        code=0
        tasks=$("$ultramotion" merge "$output" --missing --shard-offset "$offset" --array-size "$size") || code=$?
        [ "$code" -le 1 ] || exit "$code"
        [ -n "$tasks" ] || continue
    fi
    job=$(ULTRAMOTION_OFFSET=$offset sbatch --parsable "${options[@]}" --export=ALL --array="$tasks" \
        "$here/shard.sbatch" "$@" --output "$output" --shards "$shards")
    jobs+=("${job%%;*}")
    echo "${job%%;*}"
done
# Also after tasks that failed: the merge then says which shards are not complete.
after=$(IFS=:; echo "${jobs[*]}")
merge=$(sbatch --parsable "${options[@]}" --export=ALL ${after:+--dependency=afterany:$after} \
    "$here/merge.sbatch" "$output")
echo "${merge%%;*}"
