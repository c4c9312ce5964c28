// SPDX-License-Identifier: MPL-2.0
/* A kind of the host's own: registered, created, compared, stored and restored, and let go exactly once. */

#include "kinds.h"

static const char BOTH[] = "{\"web\": {\"mode\": \"own\", \"token\": \"another\", \"options\": {\"value\": 2}},"
                           " \"other\": {\"mode\": \"own\", \"options\": {\"value\": 1}}}";

static void first_agent(void)
{
    char text[4096];
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager_of_own(state, "data");
    proxyprocess_events *events = events_of(manager);
    set_own(state, "web", 1, "");
    OK(proxyprocess_manager_start(manager, &error));
    CHECK_INT(until(events, PROXYPROCESS_EVENT_STARTED, "web").pid, 0);
    CALLS("create web\nstart web\n");
    CHECK_INT(look(manager, "web").status.state, PROXYPROCESS_PROXY_RUNNING);
    CHECK_INT(look(manager, "web").status.pid, 0);

    /* Declared otherwise, another one takes its place when it is stopped. */
    set_own(state, "web", 2, "");
    until(events, PROXYPROCESS_EVENT_STARTED, "web");
    CALLS("create web\nequal web\nrequest_stop web\nstop web\nstart web\n");
    /* Declared otherwise and yet the same for the kind, it goes on. */
    OK(proxyprocess_state_replace_all_json(state, BOTH, sizeof BOTH - 1, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "other");
    CALLS("create other\ncreate web\nequal web\nstart other\n");
    OK(proxyprocess_state_remove(state, "other", NULL, &error));
    until(events, PROXYPROCESS_EVENT_STOPPED, "other");
    CALLS("request_stop other\nstop other\n");

    OK(proxyprocess_manager_close(manager, &error));
    CALLS("close web\n");
    read_file("data/snapshot.json", text, sizeof text);
    CHECK_HAS(text, "\"own\"");
    CHECK_HAS(text, "\"value\"");
    proxyprocess_events_free(events);
    free_manager_of_own(manager);
    CALLS("");
    CHECK_INT(atomic_load(&proxies_created), 4);
    proxyprocess_state_free(state);
}

/* The next agent restores it, finds it to be the same as what is declared, and starts that. */
static void second_agent(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager_of_own(state, "data");
    proxyprocess_events *events = events_of(manager);
    OK(proxyprocess_manager_restore(manager, NULL, &error));
    CALLS("create_to_restore web\nunmarshal web\n");
    CHECK_INT(look(manager, "web").status.state, PROXYPROCESS_PROXY_IDLE);
    set_own(state, "web", 2, "");
    OK(proxyprocess_manager_start(manager, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "web");
    CALLS("create web\nequal web\nstart web\n");
    OK(proxyprocess_manager_kill(manager, &error));
    CALLS("request_stop web\nstop web\n");
    proxyprocess_events_free(events);
    free_manager_of_own(manager);
    CHECK_INT(atomic_load(&proxies_created), 2);
    proxyprocess_state_free(state);
}

/* A kind that nothing was made of, and one without what may be left out. */
static void bare(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager_of_own(state, NULL);
    free_manager_of_own(manager);

    manager = new_manager(state, NULL);
    proxyprocess_proxy_kind kind = own_kind();
    kind.destroy_user = NULL;
    kind.request_stop = NULL;
    OK(proxyprocess_manager_register_kind(manager, "own", &kind, &error));
    proxyprocess_events *events = events_of(manager);
    atomic_store(&users_destroyed, 0);
    set_own(state, "web", 1, "");
    OK(proxyprocess_manager_start(manager, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "web");
    OK(proxyprocess_manager_kill(manager, &error));
    CALLS("create web\nstart web\nstop web\n");
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    CHECK_INT(atomic_load(&users_destroyed), 0);
    proxyprocess_state_free(state);
}

int main(void)
{
    resources before = resources_now();
    first_agent();
    second_agent();
    bare();
    nothing_is_left_since(before);
    return 0;
}
