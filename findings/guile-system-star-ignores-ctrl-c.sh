#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A program that Guile runs by system* has SIGINT and SIGQUIT ignored.
#
# Guess: as with system(3), the caller ignores the two while it waits, and the program has what the caller had before: else it could
# not be interrupted. `system` of Guile does so, which is the C function.
# Seen with Guile 3.0.8: SigIgn of the program is 6 by system*, 0 by system and open-input-pipe. Guile ignores the two before it
# forks, and the child does not set them back. A shell that is started so goes on after SIGINT, and so does all that it starts;
# a supervisor that stops such processes by SIGINT waits for the whole grace period.
#
# Needs bash, and Guile 3.0 (guile-3.0 of Debian 12). Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat >"$place/try.scm" <<'SCM'
(use-modules (ice-9 popen) (ice-9 rdelim))
(format #t "Guile ~a\n" (version))
(force-output)
(system* "sed" "-n" "s/^SigIgn:/system*:/p" "/proc/self/status")
(system "exec sed -n s/^SigIgn:/system:/p /proc/self/status")
(let ((pipe (open-input-pipe "exec sed -n s/^SigIgn:/pipe:/p /proc/self/status")))
  (display (read-line pipe))
  (newline)
  (close-pipe pipe))
;; The shell signals itself, and goes on.
(format #t "after SIGINT: ~a\n" (status:exit-val (system* "sh" "-c" "kill -INT $$; exit 7")))
SCM
# glibc's own two signals, which its system(3) leaves ignored, are left out.
said=$(guile --no-auto-compile "$place/try.scm")
echo "$said"
ignored() { printf '%x' $((16#$(sed -n "s/^$1:.//p" <<<"$said") & 16#7fffffff)); }
[[ $(ignored 'system\*') == 6 && $(ignored system) == 0 && $(ignored pipe) == 0 && $said == *"after SIGINT: 7" ]]
