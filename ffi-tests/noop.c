// SPDX-License-Identifier: MPL-2.0
/* The proxy that does nothing. */

#include "check.h"

int main(void)
{
    resources before = resources_now();
    proxyprocess_noop *noop = NULL, *other = NULL;
    uint8_t equal = 7;
    char *json = NULL;
    size_t length = 99;

    OK(proxyprocess_noop_new(&noop, &error));
    OK(proxyprocess_noop_new(&other, &error));
    for (int round = 0; round < 2; round++) {
        OK(proxyprocess_noop_start(noop, &error));
        OK(proxyprocess_noop_start(noop, &error));
        OK(proxyprocess_noop_stop(noop, &error));
        OK(proxyprocess_noop_close(noop, &error));
    }
    OK(proxyprocess_noop_equal(noop, other, &equal, &error));
    CHECK_INT(equal, 1);

    OK(proxyprocess_noop_marshal_snapshot(noop, &json, &length, &error));
    CHECK_TEXT(json, "{}");
    CHECK_INT(length, 2);
    OK(proxyprocess_noop_unmarshal_snapshot(other, json, length, &error));
    proxyprocess_text_free(json);
    OK(proxyprocess_noop_marshal_snapshot(noop, &json, NULL, &error));
    proxyprocess_text_free(json);

    /* It need not end with NUL. */
    OK(proxyprocess_noop_unmarshal_snapshot(other, "{\"any\": [1]}]", 12, &error));
    FAILS(proxyprocess_noop_unmarshal_snapshot(other, "[1]", 3, &error), PROXYPROCESS_E_INVALID_CONFIG, "a JSON object");
    FAILS(proxyprocess_noop_unmarshal_snapshot(other, "{}", 1, &error), PROXYPROCESS_E_INVALID_CONFIG, "snapshot");
    FAILS(proxyprocess_noop_unmarshal_snapshot(other, "{\"\xff\": 1}", 8, &error), PROXYPROCESS_E_INVALID_UTF8,
          "json");

    proxyprocess_noop_free(noop);
    proxyprocess_noop_free(other);
    proxyprocess_noop_free(NULL);
    nothing_is_left_since(before);
    return 0;
}
