// SPDX-License-Identifier: MPL-2.0
/* NULL for every pointer of every function in turn: an error that names the argument, or nothing where that is promised,
 * and never a crash. Each row is written out; a test compares them with the header's prototypes, so that a new function
 * or parameter without a row fails. */

#include "helpers.h"

/* "function parameter", for the test that looks for what is missing. */
#define ROW(function, parameter) printf("row %s %s\n", #function, #parameter)

/* NULL here is an error, with or without a place for it. The arguments but `err` follow. */
#define IS_NULL(function, parameter, ...)                                                                             \
    do {                                                                                                              \
        FAILS(function(__VA_ARGS__, &error), PROXYPROCESS_E_NULL_ARGUMENT, #parameter ": expected a pointer");         \
        CHECK_INT(function(__VA_ARGS__, NULL), PROXYPROCESS_E_NULL_ARGUMENT);                                         \
        ROW(function, parameter);                                                                                     \
        ROW(function, err);                                                                                           \
    } while (0)

/* The same of functions that have no place for an error. */
#define IS_NULL_OF(function, parameter, ...)                                                                          \
    do {                                                                                                              \
        CHECK_INT(function(__VA_ARGS__), PROXYPROCESS_E_NULL_ARGUMENT);                                               \
        ROW(function, parameter);                                                                                     \
    } while (0)

/* NULL here is fine. */
#define MAY_BE_NULL(function, parameter, ...)                                                                         \
    do {                                                                                                              \
        OK(function(__VA_ARGS__, &error));                                                                            \
        ROW(function, parameter);                                                                                     \
    } while (0)

/* NULL is a value like others: what comes back is `wanted`. */
#define NULL_IS(function, parameter, found, wanted)                                                                   \
    do {                                                                                                              \
        CHECK_INT(found, wanted);                                                                                     \
        ROW(function, parameter);                                                                                     \
    } while (0)

/* Freeing NULL does nothing. */
#define FREES_NULL(function, parameter)                                                                               \
    do {                                                                                                              \
        function(NULL);                                                                                               \
        ROW(function, parameter);                                                                                     \
    } while (0)

static const char JSON[] = "{\"mode\": \"noop\"}";
static const size_t LENGTH = sizeof JSON - 1;

static void errors_and_texts(void)
{
    size_t length = 7;
    NULL_IS(proxyprocess_error_code, error, proxyprocess_error_code(NULL), PROXYPROCESS_OK);
    NULL_IS(proxyprocess_error_class, error, proxyprocess_error_class(NULL), PROXYPROCESS_CLASS_NONE);
    NULL_IS(proxyprocess_error_os_errno, error, proxyprocess_error_os_errno(NULL), 0);
    NULL_IS(proxyprocess_error_message, error, strlen(proxyprocess_error_message(NULL, &length)), 0);
    NULL_IS(proxyprocess_error_message, length, strlen(proxyprocess_error_message(NULL, NULL)), 0);
    FREES_NULL(proxyprocess_error_free, error);
    FREES_NULL(proxyprocess_text_free, text);
}

static void structs(void)
{
    IS_NULL_OF(proxyprocess_proxy_options_init, options, NULL, sizeof(proxyprocess_proxy_options));
    IS_NULL_OF(proxyprocess_manager_options_init, options, NULL, sizeof(proxyprocess_manager_options));
    IS_NULL_OF(proxyprocess_daemon_options_init, options, NULL, sizeof(proxyprocess_daemon_options));
    IS_NULL_OF(proxyprocess_proxy_kind_init, kind, NULL, sizeof(proxyprocess_proxy_kind));
    IS_NULL_OF(proxyprocess_reply_text, reply, NULL, "a", 1);
    /* With a reply, which only a function of a kind gets: kind_fails.c. */
    ROW(proxyprocess_reply_text, text);
}

static void states(void)
{
    proxyprocess_proxy_options options = proxy(SLEEP);
    proxyprocess_state *state = new_state();
    proxyprocess_subscription *subscription = NULL;
    uint8_t flag = 7;
    char *json = NULL;
    size_t length = 7;
    int32_t descriptor = -1;

    IS_NULL(proxyprocess_state_new, state, NULL);
    IS_NULL(proxyprocess_state_set, state, NULL, "web", &options);
    IS_NULL(proxyprocess_state_set, id, state, NULL, &options);
    IS_NULL(proxyprocess_state_set, options, state, "web", NULL);
    IS_NULL(proxyprocess_state_set_json, state, NULL, "web", JSON, LENGTH);
    IS_NULL(proxyprocess_state_set_json, id, state, NULL, JSON, LENGTH);
    IS_NULL(proxyprocess_state_set_json, json, state, "web", NULL, LENGTH);
    IS_NULL(proxyprocess_state_remove, state, NULL, "web", &flag);
    IS_NULL(proxyprocess_state_remove, id, state, NULL, &flag);
    MAY_BE_NULL(proxyprocess_state_remove, removed, state, "web", NULL);
    IS_NULL(proxyprocess_state_replace_all_json, state, NULL, JSON, LENGTH);
    IS_NULL(proxyprocess_state_replace_all_json, json, state, NULL, LENGTH);
    IS_NULL(proxyprocess_state_get_json, state, NULL, "web", &json, &length);
    IS_NULL(proxyprocess_state_get_json, id, state, NULL, &json, &length);
    IS_NULL(proxyprocess_state_get_json, json, state, "web", NULL, &length);
    MAY_BE_NULL(proxyprocess_state_get_json, json_length, state, "web", &json, NULL);
    IS_NULL(proxyprocess_state_list_json, state, NULL, &json, &length);
    IS_NULL(proxyprocess_state_list_json, json, state, NULL, &length);
    MAY_BE_NULL(proxyprocess_state_list_json, json_length, state, &json, NULL);
    proxyprocess_text_free(json);
    IS_NULL(proxyprocess_state_subscribe, state, NULL, &subscription);
    IS_NULL(proxyprocess_state_subscribe, subscription, state, NULL);
    OK(proxyprocess_state_subscribe(state, &subscription, &error));
    IS_NULL(proxyprocess_subscription_wait, subscription, NULL, 0, &flag);
    IS_NULL(proxyprocess_subscription_wait, changed, subscription, 0, NULL);
    IS_NULL(proxyprocess_subscription_descriptor, subscription, NULL, &descriptor);
    IS_NULL(proxyprocess_subscription_descriptor, descriptor, subscription, NULL);
    CHECK_INT(descriptor, -1);
    FREES_NULL(proxyprocess_subscription_free, subscription);
    FREES_NULL(proxyprocess_state_free, state);
    CHECK_INT(flag, 7);
    CHECK_INT(length, 7);
    proxyprocess_subscription_free(subscription);
    proxyprocess_state_free(state);
}

static void lists_and_events(const proxyprocess_daemon *daemon)
{
    proxyprocess_status_list *list = NULL;
    proxyprocess_events *events = NULL;
    proxyprocess_proxy_status status = {.struct_size = sizeof status};
    proxyprocess_event event = {.struct_size = sizeof event};
    char *json = NULL;
    size_t length = 7;
    int32_t descriptor = -1;

    OK(proxyprocess_daemon_status(daemon, &list, &error));
    NULL_IS(proxyprocess_status_list_count, list, proxyprocess_status_list_count(NULL), 0);
    IS_NULL(proxyprocess_status_list_get, list, NULL, 0, &status);
    IS_NULL(proxyprocess_status_list_get, status, list, 0, NULL);
    IS_NULL(proxyprocess_status_list_json, list, NULL, &json, &length);
    IS_NULL(proxyprocess_status_list_json, json, list, NULL, &length);
    MAY_BE_NULL(proxyprocess_status_list_json, json_length, list, &json, NULL);
    proxyprocess_text_free(json);
    IS_NULL(proxyprocess_status_list_get_json, list, NULL, 0, &json, &length);
    IS_NULL(proxyprocess_status_list_get_json, json, list, 0, NULL, &length);
    MAY_BE_NULL(proxyprocess_status_list_get_json, json_length, list, 0, &json, NULL);
    FREES_NULL(proxyprocess_status_list_free, list);
    proxyprocess_text_free(json);
    proxyprocess_status_list_free(list);

    OK(proxyprocess_daemon_events(daemon, &events, &error));
    IS_NULL(proxyprocess_events_next, events, NULL, 0, &event);
    IS_NULL(proxyprocess_events_next, event, events, 0, NULL);
    IS_NULL(proxyprocess_events_descriptor, events, NULL, &descriptor);
    IS_NULL(proxyprocess_events_descriptor, descriptor, events, NULL);
    IS_NULL(proxyprocess_event_json, event, NULL, &json, &length);
    IS_NULL(proxyprocess_event_json, json, &event, NULL, &length);
    MAY_BE_NULL(proxyprocess_event_json, json_length, &event, &json, NULL);
    proxyprocess_text_free(json);
    FREES_NULL(proxyprocess_events_free, events);
    CHECK_INT(length, 7);
    CHECK_INT(descriptor, -1);
    proxyprocess_events_free(events);
}

static void log_readers(void)
{
    proxyprocess_logs *logs = NULL;
    proxyprocess_log_line line = {.struct_size = sizeof line};
    int32_t descriptor = -1;
    IS_NULL(proxyprocess_logs_new, logs, PROXYPROCESS_LOG_INFO, NULL);
    OK(proxyprocess_logs_new(PROXYPROCESS_LOG_INFO, &logs, &error));
    IS_NULL(proxyprocess_logs_next, logs, NULL, 0, &line);
    IS_NULL(proxyprocess_logs_next, line, logs, 0, NULL);
    IS_NULL(proxyprocess_logs_descriptor, logs, NULL, &descriptor);
    IS_NULL(proxyprocess_logs_descriptor, descriptor, logs, NULL);
    FREES_NULL(proxyprocess_logs_free, logs);
    CHECK_INT(descriptor, -1);
    proxyprocess_logs_free(logs);
}

static void managers(void)
{
    proxyprocess_manager_options options = quick("data");
    proxyprocess_proxy_kind kind;
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = NULL;
    proxyprocess_status_list *list = NULL;
    proxyprocess_events *events = NULL;
    proxyprocess_logs *logs = NULL;
    char *path = NULL;
    CHECK_INT(proxyprocess_proxy_kind_init(&kind, sizeof kind), PROXYPROCESS_OK);

    IS_NULL(proxyprocess_manager_new, state, NULL, &options, &manager);
    IS_NULL(proxyprocess_manager_new, manager, state, &options, NULL);
    MAY_BE_NULL(proxyprocess_manager_new, options, state, NULL, &manager);
    IS_NULL(proxyprocess_manager_register_kind, manager, NULL, "own", &kind);
    IS_NULL(proxyprocess_manager_register_kind, mode, manager, NULL, &kind);
    IS_NULL(proxyprocess_manager_register_kind, kind, manager, "own", NULL);
    IS_NULL(proxyprocess_manager_restore, manager, NULL, "path");
    MAY_BE_NULL(proxyprocess_manager_restore, path, manager, NULL);
    IS_NULL(proxyprocess_manager_run, manager, NULL);
    IS_NULL(proxyprocess_manager_start, manager, NULL);
    IS_NULL(proxyprocess_manager_close, manager, NULL);
    IS_NULL(proxyprocess_manager_kill, manager, NULL);
    IS_NULL(proxyprocess_manager_end_grace, manager, NULL);
    IS_NULL(proxyprocess_manager_snapshot, manager, NULL, "path");
    IS_NULL(proxyprocess_manager_snapshot, path, manager, NULL);
    IS_NULL(proxyprocess_manager_snapshot_path, manager, NULL, &path);
    IS_NULL(proxyprocess_manager_snapshot_path, path, manager, NULL);
    IS_NULL(proxyprocess_manager_reconfigure, manager, NULL, &options);
    IS_NULL(proxyprocess_manager_reconfigure, options, manager, NULL);
    IS_NULL(proxyprocess_manager_status, manager, NULL, &list);
    IS_NULL(proxyprocess_manager_status, list, manager, NULL);
    IS_NULL(proxyprocess_manager_status_of, manager, NULL, "web", &list);
    IS_NULL(proxyprocess_manager_status_of, id, manager, NULL, &list);
    IS_NULL(proxyprocess_manager_status_of, list, manager, "web", NULL);
    IS_NULL(proxyprocess_manager_metrics, manager, NULL, &path, NULL);
    IS_NULL(proxyprocess_manager_metrics, text, manager, NULL, NULL);
    MAY_BE_NULL(proxyprocess_manager_metrics, text_length, manager, &path, NULL);
    proxyprocess_text_free(path);
    path = NULL;
    IS_NULL(proxyprocess_manager_events, manager, NULL, &events);
    IS_NULL(proxyprocess_manager_events, events, manager, NULL);
    IS_NULL(proxyprocess_manager_logs, manager, NULL, PROXYPROCESS_LOG_INFO, &logs);
    IS_NULL(proxyprocess_manager_logs, logs, manager, PROXYPROCESS_LOG_INFO, NULL);
    IS_NULL(proxyprocess_manager_reload, manager, NULL, "web");
    IS_NULL(proxyprocess_manager_reload, id, manager, NULL);
    IS_NULL(proxyprocess_manager_reset_crashes, manager, NULL, "web");
    IS_NULL(proxyprocess_manager_reset_crashes, id, manager, NULL);
    IS_NULL(proxyprocess_manager_pause, manager, NULL, "web");
    IS_NULL(proxyprocess_manager_pause, id, manager, NULL);
    IS_NULL(proxyprocess_manager_resume, manager, NULL, "web");
    IS_NULL(proxyprocess_manager_resume, id, manager, NULL);
    IS_NULL(proxyprocess_manager_retry, manager, NULL, "web");
    IS_NULL(proxyprocess_manager_retry, id, manager, NULL);
    IS_NULL(proxyprocess_manager_restart, manager, NULL, "web");
    IS_NULL(proxyprocess_manager_restart, id, manager, NULL);
    IS_NULL(proxyprocess_manager_signal, manager, NULL, "web", SIGHUP);
    IS_NULL(proxyprocess_manager_signal, id, manager, NULL, SIGHUP);
    IS_NULL(proxyprocess_manager_wait_until, manager, NULL, "web", PROXYPROCESS_WAIT_RUNNING, 0);
    IS_NULL(proxyprocess_manager_wait_until, id, manager, NULL, PROXYPROCESS_WAIT_RUNNING, 0);
    FREES_NULL(proxyprocess_manager_free, manager);
    CHECK(!list && !events && !path && !logs);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static int32_t none_create(void *user, const proxyprocess_proxy_context *context, void **proxy, proxyprocess_reply *reply)
{
    (void)user, (void)context, (void)proxy, (void)reply;
    return PROXYPROCESS_E_INTERNAL;
}

static void none_destroy(void *proxy)
{
    (void)proxy;
}

static int32_t none_step(void *proxy, proxyprocess_reply *reply)
{
    (void)proxy, (void)reply;
    return PROXYPROCESS_OK;
}

static uint8_t none_equal(void *proxy, void *other)
{
    return proxy == other;
}

static int32_t none_unmarshal(void *proxy, const char *json, size_t json_length, proxyprocess_reply *reply)
{
    (void)json, (void)json_length;
    return none_step(proxy, reply);
}

/* A table of functions in which one is missing. */
static void kinds(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, NULL);
    proxyprocess_proxy_kind whole;
    CHECK_INT(proxyprocess_proxy_kind_init(&whole, sizeof whole), PROXYPROCESS_OK);
    whole.create = none_create;
    whole.destroy = none_destroy;
    whole.start = whole.stop = whole.close = whole.marshal_snapshot = none_step;
    whole.equal = none_equal;
    whole.unmarshal_snapshot = none_unmarshal;

#define WITHOUT(function)                                                                                             \
    do {                                                                                                              \
        proxyprocess_proxy_kind kind = whole;                                                                         \
        kind.function = NULL;                                                                                         \
        FAILS(proxyprocess_manager_register_kind(manager, "own", &kind, &error), PROXYPROCESS_E_NULL_ARGUMENT,        \
              "kind." #function ": expected a pointer");                                                              \
    } while (0)
    WITHOUT(create);
    WITHOUT(destroy);
    WITHOUT(start);
    WITHOUT(stop);
    WITHOUT(close);
    WITHOUT(equal);
    WITHOUT(marshal_snapshot);
    WITHOUT(unmarshal_snapshot);
    OK(proxyprocess_manager_register_kind(manager, "own", &whole, &error));
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static void daemons(void)
{
    proxyprocess_proxy_options options = proxy(SLEEP);
    proxyprocess_daemon_options files;
    proxyprocess_daemon *daemon = NULL;
    proxyprocess_status_list *list = NULL;
    proxyprocess_events *events = NULL;
    uint8_t equal = 7;
    char *json = NULL;
    size_t length = 7;
    CHECK_INT(proxyprocess_daemon_options_init(&files, sizeof files), PROXYPROCESS_OK);

    IS_NULL(proxyprocess_daemon_new, id, NULL, &options, &files, &daemon);
    IS_NULL(proxyprocess_daemon_new, options, "web", NULL, &files, &daemon);
    IS_NULL(proxyprocess_daemon_new, daemon, "web", &options, &files, NULL);
    IS_NULL(proxyprocess_daemon_new_json, id, NULL, JSON, LENGTH, &files, &daemon);
    IS_NULL(proxyprocess_daemon_new_json, json, "web", NULL, LENGTH, &files, &daemon);
    IS_NULL(proxyprocess_daemon_new_json, daemon, "web", JSON, LENGTH, &files, NULL);
    CHECK(daemon == NULL);
    MAY_BE_NULL(proxyprocess_daemon_new_json, files, "web", JSON, LENGTH, NULL, &daemon);
    proxyprocess_daemon_free(daemon);
    MAY_BE_NULL(proxyprocess_daemon_new, files, "web", &options, NULL, &daemon);
    IS_NULL(proxyprocess_daemon_start, daemon, NULL);
    IS_NULL(proxyprocess_daemon_stop, daemon, NULL);
    IS_NULL(proxyprocess_daemon_end_grace, daemon, NULL);
    IS_NULL(proxyprocess_daemon_close, daemon, NULL);
    IS_NULL(proxyprocess_daemon_equal, daemon, NULL, daemon, &equal);
    IS_NULL(proxyprocess_daemon_equal, other, daemon, NULL, &equal);
    IS_NULL(proxyprocess_daemon_equal, equal, daemon, daemon, NULL);
    IS_NULL(proxyprocess_daemon_marshal_snapshot, daemon, NULL, &json, &length);
    IS_NULL(proxyprocess_daemon_marshal_snapshot, json, daemon, NULL, &length);
    MAY_BE_NULL(proxyprocess_daemon_marshal_snapshot, json_length, daemon, &json, NULL);
    proxyprocess_text_free(json);
    IS_NULL(proxyprocess_daemon_unmarshal_snapshot, daemon, NULL, JSON, LENGTH);
    IS_NULL(proxyprocess_daemon_unmarshal_snapshot, json, daemon, NULL, LENGTH);
    IS_NULL(proxyprocess_daemon_status, daemon, NULL, &list);
    IS_NULL(proxyprocess_daemon_status, list, daemon, NULL);
    IS_NULL(proxyprocess_daemon_events, daemon, NULL, &events);
    IS_NULL(proxyprocess_daemon_events, events, daemon, NULL);
    FREES_NULL(proxyprocess_daemon_free, daemon);
    CHECK_INT(equal, 7);
    CHECK_INT(length, 7);
    CHECK(!list && !events);
    lists_and_events(daemon);
    proxyprocess_daemon_free(daemon);
}

static void noops(void)
{
    proxyprocess_noop *noop = NULL;
    uint8_t equal = 7;
    char *json = NULL;
    size_t length = 7;
    IS_NULL(proxyprocess_noop_new, noop, NULL);
    OK(proxyprocess_noop_new(&noop, &error));
    IS_NULL(proxyprocess_noop_start, noop, NULL);
    IS_NULL(proxyprocess_noop_stop, noop, NULL);
    IS_NULL(proxyprocess_noop_close, noop, NULL);
    IS_NULL(proxyprocess_noop_equal, noop, NULL, noop, &equal);
    IS_NULL(proxyprocess_noop_equal, other, noop, NULL, &equal);
    IS_NULL(proxyprocess_noop_equal, equal, noop, noop, NULL);
    IS_NULL(proxyprocess_noop_marshal_snapshot, noop, NULL, &json, &length);
    IS_NULL(proxyprocess_noop_marshal_snapshot, json, noop, NULL, &length);
    MAY_BE_NULL(proxyprocess_noop_marshal_snapshot, json_length, noop, &json, NULL);
    IS_NULL(proxyprocess_noop_unmarshal_snapshot, noop, NULL, JSON, LENGTH);
    IS_NULL(proxyprocess_noop_unmarshal_snapshot, json, noop, NULL, LENGTH);
    FREES_NULL(proxyprocess_noop_free, noop);
    proxyprocess_text_free(json);
    proxyprocess_noop_free(noop);
}

static void take_line(int32_t level, const char *message, size_t length, void *user)
{
    (void)level, (void)message, (void)length, (void)user;
}

static void logs(void)
{
    MAY_BE_NULL(proxyprocess_log_set_callback, user, PROXYPROCESS_LOG_TRACE, take_line, NULL, NULL);
    MAY_BE_NULL(proxyprocess_log_set_callback, destroy, PROXYPROCESS_LOG_TRACE, take_line, NULL, NULL);
    MAY_BE_NULL(proxyprocess_log_set_callback, callback, PROXYPROCESS_LOG_TRACE, NULL, NULL, NULL);
    CHECK_INT(proxyprocess_log_set_callback(6, NULL, NULL, NULL, NULL), PROXYPROCESS_E_INVALID_ARGUMENT);
    ROW(proxyprocess_log_set_callback, err);
}

int main(void)
{
    resources before = resources_now();
    errors_and_texts();
    structs();
    states();
    managers();
    log_readers();
    kinds();
    daemons();
    noops();
    logs();
    nothing_is_left_since(before);
    return 0;
}
