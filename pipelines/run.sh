#!/bin/sh
# Runs a stage: `sh pipelines/run.sh ingest 2013-01`. No environment need be active: the first Python that has DVC is taken,
# of the active environment, of the project's .venv, of PATH. DVC names the project in DVC_ROOT also to an experiment that it
# runs in a copy; the code is always that of the src/ beside this dvc.yaml.
stage=$1
shift
for python in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" "${CONDA_PREFIX:+$CONDA_PREFIX/bin/python}" \
    "${DVC_ROOT:-.}/.venv/bin/python" python; do
    "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("dvc") is None)' 2>/dev/null && break
    python=
done
if [ -z "$python" ]; then
    echo "error: no Python here has what the pipeline needs; \`make install\` puts it into .venv" >&2
    exit 2
fi
# What stands beside a stage's script is none of its dependencies, so Python does not look for modules there.
PYTHONSAFEPATH=1 PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}" exec "$python" "pipelines/$stage.py" "$@"
