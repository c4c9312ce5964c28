// SPDX-License-Identifier: MPL-2.0
/* The header and the library are of one version, and say so in the same words. */

#include "check.h"

int main(void)
{
    char composed[64];
    resources before = resources_now();

    CHECK_TEXT(proxyprocess_version(), PROXYPROCESS_VERSION);
    snprintf(composed, sizeof composed, "%d.%d.%d", PROXYPROCESS_VERSION_MAJOR, PROXYPROCESS_VERSION_MINOR,
             PROXYPROCESS_VERSION_PATCH);
    CHECK_TEXT(composed, PROXYPROCESS_VERSION);
    CHECK_INT(proxyprocess_abi_version(), PROXYPROCESS_ABI_VERSION);
    CHECK(proxyprocess_version() == proxyprocess_version());

    /* Every proxy reads them: they never change. */
    CHECK_TEXT(PROXYPROCESS_ENV_PROXY_ID, "CONNECT_PROXY_ID");
    CHECK_TEXT(PROXYPROCESS_ENV_PROXY_TOKEN, "CONNECT_PROXY_TOKEN");
    CHECK_TEXT(PROXYPROCESS_ENV_SIDECAR_FOR, "CONNECT_SIDECAR_FOR");

    nothing_is_left_since(before);
    return 0;
}
