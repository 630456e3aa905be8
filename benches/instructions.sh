#!/bin/sh
# Counts the instructions of a message, by callgrind, and compares with those recorded in instructions.txt: fails where one has
# risen by more than 2 %, and says where it has fallen by as much, so that it can be recorded.
#
#   benches/instructions.sh            compare
#   benches/instructions.sh --record   write down what is counted now
#
# What is executed is up to the compiler: with another one than was recorded with, it shows the counts and checks nothing.
set -eu
cd "$(dirname "$0")/.."

recorded=benches/instructions.txt

if ! command -v valgrind >/dev/null; then
    echo "benches/instructions.sh: valgrind is not installed; on Debian: apt-get install valgrind" >&2
    exit 1
fi

binary=$(cargo bench -q -p ringway-benches --bench instructions --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*instructions[^"]*\)".*/\1/p')
messages=$("$binary" | sed -n 's/^\([0-9]*\) messages a case.*/\1/p')
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

rustc -vV | awk '/^rustc |^host: / { print "# " $0 }' >"$scratch/compiler"
for call in send receive send-batch receive-batch queue-send queue-receive queue-send-batch queue-receive-batch; do
    for wait in spin park; do
        for size in 8 64; do
            if ! valgrind --tool=callgrind --callgrind-out-file="$scratch/profile" --collect-atstart=no \
                --toggle-collect='*measured*' "$binary" $call $wait $size >"$scratch/words" 2>&1; then
                cat "$scratch/words" >&2
                exit 1
            fi
            awk -v case="$call $wait $size" -v messages="$messages" '
                $1 == "totals:" { printf "%-30s%8.2f\n", case, $2 / messages }' "$scratch/profile"
        done
    done
done >"$scratch/counts"

if [ "${1:-}" = --record ]; then
    {
        echo "# Instructions a message: call, wait, bytes. Written by benches/instructions.sh --record."
        cat "$scratch/compiler" "$scratch/counts"
    } >"$recorded"
    cat "$recorded"
    exit 0
fi

if ! grep '^# rustc\|^# host' "$recorded" | cmp -s - "$scratch/compiler"; then
    echo "not checked: counted with another compiler than $recorded was recorded with" >&2
    cat "$scratch/compiler" "$scratch/counts"
    exit 0
fi

awk '
    /^#/ { next }
    NR == FNR { before[$1, $2, $3] = $4; next }
    {
        seen++
        was = before[$1, $2, $3]
        if (was == "") { verdict = "not recorded: benches/instructions.sh --record"; failed = 1 }
        else if ($4 > was * 1.02) { verdict = "risen from " was; failed = 1 }
        else if ($4 < was * 0.98) verdict = "fallen from " was ": benches/instructions.sh --record"
        else verdict = ""
        printf "%-20s%-6s%4s B%10.2f   %s\n", $1, $2, $3, $4, verdict
    }
    END { if (!seen) print "nothing was counted"; exit failed || !seen }' "$recorded" "$scratch/counts"
