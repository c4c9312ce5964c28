// SPDX-License-Identifier: MPL-2.0
/* A kind of proxy that notes who called it, and fails where its options say so. */

#ifndef KINDS_H
#define KINDS_H

#include "helpers.h"

#include <pthread.h>
#include <stdatomic.h>

/* The user word of the kind is a number and not a pointer. */
#define USER ((void *)(uintptr_t)0x2a)

static pthread_mutex_t noting = PTHREAD_MUTEX_INITIALIZER;
/* The calls in their order, each like "start web\n". */
static char calls[65536];
static atomic_int proxies_created, proxies_destroyed, users_destroyed;

typedef struct own_proxy {
    char id[64];
    int value;
    /* The function that fails. */
    char fails[32];
} own_proxy;

static inline void note(const char *call, const char *id)
{
    pthread_mutex_lock(&noting);
    size_t length = strlen(calls);
    snprintf(calls + length, sizeof calls - length, "%s %s\n", call, id);
    pthread_mutex_unlock(&noting);
}

/* The calls so far, which are forgotten. The text is the caller's to free(3). */
static inline char *noted(void)
{
    pthread_mutex_lock(&noting);
    char *copy = strdup(calls);
    calls[0] = '\0';
    pthread_mutex_unlock(&noting);
    return copy;
}

/* Were these the calls, and no others, since they were last asked for? */
#define CALLS(wanted)                                                                                                 \
    do {                                                                                                              \
        char *found = noted();                                                                                        \
        CHECK_TEXT(found, wanted);                                                                                    \
        free(found);                                                                                                  \
    } while (0)

/* What options and snapshots consist of: {"fails":"start","value":1}. */
static inline void read_own(own_proxy *proxy, const char *json)
{
    const char *value = strstr(json, "\"value\":"), *fails = strstr(json, "\"fails\":\"");
    if (value != NULL)
        proxy->value = atoi(value + strlen("\"value\":"));
    if (fails != NULL)
        sscanf(fails + strlen("\"fails\":\""), "%31[a-z_]", proxy->fails);
}

static inline int32_t answer(const own_proxy *proxy, const char *call, proxyprocess_reply *reply)
{
    note(call, proxy->id);
    if (strcmp(proxy->fails, call) != 0)
        return PROXYPROCESS_OK;
    CHECK_INT(proxyprocess_reply_text(reply, "not what is said", 16), PROXYPROCESS_OK);
    CHECK_INT(proxyprocess_reply_text(reply, "as its\noptions say, not this", 18), PROXYPROCESS_OK);
    return PROXYPROCESS_E_IO;
}

static inline int32_t own_create(void *user, const proxyprocess_proxy_context *context, void **proxy,
                                 proxyprocess_reply *reply)
{
    own_proxy *own = calloc(1, sizeof *own);
    CHECK(own != NULL && user == USER);
    CHECK(context->struct_size >= sizeof *context);
    CHECK_INT(context->reserved, 0);
    CHECK_TEXT(context->mode, "own");
    snprintf(own->id, sizeof own->id, "%s", context->id);
    if (context->declaration_json != NULL) {
        CHECK_INT(strlen(context->declaration_json), context->declaration_json_length);
        CHECK_HAS(context->declaration_json, "\"token\":\"");
        read_own(own, context->declaration_json);
    } else {
        CHECK_INT(context->declaration_json_length, 0);
    }
    int32_t code = answer(own, context->declaration_json ? "create" : "create_to_restore", reply);
    if (code != PROXYPROCESS_OK) {
        free(own);
        return code;
    }
    atomic_fetch_add(&proxies_created, 1);
    *proxy = own;
    return PROXYPROCESS_OK;
}

static inline void own_destroy(void *proxy)
{
    CHECK_INT(atomic_load(&users_destroyed), 0);
    atomic_fetch_add(&proxies_destroyed, 1);
    free(proxy);
}

