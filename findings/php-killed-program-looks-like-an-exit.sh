#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# PHP tells the end of a program by a signal as an exit code with the number of the signal.
#
# Guess: system() and proc_close() give -1 for a program that a signal has ended, or 128 and the number as a shell does.
# Seen with PHP 8.2: 9 for a program that SIGKILL has ended, and 9 for one that has exited with 9. Only proc_get_status tells them
# apart (`signaled`), if it is the first to see the end. So has R 4.2.2: system("kill -9 $$") is 9. A supervisor in PHP that restarts after
# all exit codes but the expected ones takes a killed program for one that has exited with an expected 9 or 15.
#
# Needs bash and PHP 8.2 (php-cli of Debian 12). Exits 0 when it was so again, else 1.
set -euo pipefail
php --version | head -n 1
said=$(php -r '
function ends(string $how): string {
    system($how, $by_system);
    $process = proc_open(["/bin/sh", "-c", $how], [], $pipes);
    return "$by_system " . proc_close($process);
}
echo ends("kill -9 $$"), "; ", ends("exit 9");
')
echo "killed by signal 9, and exit code 9, by system() and proc_close(): $said"
[[ $said == "9 9; 9 9" ]]
