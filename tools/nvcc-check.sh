#!/usr/bin/env bash
# Stands for nvcc (NVCC=tools/nvcc-check.sh) where code is checked and not linked: Candle's kernels, nearly all of which are for
# quantised language models, become empty files; everything else goes to the nvcc of CUDA_HOME.
set -euo pipefail
case $PWD in
  */candle-kernels-*) ;;
  *) exec "${CUDA_HOME:?}/bin/nvcc" "$@" ;;
esac
out= folder= source=
while [ $# -gt 0 ]; do
  case $1 in
    -o) out=$2; shift ;;
    --output-directory) folder=$2; shift ;;
    *.cu) source=$1 ;;
  esac
  shift
done
if [ -n "$out" ]; then
  : >"$out"
elif [ -n "$folder" ] && [ -n "$source" ]; then
  printf '.version 8.0\n.target sm_80\n.address_size 64\n' >"$folder/$(basename "$source" .cu).ptx"
else
  exec "${CUDA_HOME:?}/bin/nvcc" "$@"
fi