static inline int32_t own_start(void *proxy, proxyprocess_reply *reply)
{
    return answer(proxy, "start", reply);
}

static inline int32_t own_stop(void *proxy, proxyprocess_reply *reply)
{
    return answer(proxy, "stop", reply);
}

static inline int32_t own_close(void *proxy, proxyprocess_reply *reply)
{
    return answer(proxy, "close", reply);
}

static inline uint8_t own_equal(void *proxy, void *other)
{
    own_proxy *one = proxy, *two = other;
    note("equal", one->id);
    return one->value == two->value && strcmp(one->fails, "equal") != 0;
}

static inline int32_t own_marshal(void *proxy, proxyprocess_reply *reply)
{
    own_proxy *own = proxy;
    char json[128];
    int length = snprintf(json, sizeof json, "{\"fails\":\"%s\",\"value\":%d}", own->fails, own->value);
    if (strcmp(own->fails, "marshal") == 0)
        return PROXYPROCESS_E_IO;
    if (strcmp(own->fails, "marshal_as_json") == 0)
        length = 7;
    CHECK_INT(proxyprocess_reply_text(reply, json, (size_t)length), PROXYPROCESS_OK);
    return PROXYPROCESS_OK;
}

static inline int32_t own_unmarshal(void *proxy, const char *json, size_t json_length, proxyprocess_reply *reply)
{
    CHECK_INT(strlen(json), json_length);
    read_own(proxy, json);
    return answer(proxy, "unmarshal", reply);
}

static inline void own_request_stop(void *proxy)
{
    own_proxy *own = proxy;
    note("request_stop", own->id);
}

static inline void own_destroy_user(void *user)
{
    CHECK(user == USER);
    CHECK_INT(atomic_load(&proxies_destroyed), atomic_load(&proxies_created));
    atomic_fetch_add(&users_destroyed, 1);
}

static inline proxyprocess_proxy_kind own_kind(void)
{
    proxyprocess_proxy_kind kind;
    CHECK_INT(proxyprocess_proxy_kind_init(&kind, sizeof kind), PROXYPROCESS_OK);
    kind.user = USER;
    kind.destroy_user = own_destroy_user;
    kind.create = own_create;
    kind.destroy = own_destroy;
    kind.start = own_start;
    kind.stop = own_stop;
    kind.close = own_close;
    kind.equal = own_equal;
    kind.marshal_snapshot = own_marshal;
    kind.unmarshal_snapshot = own_unmarshal;
    kind.request_stop = own_request_stop;
    return kind;
}

/* A manager that knows the kind as "own"; the counts begin anew. */
static inline proxyprocess_manager *new_manager_of_own(const proxyprocess_state *state, const char *data_dir)
{
    proxyprocess_manager *manager = new_manager(state, data_dir);
    proxyprocess_proxy_kind kind = own_kind();
    atomic_store(&proxies_created, 0);
    atomic_store(&proxies_destroyed, 0);
    atomic_store(&users_destroyed, 0);
    OK(proxyprocess_manager_register_kind(manager, "own", &kind, &error));
    memset(&kind, 0xee, sizeof kind);
    return manager;
}

/* Frees the manager: every proxy is destroyed, and then the user word, once. */
static inline void free_manager_of_own(proxyprocess_manager *manager)
{
    CHECK_INT(atomic_load(&users_destroyed), 0);
    proxyprocess_manager_free(manager);
    CHECK_INT(atomic_load(&proxies_destroyed), atomic_load(&proxies_created));
    CHECK_INT(atomic_load(&users_destroyed), 1);
}

static inline void set_own(const proxyprocess_state *state, const char *id, int value, const char *fails)
{
    char json[256];
    int length = snprintf(json, sizeof json,
                          "{\"mode\": \"own\", \"token\": \"t\", \"options\": {\"value\": %d, \"fails\": \"%s\"}}", value,
                          fails);
    OK(proxyprocess_state_set_json(state, id, json, (size_t)length, &error));
}

#endif
