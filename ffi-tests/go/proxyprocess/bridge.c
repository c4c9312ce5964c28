// SPDX-License-Identifier: MPL-2.0
#include "bridge.h"

#include <signal.h>

#include "_cgo_export.h"

/*
 * The library's own threads block all signals that come from elsewhere. What a callback starts by os/exec would inherit
 * that, so it runs with the mask that Go gives to its threads: that of the program's start.
 */
static sigset_t at_start;

__attribute__((constructor)) static void remember_mask(void)
{
    pthread_sigmask(SIG_SETMASK, NULL, &at_start);
}

#define WITH_MASK(call)                                                                                                \
    do {                                                                                                               \
        sigset_t earlier;                                                                                              \
        pthread_sigmask(SIG_SETMASK, &at_start, &earlier);                                                             \
        call;                                                                                                          \
        pthread_sigmask(SIG_SETMASK, &earlier, NULL);                                                                  \
    } while (0)

static int32_t create(void *factory, const proxyprocess_proxy_context *context, void **proxy, proxyprocess_reply *reply)
{
    int32_t code;
    uintptr_t made = 0;
    WITH_MASK(code = proxyprocessGoCreate((uintptr_t)factory, (proxyprocess_proxy_context *)context, &made, reply));
    *proxy = (void *)made;
    return code;
}

static void release(void *handle)
{
    proxyprocessGoRelease((uintptr_t)handle);
}

static int32_t start(void *proxy, proxyprocess_reply *reply)
{
    int32_t code;
    WITH_MASK(code = proxyprocessGoStart((uintptr_t)proxy, reply));
    return code;
}

static int32_t stop(void *proxy, proxyprocess_reply *reply)
{
    int32_t code;
    WITH_MASK(code = proxyprocessGoStop((uintptr_t)proxy, reply));
    return code;
}

static int32_t close_proxy(void *proxy, proxyprocess_reply *reply)
{
    int32_t code;
    WITH_MASK(code = proxyprocessGoClose((uintptr_t)proxy, reply));
    return code;
}

static uint8_t equal(void *proxy, void *other)
{
    uint8_t equal;
    WITH_MASK(equal = proxyprocessGoEqual((uintptr_t)proxy, (uintptr_t)other));
    return equal;
}

static int32_t marshal_snapshot(void *proxy, proxyprocess_reply *reply)
{
    int32_t code;
    WITH_MASK(code = proxyprocessGoMarshalSnapshot((uintptr_t)proxy, reply));
    return code;
}

static int32_t unmarshal_snapshot(void *proxy, const char *json, size_t json_length, proxyprocess_reply *reply)
{
    int32_t code;
    WITH_MASK(code = proxyprocessGoUnmarshalSnapshot((uintptr_t)proxy, (char *)json, json_length, reply));
    return code;
}

static void request_stop(void *proxy)
{
    WITH_MASK(proxyprocessGoRequestStop((uintptr_t)proxy));
}

int32_t proxyprocess_go_register_kind(const proxyprocess_manager *manager, const char *mode, uintptr_t factory,
                                      proxyprocess_error **err)
{
    proxyprocess_proxy_kind kind;
    int32_t code = proxyprocess_proxy_kind_init(&kind, sizeof kind);
    if (code != PROXYPROCESS_OK)
        return code;
    kind.user = (void *)factory;
    kind.destroy_user = release;
    kind.create = create;
    kind.destroy = release;
    kind.start = start;
    kind.stop = stop;
    kind.close = close_proxy;
    kind.equal = equal;
    kind.marshal_snapshot = marshal_snapshot;
    kind.unmarshal_snapshot = unmarshal_snapshot;
    kind.request_stop = request_stop;
    return proxyprocess_manager_register_kind(manager, mode, &kind, err);
}

static void log_line(int32_t level, const char *message, size_t length, void *function)
{
    WITH_MASK(proxyprocessGoLog(level, (char *)message, length, (uintptr_t)function));
}

int32_t proxyprocess_go_set_log(int32_t level, uintptr_t function, proxyprocess_error **err)
{
    if (function == 0)
        return proxyprocess_log_set_callback(level, NULL, NULL, NULL, err);
    return proxyprocess_log_set_callback(level, log_line, (void *)function, release, err);
}
