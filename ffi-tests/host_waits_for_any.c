// SPDX-License-Identifier: MPL-2.0
/* A host with a thread that waits for any child, and so takes the status of the library's. */

#include "hosts.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_int ended, stolen;

static void *steal(void *unused)
{
    while (!atomic_load(&ended)) {
        if (waitpid(-1, NULL, 0) > 0)
            atomic_fetch_add(&stolen, 1);
        else
            sched_yield(); /* there is no child at this moment */
    }
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thief;
    inspect_if_told(argc, argv);
    resources before = resources_now();
    CHECK_INT(pthread_create(&thief, NULL, steal, NULL), 0);
    starts_clean();
    /* It does not win every time. */
    for (int round = 0; round < 2 || atomic_load(&stolen) == 0; round++) {
        CHECK(round < 100);
        live(1);
    }
    atomic_store(&ended, 1);
    CHECK_INT(pthread_join(thief, NULL), 0);
    nothing_is_left_since(before);
    return 0;
}
