#!/usr/bin/env bash
# Puts the uv that uv.lock names into a folder, checked against the hashes that stand there: nothing else has to pin it.
#
#     .github/actions/setup/uv.sh .uv && .uv/bin/uv --version
#
# A machine that has this very version keeps its own. In a job uv comes onto PATH, and two outputs say which entry of the
# cache fits: `key`, and `alike` for how others begin. They are empty where CACHE is, on a machine that keeps files of its
# own, and for an environment that somebody else has brought.
set -euo pipefail
folder=$1
lock=$(dirname "$0")/../../../uv.lock

entry=$(sed -n '/^name = "uv"$/,/^$/p' "$lock")
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' <<< "$entry")
if [[ "$(uv --version 2>/dev/null)" != "uv $version "* ]]; then
  pip=(python3 -m pip)
  if ! "${pip[@]}" --version &>/dev/null; then
    python3 -m venv "$folder/pip"
    pip=("$folder/pip/bin/pip")
  fi
  hashes=$(sed -n 's/.*hash = "\(sha256:[0-9a-f]*\)".*/--hash=\1/p' <<< "$entry" | tr '\n' ' ')
  "${pip[@]}" install --quiet --disable-pip-version-check --target "$folder" --upgrade --no-deps --only-binary :all: \
    --require-hashes --requirement <(echo "uv==$version $hashes")
fi

if [[ -z "${GITHUB_OUTPUT:-}" ]]; then
  exit 0
elif [[ -x "$folder/bin/uv" ]]; then
  realpath "$folder/bin" >> "$GITHUB_PATH"
fi
if [[ -n "$CACHE" && "$RUNNER_ENVIRONMENT" == github-hosted && -z "${UV_PROJECT_ENVIRONMENT:-}" ]]; then
  alike=uv-$RUNNER_OS-$RUNNER_ARCH-${GROUPS_OPTIONS//[^a-z-]/}-
  echo "key=$alike$(cat "$lock" "$(dirname "$lock")/.python-version" | sha256sum | cut -c1-16)" >> "$GITHUB_OUTPUT"
  if [[ "$CACHE" == read ]]; then # what is written begins from nothing, so that no entry holds the packages of earlier ones
    echo "alike=$alike" >> "$GITHUB_OUTPUT"
  fi
fi
