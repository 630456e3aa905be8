#!/bin/sh
# Counts the system calls that messages cost: two runs that differ only in the number of messages, under strace,
# both processes together. What a run does once (start, attach, end) cancels out.
#
# A ring that spins must show none. One that may sleep shows those of the sleeps it had.
set -eu
cd "$(dirname "$0")/.."

if ! command -v strace >/dev/null; then
    echo "skipped: strace is not installed" >&2
    exit 0
fi

binary=$(cargo bench -q -p ringway-benches --bench steady --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*steady[^"]*\)".*/\1/p')
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

# calls RING MESSAGES: system calls of a run that sends so many each way and then so many one way.
calls() {
    strace -f -c -U calls,name -o "$counts" "$binary" "$1" "$2"
    awk '$2 == "total" { print $1 }' "$counts"
}

few=100000
many=1000000
status=0
for ring in spin batch park; do
    before=$(calls $ring $few)
    after=$(calls $ring $many)
    messages=$((3 * (many - few)))
    echo "$ring: $((after - before)) more system calls for $messages more messages ($before, $after)"
    # Start and end differ by a few from run to run.
    if [ $ring != park ] && [ $((after - before)) -gt 20 ]; then status=1; fi
done
exit $status
