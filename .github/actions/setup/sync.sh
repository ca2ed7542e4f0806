#!/usr/bin/env bash
# Makes the environment that uv.lock describes, and the checked-out code the one that runs in it.
set -euo pipefail

if [[ "$CACHE" == write && -n "$KEY" && "$MATCHED" == "$KEY" ]]; then
  exit 0 # they are kept already
elif [[ -n "$KEY" ]]; then # uv's packages and the Python that it installs, in the steps that follow, too
  export UV_CACHE_DIR=$PWD/.uv/kept/cache UV_PYTHON_INSTALL_DIR=$PWD/.uv/kept/python
  printf '%s\n' "UV_CACHE_DIR=$UV_CACHE_DIR" "UV_PYTHON_INSTALL_DIR=$UV_PYTHON_INSTALL_DIR" >> "$GITHUB_ENV"
  if [[ "$CACHE" == read && "$MATCHED" != "$KEY" ]]; then
    echo "Cache miss: \`$KEY\`, found ${MATCHED:-nothing}. What is missing was downloaded." >> "$GITHUB_STEP_SUMMARY"
  fi
fi

# An environment that somebody else brought keeps what it holds, and the project that it was made for. PYTHONPATH makes the
# checked-out code the one that runs there too, and where the project is not installed.
read -ra options <<< "$GROUPS_OPTIONS"
if [[ -n "${UV_PROJECT_ENVIRONMENT:-}" ]]; then
  options+=(--no-install-project)
fi
uv sync --frozen --inexact --quiet "${options[@]}"
realpath --no-symlinks "${UV_PROJECT_ENVIRONMENT:-.venv}/bin" >> "$GITHUB_PATH"
echo "PYTHONPATH=$GITHUB_WORKSPACE/src" >> "$GITHUB_ENV"
