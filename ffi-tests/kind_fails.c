// SPDX-License-Identifier: MPL-2.0
/* A kind whose functions fail: each failure is contained, told where the caller can hear it, and leaks nothing. */

#include "kinds.h"

static const char SAID[] = "as its options say";

/* One of the library's own lines, as the log callback got it. */
static char logged[65536];
static pthread_mutex_t logging = PTHREAD_MUTEX_INITIALIZER;

static void take_line(int32_t level, const char *message, size_t length, void *user)
{
    (void)level, (void)length, (void)user;
    pthread_mutex_lock(&logging);
    size_t used = strlen(logged);
    snprintf(logged + used, sizeof logged - used, "%s\n", message);
    pthread_mutex_unlock(&logging);
}

static void starts(void)
{
    char message[128];
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager_of_own(state, NULL);
    proxyprocess_events *events = events_of(manager);
    set_own(state, "a", 1, "create");
    set_own(state, "b", 1, "start");
    set_own(state, "c", 1, "");
    OK(proxyprocess_manager_start(manager, &error));
    snprintf(message, sizeof message, "proxy a: create: %s", SAID);
    CHECK_TEXT(until(events, PROXYPROCESS_EVENT_FAILED, "a").text, message);
    CHECK_TEXT(until(events, PROXYPROCESS_EVENT_FAILED, "b").text, SAID);
    until(events, PROXYPROCESS_EVENT_STARTED, "c");
    CHECK_TEXT(look(manager, "a").last_error, message);
    seen failed = look(manager, "b");
    CHECK_INT(failed.status.state, PROXYPROCESS_PROXY_FAILED);
    CHECK_TEXT(failed.last_error, SAID);
    CHECK_INT(look(manager, "c").status.state, PROXYPROCESS_PROXY_RUNNING);
    OK(proxyprocess_manager_kill(manager, &error));
    /* What create did not make is not destroyed. */
    CHECK_INT(atomic_load(&proxies_created), 2);
    proxyprocess_events_free(events);
    free_manager_of_own(manager);
    proxyprocess_state_free(state);
}

/* Ends a manager with one proxy that fails, and says what came of it. */
static int32_t end(const char *fails, int32_t (*how)(const proxyprocess_manager *, proxyprocess_error **))
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager_of_own(state, NULL);
    proxyprocess_events *events = events_of(manager);
    set_own(state, "web", 1, fails);
    OK(proxyprocess_manager_start(manager, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "web");
    int32_t code = how(manager, &error);
    proxyprocess_error *failure = error;
    error = NULL;
    until(events, PROXYPROCESS_EVENT_END, NULL);
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    free_manager_of_own(manager);
    proxyprocess_state_free(state);
    error = failure;
    return code;
}

static void ends(void)
{
    FAILS(end("stop", proxyprocess_manager_kill), PROXYPROCESS_E_IO, "proxy web: stop: as its options say");
    FAILS(end("close", proxyprocess_manager_close), PROXYPROCESS_E_IO, "proxy web: close: as its options say");
}

/* What cannot be stored is stored as nothing; what cannot be restored is lost; the other proxies are as ever. */
static void snapshots(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager_of_own(state, "data");
    proxyprocess_events *events = events_of(manager);
    set_own(state, "a", 1, "unmarshal");
    set_own(state, "b", 1, "marshal");
    set_own(state, "c", 1, "marshal_as_json");
    set_own(state, "d", 1, "equal");
    OK(proxyprocess_manager_start(manager, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "d");
    OK(proxyprocess_manager_close(manager, &error));
    proxyprocess_events_free(events);
    free_manager_of_own(manager);
    free(noted());

    manager = new_manager_of_own(state, "data");
    events = events_of(manager);
    OK(proxyprocess_manager_restore(manager, NULL, &error));
    CALLS("create_to_restore a\nunmarshal a\ncreate_to_restore b\nunmarshal b\ncreate_to_restore c\nunmarshal c\n"
          "create_to_restore d\nunmarshal d\n");
    CHECK_INT(atomic_load(&proxies_destroyed), 1);
    CHECK_HAS(logged, "proxy a: unmarshal snapshot: as its options say\n");
    CHECK_HAS(logged, "marshal snapshot of a proxy: ");
    OK(proxyprocess_manager_start(manager, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "d");
    /* What says that it is not equal has to go. */
    char *found = noted();
    CHECK_HAS(found, "stop d\n");
    free(found);
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    free_manager_of_own(manager);
    proxyprocess_state_free(state);
}

static int32_t create_strangely(void *user, const proxyprocess_proxy_context *context, void **proxy,
                                proxyprocess_reply *reply)
{
    (void)user, (void)proxy;
    if (strcmp(context->id, "text") == 0) {
        CHECK_INT(proxyprocess_reply_text(NULL, "a", 1), PROXYPROCESS_E_NULL_ARGUMENT);
        CHECK_INT(proxyprocess_reply_text(reply, NULL, 1), PROXYPROCESS_E_NULL_ARGUMENT);
        CHECK_INT(proxyprocess_reply_text(reply, "\xff", 1), PROXYPROCESS_E_INVALID_UTF8);
        CHECK_INT(proxyprocess_reply_text(reply, "a\0b", 3), PROXYPROCESS_OK);
        return PROXYPROCESS_E_INVALID_CONFIG;
    }
    return strcmp(context->id, "positive") == 0 ? 5 : -77;
}

/* Codes that are none, and texts that are hard to pass on. */
static void strange(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, NULL);
    proxyprocess_proxy_kind kind = own_kind();
    kind.create = create_strangely;
    kind.destroy_user = NULL;
    OK(proxyprocess_manager_register_kind(manager, "own", &kind, &error));
    proxyprocess_events *events = events_of(manager);
    set_own(state, "negative", 1, "");
    set_own(state, "positive", 1, "");
    set_own(state, "text", 1, "");
    OK(proxyprocess_manager_start(manager, &error));
    CHECK_HAS(until(events, PROXYPROCESS_EVENT_FAILED, "negative").text, "returned -77");
    CHECK_HAS(until(events, PROXYPROCESS_EVENT_FAILED, "positive").text, "returned 5");
    CHECK_HAS(until(events, PROXYPROCESS_EVENT_FAILED, "text").text, "create: a\\u{0}b");
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

/* A kind that is refused stays its owner's. */
static void refused(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager_of_own(state, NULL);
    proxyprocess_proxy_kind kind = own_kind();
    static const char *const taken[] = {"own", "daemon", "noop", "", "Own", "o\nwn"};
    for (size_t index = 0; index < sizeof taken / sizeof *taken; index++)
        FAILS(proxyprocess_manager_register_kind(manager, taken[index], &kind, &error),
              PROXYPROCESS_E_INVALID_CONFIG, "mode: expected");
    OK(proxyprocess_manager_register_kind(manager, "an-other_1", &kind, &error));
    CHECK_INT(atomic_load(&users_destroyed), 0);
    proxyprocess_manager_free(manager);
    CHECK_INT(atomic_load(&users_destroyed), 2);
    proxyprocess_state_free(state);
}

int main(void)
{
    resources before = resources_now();
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_ERROR, take_line, NULL, NULL, &error));
    starts();
    ends();
    snapshots();
    strange();
    refused();
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_OFF, NULL, NULL, NULL, &error));
    nothing_is_left_since(before);
    return 0;
}
