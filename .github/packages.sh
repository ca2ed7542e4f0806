#!/usr/bin/env bash
# Installs the programs that a few tests need beside Python, where it may: as root, or by a sudo that asks for no
# password. A test whose program is missing is skipped, and says so. Does nothing in a rehearsal, of which act says ACT:
# that would change somebody's own machine.
set -euo pipefail

sudo=()
programs=(chromium prometheus) # Debian's packages have the same names
if [ -n "${ACT:-}" ] || ! command -v apt-get >/dev/null; then
    exit 0
elif [ "$(id -u)" = 0 ]; then
    programs+=(buildah mmdebstrap skopeo) # images are built by root alone
elif sudo --non-interactive true 2>/dev/null; then
    sudo=(sudo)
else
    exit 0
fi

missing=()
for program in "${programs[@]}"; do
    command -v "$program" >/dev/null || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
fi
