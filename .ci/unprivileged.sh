#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The same tests, but the documentation's, as an ordinary user. With `alone` those that no other test of that user may run beside.
set -euo pipefail

# Tests of root have processes of nobody (65534), which would count with those of tests that count.
user=65534
[[ "${1-}" != alone ]] || user=65533
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
chown "$user:$user" "$home"

mapfile -t tests < <(cargo test --locked --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
((${#tests[@]} > 1)) || { echo "found only ${#tests[@]} test programs" >&2; exit 1; }
chmod -R a+rX "$CARGO_TARGET_DIR"/{debug,fail-points/debug,ffi-tests}
chmod a+x "$CARGO_TARGET_DIR"/fail-points{,/debug}

# The crash tests have had their minute as root.
export PROXYPROCESS_SWEEP_PART=10 PROXYPROCESS_CAMPAIGN_ROUNDS=25

cd "$home"
as_user() {
    setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=-all \
        env HOME="$home" TMPDIR="$home" PROXYPROCESS_FFI_BUILT="$CARGO_TARGET_DIR/ffi-tests" "$@"
}
of_library() {
    for program in "${tests[@]}"; do
        echo "--- ${program##*/}"
        case "${program##*/}" in
        # The other agents are built by root; below is what is done with them. valgrind and the sanitizers look at the same
        # memory for any user, compilers read the same text, ten thousand restarts leak the same, damaged and huge documents
        # are read in the same way, slow clients are as slow, and a browser shows the same.
        integration-*)
            as_user "$program" --skip other_agents:: --skip valgrind --skip sanitized --skip c_abi::languages --skip leaks:: \
                --skip documents:: --skip scarcity:: --skip directory:: --skip agent_commands::clients --skip agent_commands::page
            ;;
        *) as_user "$program" ;;
        esac
    done
}

alone() {
    local program
    program=$(printf '%s\n' "${tests[@]}" | grep /integration-)
    # The limit of a user's processes counts those of all tests; and from a user namespace, which an ordinary user needs
    # to mount anything, the environment of processes outside cannot be read: they might be of any proxy.
    as_user "$program" scarcity:: directory:: --test-threads=1
    for agent in agent agent-static go-agent; do
        echo "--- $agent"
        as_user PROXYPROCESS_AGENT="$CARGO_TARGET_DIR/ffi-tests/$agent" "$program" agent:: --skip other_agents::
    done
}

case "${1-}" in
alone) alone ;;
*) of_library ;;
esac
