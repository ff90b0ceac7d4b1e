#!/bin/sh
# format.sh - every C file is as .clang-format has it. To mend: clang-format -i FILE
cd "$(dirname "$0")/../.." || exit 2
command -v clang-format >/dev/null || { echo "SKIPPED: no clang-format"; exit 77; }
git ls-files -co --exclude-standard -- '*.c' '*.h' | xargs clang-format --dry-run -Werror
