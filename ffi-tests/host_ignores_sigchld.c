// SPDX-License-Identifier: MPL-2.0
/* A host that ignores SIGCHLD, so that the kernel itself reaps its children; and every other signal as well. */

#include "hosts.h"

int main(int argc, char **argv)
{
    struct sigaction now;
    inspect_if_told(argc, argv);
    resources before = resources_now();
    for (int number = 1; number <= SIGRTMAX; number++)
        signal(number, SIG_IGN);
    starts_clean();
    live(1);
    CHECK_INT(sigaction(SIGCHLD, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_IGN);
    nothing_is_left_since(before);
    return 0;
}
