#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Users and roles of etcd for a fleet. etcdctl is told by its own variables how etcd is reached (ETCDCTL_ENDPOINTS,
# ETCDCTL_CACERT, ETCDCTL_USER=root:...). Each call can be repeated.
#
#   roles.sh operator NAME         user NAME may declare everything; the password comes on standard input
#   roles.sh node NODE [GROUP...]  user NODE may read what is declared for it and for its groups, and write its own status; with a
#                                  password on standard input, or without one (/dev/null) for a client certificate of that name
#   roles.sh rm NODE               the user and its role are gone, and what it can do with them
#
# Then, once: etcdctl user add root, etcdctl user grant-role root root, etcdctl auth enable.
set -euo pipefail
export ETCDCTL_API=3

root=/proxyprocess/v1
usage() {
    sed -n 's/^#   //p' "$0" >&2
    exit 2
}
# No name may reach the keys of another one.
check() {
    [[ $1 =~ ^[A-Za-z0-9._-]{1,128}$ ]] || {
        echo "roles.sh: $1: expected a name of letters, digits, \"-\", \"_\" and \".\"" >&2
        exit 2
    }
}
# The last thing that etcdctl said is worth nothing when the thing is there already.
ensure() {
    local said
    said=$(etcdctl "$@" 2>&1) || [[ $said == *already\ exist* ]] || {
        echo "roles.sh: etcdctl $1 $2 $3: $said" >&2
        exit 1
    }
}
grant() { ensure role grant-permission "$@"; }
user() {
    local password
    password=$(cat)
    # etcdctl takes the first word alone, and says nothing.
    [[ ! $password =~ [[:space:]] ]] || {
        echo "roles.sh: the password of $1 has a blank" >&2
        exit 2
    }
    if [[ $password ]]; then
        ensure user add "$1" --interactive=false <<<"$password"
    else
        ensure user add "$1" --no-password
    fi
}

[[ $# -ge 2 ]] || usage
for name in "${@:2}"; do check "$name"; done
case $1 in
operator)
    [[ $# == 2 ]] || usage
    user "$2"
    ensure role add fleet-operator
    grant fleet-operator readwrite --prefix "$root/"
    ensure user grant-role "$2" fleet-operator
    ;;
node)
    node=$2
    user "$node"
    ensure role add "fleet-node-$node"
    grant "fleet-node-$node" read --prefix "$root/nodes/$node/"
    grant "fleet-node-$node" write "$root/status/$node"
    grant "fleet-node-$node" write --prefix "$root/status/$node/"
    for group in "${@:3}"; do
        ensure role add "fleet-group-$group"
        grant "fleet-group-$group" read --prefix "$root/groups/$group/"
        grant "fleet-group-$group" read "$root/rollouts/$group"
        grant "fleet-group-$group" read --prefix "$root/rollouts/$group/"
        # Turns: all nodes of a group can take them and give them back, and say that a change has failed.
        grant "fleet-group-$group" readwrite --prefix "$root/rollouts/$group/turns/"
        grant "fleet-group-$group" readwrite "$root/rollouts/$group/failed"
        grant "fleet-node-$node" write "$root/rollouts/$group/members/$node"
        ensure user grant-role "$node" "fleet-group-$group"
    done
    ensure user grant-role "$node" "fleet-node-$node"
    ;;
rm)
    [[ $# == 2 ]] || usage
    etcdctl user delete "$2" >/dev/null
    etcdctl role delete "fleet-node-$2" >/dev/null
    ;;
*) usage ;;
esac
