#!/bin/sh
# Install photomend and the packages that uv.lock pins into a folder of their own.
# build.sh SOURCE TARGET [EXTRA...]
set -eu
source=$1 target=$2
shift 2
extras=""
for extra in "$@"; do extras="$extras --extra $extra"; done
cd "$source"
python3 -m pip install --quiet --target /tmp/boot --only-binary :all: --require-hashes -r bootstrap.txt
# shellcheck disable=SC2086 # each extra is a word
UV_PROJECT_ENVIRONMENT=$target UV_LINK_MODE=copy PYTHONPATH=/tmp/boot python3 -m uv sync --frozen --no-dev \
  --no-editable --no-cache --compile-bytecode --quiet --python "$(command -v python3)" $extras
rm -rf /tmp/boot
"$target/bin/photomend" --version
