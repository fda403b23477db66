#!/usr/bin/env bash
# The first five minutes: installs what is missing, builds, and lets two nodes on this machine
# exchange a file over loopback. Leaves the programs in build/ and nothing else behind.
set -euo pipefail
cd "$(dirname "$0")/.."

bash .ci/install build
if [ -d build ]; then
  cmake -S . -B build -G Ninja >/dev/null
else
  cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DPEERNET_TESTS=OFF >/dev/null
fi
cmake --build build --target peernetd peernet manual

demo=$(mktemp -d "${TMPDIR:-/tmp}/peernet-demo.XXXXXX")
nodes=()
finish() {
  for node in "${nodes[@]}"; do kill "$node" 2>/dev/null || true; done
  for node in "${nodes[@]}"; do wait "$node" 2>/dev/null || true; done
  rm -rf "$demo"
}
trap finish EXIT

# Starts a node in its own directory and waits until it answers. The second argument is the port of
# a node it already knows, or nothing.
start_node() {
  local home=$demo/$1 known=${2:-}
  mkdir -p -m 700 "$home"
  printf '{ "identity": { "name": "%s" }, "listen": ["127.0.0.1:0"], "bootstrap": [%s] }\n' \
    "$1" "${known:+\"127.0.0.1:$known\"}" >"$home/config.json"
  build/peernetd --home "$home" 2>"$home/log" &
  nodes+=($!)
  for _ in $(seq 100); do
    build/peernet --home "$home" id >/dev/null 2>&1 && return
    sleep 0.1
  done
  echo "the node $1 did not start:" >&2
  cat "$home/log" >&2
  exit 1
}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

say "Two nodes on this machine; bob knows only alice."
start_node alice
port=$(build/peernet --home "$demo/alice" --json status | sed -n 's/.*"port": *\([0-9]*\).*/\1/p' | head -n 1)
start_node bob "$port"

say "alice shares a file of 256 MiB:"
mkdir -p "$demo/data"
head -c 268435456 /dev/urandom >"$demo/data/survey.bin"
echo "\$ peernet add survey.bin"
link=$(build/peernet --home "$demo/alice" add "$demo/data/survey.bin")
echo "$link"

say "bob fetches it by that link alone:"
echo "\$ peernet fetch $link"
build/peernet --home "$demo/bob" fetch -o "$demo" "$link"

say "Both files, compared byte by byte:"
cmp "$demo/data/survey.bin" "$demo/survey.bin" && echo "identical"

cat <<'END'

That is all there is to it. On machines of your own:

  build/peernetd --detach             start the node of this machine
  build/peernet add FILE              share it; prints the link
  build/peernet fetch LINK            get it, on any other machine
  build/peernet status                what is going on
  build/peernet help                  everything else

A node finds others through the nodes named as "bootstrap" in its config file
(build/peernet config path); README.md says more.
END
