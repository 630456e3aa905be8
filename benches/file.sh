#!/usr/bin/env bash
# A real file through a ring, beside what else can carry it: benches/file.sh FILE [DIRECTORY OF THE COPY [ROUNDS]]
#
# Each round makes the copy by each way in turn, so that they share the machine's moods; the first of a pair of
# figures is the median of the rounds, the second the best. Every copy is compared with the file.
set -euo pipefail

if [ ! -f "${1-}" ] || [ ! -r "$1" ]; then
    printf 'usage: benches/file.sh FILE [DIRECTORY OF THE COPY [ROUNDS]]; FILE is a file that can be read\n' >&2
    exit 2
fi
file=$(realpath "$1")
place=$(realpath "${2:-.}")
rounds=${3:-9}
cd "$(dirname "$0")/.."
cargo build -q --release -p ringway-cli
ringway=${CARGO_TARGET_DIR:-target}/release/ringway
copy=$place/ringway-bench-copy
name=bench-$$
scratch=$(mktemp -d)
trap 'rm -rf "$copy" "$scratch" "/dev/shm/ringway.$name"' EXIT

put_first() { "$ringway" put "$name" <"$file" & "$ringway" get "$name" >"$copy" && wait $!; }
get_first() { "$ringway" get "$name" >"$copy" & "$ringway" put "$name" <"$file" && wait $!; }
pipe() { cat "$file" | cat >"$copy"; }
# What reading and writing cost alone, one after the other, in one process, without anything between.
alone() { dd if="$file" of="$copy" bs=128K status=none; }

ways="put_first get_first pipe alone"
for round in $(seq 0 "$rounds"); do
    for way in $ways; do
        rm -f "$copy"
        sync
        start=$(date +%s%N)
        $way
        end=$(date +%s%N)
        cmp -s "$file" "$copy" || { echo "$way: the copy differs" >&2; exit 1; }
        # The first round warms the page cache.
        [ "$round" = 0 ] || echo $(((end - start) / 1000)) >>"$scratch/$way"
    done
done

bytes=$(stat -c %s "$file")
echo "$((bytes >> 20)) MiB to $(stat -f -c %T "$place"), $rounds rounds"
for way in $ways; do
    sort -n "$scratch/$way" | awk -v way="$way" -v bytes="$bytes" '
        { us[NR] = $1 }
        END { m = us[int((NR + 1) / 2)]; printf "%-10s median %7.1f ms %6.0f MB/s   best %7.1f ms\n", way, m / 1e3, bytes / m, us[1] / 1e3 }'
done
