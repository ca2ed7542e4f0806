#!/bin/sh
# git's update hook: the rules of the forge for one ref of a push.
#   FORGE_REFUSED    lines "ref<space>why": what may not move at all
#   FORGE_NO_FORCE   the refs whose history may not be rewritten
#   FORGE_WORKFLOWS  "any", or for a workflow's token, which may change no workflow file: the commit that a new ref is
#                    compared with.
ref=$1 old=$2 new=$3
zero=0000000000000000000000000000000000000000
refuse() {
    echo "error: GH013: Repository rule violations found for $ref." >&2
    echo "- $1" >&2
    exit 1
}
why=$(printf '%s\n' "$FORGE_REFUSED" | while read -r name text; do
    if [ "$name" = "$ref" ]; then echo "$text"; fi
done)
if [ -n "$why" ]; then refuse "$why"; fi
if [ "$old" != "$zero" ] && [ "$new" != "$zero" ] && printf '%s\n' "$FORGE_NO_FORCE" | grep -Fqx "$ref"; then
    git merge-base --is-ancestor "$old" "$new" || refuse "Cannot force-push to this branch"
fi
if [ "$new" != "$zero" ] && [ "${FORGE_WORKFLOWS-any}" != any ]; then
    if [ "$old" = "$zero" ]; then
        changed=$(git diff --name-only --no-renames --diff-filter=AM "$FORGE_WORKFLOWS" "$new" -- .github/workflows/)
    else
        changed=$(git diff --name-only --no-renames "$old" "$new" -- .github/workflows/)
    fi
    if [ -n "$changed" ]; then
        echo "error: refusing to allow a GitHub App to create or update workflow" \
            "\`$(printf '%s\n' "$changed" | head -n 1)\` without \`workflows\` permission" >&2
        exit 1
    fi
fi
exit 0
