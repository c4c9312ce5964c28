// SPDX-License-Identifier: MPL-2.0
/* A host with hundreds of descriptors that its children would inherit. */

#include "hosts.h"

int main(int argc, char **argv)
{
    int leaked[300];
    inspect_if_told(argc, argv);
    resources before = resources_now();
    for (int index = 0; index < 300; index++)
        CHECK((leaked[index] = open("/dev/zero", O_RDONLY)) > 2);
    starts_clean();
    live(0);
    /* They are still the host's. */
    for (int index = 0; index < 300; index++) {
        CHECK_INT(fcntl(leaked[index], F_GETFD), 0);
        close(leaked[index]);
    }
    nothing_is_left_since(before);
    return 0;
}
