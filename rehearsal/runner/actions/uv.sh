#!/usr/bin/env bash
# Stands before uv on PATH of a rehearsal: the uv of the desk. The environment of a desk is shared by all runs of the same
# lock with the person who sits there, so `uv sync` may add to it and never take away.
set -euo pipefail
if [[ "${1:-}" == sync && -n "${REHEARSAL_ENVIRONMENT:-}" && "${UV_PROJECT_ENVIRONMENT:-}" == "$REHEARSAL_ENVIRONMENT" ]]; then
    shift
    for option in --inexact --no-install-project; do
        [[ " $* " == *" $option "* ]] || set -- "$option" "$@"
    done
    set -- sync "$@"
fi
exec "$REHEARSAL_UV" "$@"
