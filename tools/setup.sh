#!/usr/bin/env bash
# Installs what building ultramotion needs and this machine lacks, on Debian or Ubuntu:
#   - a C and C++ compiler, pkg-config, CMake (for the JPEG-LS and JPEG 2000 decoders) and libclang (for FFmpeg's bindings)
#   - FFmpeg's development packages (libav*-dev)
#   - Rust, by rustup, where there is no cargo of version 1.94 or later
# Says what it does; does nothing where all is there. Uses sudo unless run as root.
#
#   tools/setup.sh           installs what is missing
#   tools/setup.sh --check   only says what is missing; exit code 1 if something is
set -euo pipefail

rust_needed=1.94
packages=(build-essential pkg-config cmake libclang-dev libavcodec-dev libavformat-dev libavutil-dev libavfilter-dev
          libavdevice-dev libswscale-dev libswresample-dev curl ca-certificates)

say() { echo "setup: $*" >&2; }

[ -n "${HOME:-}" ] && [ -r "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"

missing=()
if command -v dpkg-query >/dev/null; then
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
else
  say "this is not Debian or Ubuntu: install a C++ compiler, pkg-config, CMake, libclang and FFmpeg 5.1 or later with headers by hand"
fi

rust_there() {
  command -v cargo >/dev/null || return 1
  local version
  version=$(cargo --version | cut -d' ' -f2)
  [ "$(printf '%s\n%s\n' "$rust_needed" "$version" | sort -V | head -n 1)" = "$rust_needed" ]
}

if [ "${1:-}" = --check ]; then
  status=0
  [ ${#missing[@]} -eq 0 ] || { say "missing packages: ${missing[*]}"; status=1; }
  rust_there || { say "missing: Rust $rust_needed or later"; status=1; }
  exit $status
fi

if [ ${#missing[@]} -gt 0 ]; then
  sudo=""
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "not root and no sudo: run as root: apt-get install ${missing[*]}"; exit 1; }
    sudo=sudo
  fi
  say "installing with apt-get: ${missing[*]}"
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! rust_there; then
  say "installing Rust into ~/.cargo with rustup (https://rustup.rs)"
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --component clippy,rustfmt >/dev/null
  . "$HOME/.cargo/env"
fi
say "ready: $(cargo --version)"
