// SPDX-License-Identifier: MPL-2.0
/* A host that raises its limit of descriptors, as the runtime of Go does: its children have the one of its start. */

#include "hosts.h"

int main(int argc, char **argv)
{
    struct rlimit at_start, limit;
    inspect_if_told(argc, argv);
    resources before = resources_now();
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &at_start), 0);
    /* The caller of the program has lowered it. */
    CHECK(at_start.rlim_cur < at_start.rlim_max);
    limit = (struct rlimit){at_start.rlim_max, at_start.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_INT(inspect().limit, at_start.rlim_cur);
    starts_clean();
    live(0);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_INT(limit.rlim_cur, at_start.rlim_max);
    nothing_is_left_since(before);
    return 0;
}
