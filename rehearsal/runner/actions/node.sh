#!/usr/bin/env bash
# Stands before node on PATH of a rehearsal: Python files that act calls as actions go to Python, so that nobody needs node
# for them; the hash of files is counted by hash_files.py; everything else is node's, where there is one.
# (Not sh: dash loses variables with a dash in their name, such as INPUT_FETCH-DEPTH.)
set -euo pipefail
here=$(dirname "$0")
if [[ "${1:-}" == --no-warnings && "${3:-}" == "console.log(process.execPath)" ]]; then
    echo "$0" # act asks where node is
    exit 0
fi
case ${1:-} in
    *.py) exec "$REHEARSAL_PYTHON" -ESs "$@" ;;
    */workflow/hashfiles/index.js) exec "$REHEARSAL_PYTHON" -ESs "$here/hash_files.py" ;;
esac
PATH=${PATH//"$here:"/}
exec node "$@"
