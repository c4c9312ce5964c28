// SPDX-License-Identifier: MPL-2.0
/* A host that blocks every signal, and goes on blocking them. */

#include "hosts.h"

int main(int argc, char **argv)
{
    sigset_t all, own;
    inspect_if_told(argc, argv);
    resources before = resources_now();
    CHECK(sigfillset(&all) == 0 && sigprocmask(SIG_SETMASK, &all, NULL) == 0);
    starts_clean();
    live(0);
    CHECK_INT(sigprocmask(SIG_SETMASK, NULL, &own), 0);
    CHECK(sigismember(&own, SIGINT) && sigismember(&own, SIGCHLD));
    nothing_is_left_since(before);
    return 0;
}
