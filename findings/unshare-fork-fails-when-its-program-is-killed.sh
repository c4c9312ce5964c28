#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# `unshare --fork` ends with status 1 when SIGKILL has ended its program, as by the OOM killer, and not by the signal or with 137.
#
# Guess: it ends as its program has ended, as the manual says of the signal that ends the child, or with 128 and the number as other
# launchers do.
# Seen with util-linux 2.38.1: after SIGTERM it ends by SIGTERM, after SIGKILL with status 1 and "sigprocmask unblock failed:
# Invalid argument". Before it sends itself the signal it resets the disposition of it, which the kernel refuses for SIGKILL.
# env, nice, setsid --wait, flock, tini, dumb-init and catatonit give 137. A supervisor of what is started so takes
# a program that was killed for one that has failed by itself.
#
# Needs bash and unshare of util-linux 2.38 (Debian 12), and no privilege. Exits 0 when it was so again, else 1.
set -euo pipefail
unshare --version
ends() {
    local status=0
    unshare --fork sh -c "kill -$1 \$\$" 2>&1 || status=$?
    echo "$status"
}
# In a shell of its own, for it says of what a signal has ended that it was terminated.
killed=$(ends KILL | tr '\n' ' ')
terminated=$(ends TERM 2>/dev/null | tail -n 1)
echo "after SIGKILL: $killed; after SIGTERM: $terminated"
[[ $killed == *"Invalid argument 1 " && $terminated == 143 ]]
