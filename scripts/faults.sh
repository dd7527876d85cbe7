#!/usr/bin/env bash
# Every fault in its long form, and the table in docs/guarantees.md made anew from what was measured.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p coverage
export FAULTS=long FAULT_FIGURES="$PWD/coverage/faults.jsonl"
rm -f "$FAULT_FIGURES"
# One after the other: a fault's delay is not to be another test's load.
scripts/test.sh --selectProjects fault cluster -w 1 "$@"
scripts/test.sh --selectProjects integration -w 1 test/integration/order.test.ts
node scripts/fault-table.mjs "$FAULT_FIGURES" docs/guarantees.md
node_modules/.bin/prettier --write docs/guarantees.md
