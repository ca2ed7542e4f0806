#!/usr/bin/env bash
# Creates or updates the comment of a pull request with CML (https://github.com/iterative/cml), pinned by its checksum.
#
#     CML_SHA256=… REPO_TOKEN=… .github/actions/comment/cml.sh 12 build/settled/comment.md
#
# CML publishes no checksums. Take one where you trust what you download, compare it with a colleague's, and give it to the
# action's input `cml-sha256`; a new version has a new one:
#
#     curl --location https://github.com/iterative/cml/releases/download/v0.20.6/cml-linux-x64 | sha256sum
set -euo pipefail
number=$1 file=$2
url=${CML_URL:-https://github.com/iterative/cml/releases/download/v0.20.6/cml-linux-x64}

# GitHub takes 65,536 characters; the watermarks below need about two hundred of them.
if (( $(wc --bytes < "$file") > 65000 )); then
  echo "too long for CML's watermarks: $file" >&2
  exit 1
fi

# CML knows its comment by a watermark, an image from its own host, which it writes below the text. Nobody's browser shall
# be sent there: the watermark that stays lies in an HTML comment. It is there also when CML fails below, so that CML finds
# the comment the next time.
printf '\n<!-- ![](https://cml.dev/watermark.png#0 "CML watermark ratchet") -->\n' >> "$file"

folder=$(mktemp --directory)
trap 'rm -r "$folder"' EXIT
curl --fail --silent --show-error --location --retry 2 --max-time 120 --output "$folder/cml" "$url"
sha256sum --check --strict --quiet <<< "$CML_SHA256  $folder/cml"
chmod +x "$folder/cml"

# The watermark that CML adds falls into an HTML comment, too, which is left open for it. The next step of the action writes
# the file itself, so the open one is gone a moment later.
{ cat "$file" && printf '\n<!--\n'; } > "$folder/comment.md"

# No telemetry, no images uploaded, git's own settings left alone. CML waits for minutes when GitHub limits it: not here.
export ITERATIVE_DO_NOT_TRACK=1 GIT_CONFIG_GLOBAL="$folder/gitconfig"
timeout 60 "$folder/cml" comment update --driver=github --repo="$GITHUB_SERVER_URL/$GITHUB_REPOSITORY" \
  --target="pr/$number" --publish=false --watermark-title=ratchet "$folder/comment.md"
