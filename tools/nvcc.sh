#!/usr/bin/env bash
# Stands for nvcc (.cargo/config.toml sets NVCC to it), so that Candle's kernels for quantised and mixture-of-experts language models
# are not compiled: they take nearly all of a build's time, and nothing here calls them. Their functions become ones that end the program
# with a message, their PTX has no kernel. Everything else goes to the toolkit's nvcc. NVCC=/usr/local/cuda/bin/nvcc compiles them all.
# ULTRAMOTION_KERNELS=check leaves all of Candle's kernels out, for code that is checked and not linked.
set -euo pipefail

compile() {
  local root
  for root in "${CUDA_HOME:-}" "${CUDA_PATH:-}" "${CUDA_ROOT:-}" "${CUDA_TOOLKIT_ROOT_DIR:-}"; do
    [ -z "$root" ] || ! [ -x "$root/bin/nvcc" ] || exec "$root/bin/nvcc" "$@"
  done
  ! command -v nvcc >/dev/null || exec nvcc "$@"
  ! [ -x /usr/local/cuda/bin/nvcc ] || exec /usr/local/cuda/bin/nvcc "$@"
  echo "nvcc: not below CUDA_HOME, CUDA_PATH, CUDA_ROOT or CUDA_TOOLKIT_ROOT_DIR, not on the PATH and not below /usr/local/cuda:" \
    "install the CUDA toolkit, or say with CUDA_HOME where it is" >&2
  exit 127
}

[ "${CARGO_PKG_NAME:-}" = candle-kernels ] || compile "$@"

object= folder= source= library= arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    -o) object=$2; shift ;;
    --output-directory) folder=$2; shift ;;
    --lib) library=1 ;;
    *.cu) source=$1 ;;
  esac
  shift
done

# Functions that Rust code declares, each ending the program.
functions() {
  echo '#include <stdio.h>'
  echo '#include <stdlib.h>'
  sed -n 's/^ *pub fn \([A-Za-z0-9_]*\)(.*/\1/p' src/ffi.rs | while read -r name; do
    echo "void $name(void) { fputs(\"$name: Candle's kernels for quantised language models are left out of this build (tools/nvcc.sh)\\n\", stderr); abort(); }"
  done
}

left_out=
case $source in
  */quantized.cu | */moe/* | */mmq_gguf/* | */mmvq_gguf.cu) left_out=1 ;;
esac
if [ "${ULTRAMOTION_KERNELS:-}" = check ] && { [ -n "$source" ] || [ -n "$library" ]; }; then
  left_out=1
fi

if [ -z "$left_out" ]; then
  compile "${arguments[@]}"
elif [ -n "$library" ]; then
  : >"$object"
elif [ -n "$folder" ]; then
  printf '.version 8.0\n.target sm_80\n.address_size 64\n' >"$folder/$(basename "$source" .cu).ptx"
elif [ "$(basename "$source")" = moe_gguf.cu ]; then
  functions | "${CC:-cc}" -x c -O1 -fPIC -c -o "$object" -
else
  "${CC:-cc}" -x c -fPIC -c -o "$object" - </dev/null
fi
