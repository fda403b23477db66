#!/usr/bin/env bash
# Installs what is missing, builds everything in release mode and runs every test. Arguments go to
# ctest, for example: ./test/run.sh -R transfer
set -euo pipefail
cd "$(dirname "$0")/.."

bash .ci/install test
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DPEERNET_TESTS=ON \
  ${PEERNET_CMAKE_OPTIONS:-} >/dev/null
cmake --build build
# The end-to-end tests run alone (RUN_SERIAL): real daemons need the processor.
ctest --test-dir build --output-on-failure --timeout 900 -j "$(nproc)" "$@"
