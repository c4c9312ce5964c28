// SPDX-License-Identifier: MPL-2.0
/* A manager from its first start to the agent that comes after the next. */

#include "helpers.h"

#include <pthread.h>

static void *run(void *manager)
{
    OK(proxyprocess_manager_run(manager, &error));
    return NULL;
}

/* A proxy that says what its environment is. */
static const char *const SAYS[] = {"/bin/sh", "-c",
                                   "echo \"$CONNECT_PROXY_ID, $CONNECT_PROXY_TOKEN, $MORE\" >said; exec sleep 1000", NULL};

/* Run by the library; the state is followed; closed, which leaves the processes. */
static uint32_t first_agent(int said)
{
    char text[64], *path = NULL;
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    OK(proxyprocess_manager_snapshot_path(manager, &path, &error));
    CHECK_TEXT(path, "data/snapshot.json");
    proxyprocess_text_free(path);
    set(state, "web", SAYS);
    OK(proxyprocess_manager_restore(manager, NULL, &error));
    OK(proxyprocess_manager_start(manager, &error));
    OK(proxyprocess_manager_start(manager, &error));
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    read_text(said, text, sizeof text);
    CHECK_TEXT(text, "web, a declared token, \n");

    /* Any number of them, in the order of their ids. */
    proxyprocess_status_list *list = NULL;
    char *json = NULL;
    size_t length = 0;
    set(state, "another", SLEEP);
    uint32_t another = until(events, PROXYPROCESS_EVENT_STARTED, "another").pid;
    OK(proxyprocess_manager_status(manager, &list, &error));
    CHECK_INT(proxyprocess_status_list_count(list), 2);
    proxyprocess_proxy_status status = {.struct_size = sizeof status};
    OK(proxyprocess_status_list_get(list, 0, &status, &error));
    CHECK_TEXT(status.id, "another");
    CHECK_INT(status.pid, another);
    OK(proxyprocess_status_list_get(list, 1, &status, &error));
    CHECK_TEXT(status.id, "web");
    CHECK_TEXT(status.mode, "daemon");
    CHECK(status.last_error == NULL);
    CHECK_TEXT(proxyprocess_proxy_state_str(status.state), "running");
    OK(proxyprocess_manager_metrics(manager, &json, &length, &error));
    CHECK_INT(length, strlen(json));
    CHECK_HAS(json, "\nproxyprocess_starts_total 2\n");
    CHECK_HAS(json, "\nproxyprocess_proxy_ready{proxy=\"web\"} 1\n");
    proxyprocess_text_free(json);
    FAILS(proxyprocess_manager_metrics(manager, NULL, NULL, &error), PROXYPROCESS_E_NULL_ARGUMENT, "text");
    FAILS(proxyprocess_status_list_get(list, 2, &status, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "index");
    OK(proxyprocess_status_list_json(list, &json, &length, &error));
    CHECK_INT(length, strlen(json));
    CHECK_HAS(json, "\"web\":{");
    CHECK_HAS(json, "\"last_error\":null");
    proxyprocess_text_free(json);

    proxyprocess_status_list *one = NULL;
    OK(proxyprocess_manager_status_of(manager, "web", &one, &error));
    CHECK_INT(proxyprocess_status_list_count(one), 1);
    CHECK_INT(find(one, "web").status.pid, pid);
    FAILS(proxyprocess_manager_status_of(manager, "none", &one, &error), PROXYPROCESS_E_NOT_FOUND, "proxy none: not managed");
    FAILS(proxyprocess_manager_status_of(manager, "a\xff", &one, &error), PROXYPROCESS_E_INVALID_UTF8, "id");

    OK(proxyprocess_state_remove(state, "another", NULL, &error));
    until(events, PROXYPROCESS_EVENT_STOPPED, "another");
    CHECK(is_gone(another));
    /* A list is of one moment. */
    CHECK_INT(proxyprocess_status_list_count(list), 2);
    proxyprocess_status_list_free(list);

    OK(proxyprocess_manager_close(manager, &error));
    until(events, PROXYPROCESS_EVENT_END, NULL);
    OK(proxyprocess_manager_kill(manager, &error));
    OK(proxyprocess_manager_close(manager, &error));
    CHECK_INT(kill((pid_t)pid, 0), 0);
    OK(proxyprocess_manager_status(manager, &list, &error));
    CHECK_INT(proxyprocess_status_list_count(list), 0);
    proxyprocess_status_list_free(list);
    FAILS(proxyprocess_manager_start(manager, &error), PROXYPROCESS_E_CLOSED, "closed");
    FAILS(proxyprocess_manager_run(manager, &error), PROXYPROCESS_E_CLOSED, "closed");
    FAILS(proxyprocess_manager_restore(manager, NULL, &error), PROXYPROCESS_E_CLOSED, "closed");
    FAILS(proxyprocess_manager_status_of(manager, "web", &one, &error), PROXYPROCESS_E_CLOSED, "closed");
    FAILS(proxyprocess_manager_snapshot(manager, "copy", &error), PROXYPROCESS_E_CLOSED, "closed");
    proxyprocess_manager_options options = quick("data");
    FAILS(proxyprocess_manager_reconfigure(manager, &options, &error), PROXYPROCESS_E_CLOSED, "closed");
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    return pid;
}

/* Adopts the process, under its own thread; reconfigures; hands over by a snapshot of its own. */
static uint32_t second_agent(int said, uint32_t pid)
{
    static const char *const env[] = {"MORE=more", NULL};
    char text[64];
    pthread_t runner;
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data"), *late = NULL;
    proxyprocess_manager_options options = quick("data");
    proxyprocess_events *events = events_of(manager);
    set(state, "web", SAYS);
    OK(proxyprocess_manager_restore(manager, NULL, &error));
    CHECK_INT(until(events, PROXYPROCESS_EVENT_ADOPTED, "web").pid, pid);
    seen adopted = look(manager, "web");
    CHECK_INT(adopted.status.pid, pid);
    CHECK_INT(adopted.status.adopted, 1);

    FAILS(proxyprocess_manager_new(state, &options, &late, &error), PROXYPROCESS_E_LOCKED, "process");
    CHECK(late == NULL);

    CHECK_INT(pthread_create(&runner, NULL, run, manager), 0);
    until(events, PROXYPROCESS_EVENT_SNAPSHOT_WRITTEN, NULL);
    /* While one runs, others have nothing to do. */
    OK(proxyprocess_manager_run(manager, &error));
    FAILS(proxyprocess_manager_restore(manager, NULL, &error), PROXYPROCESS_E_INVALID_CONFIG, "run");

    options.proxy_env = env;
    OK(proxyprocess_manager_reconfigure(manager, &options, &error));
    uint32_t replaced = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    CHECK(replaced != pid && is_gone(pid));
    read_text(said, text, sizeof text);
    CHECK_TEXT(text, "web, a declared token, more\n");
    options.data_dir = "elsewhere";
    FAILS(proxyprocess_manager_reconfigure(manager, &options, &error), PROXYPROCESS_E_INVALID_CONFIG, "data_dir");

    OK(proxyprocess_manager_snapshot(manager, "copy", &error));
    FAILS(proxyprocess_manager_snapshot(manager, "is/not/there", &error), PROXYPROCESS_E_IO, "is/not/there");
    OK(proxyprocess_manager_close(manager, &error));
    CHECK_INT(pthread_join(runner, NULL), 0);
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    return replaced;
}

/* Another directory, and the snapshot in that of the one before, beside which the records are; closed. */
static uint32_t third_agent(uint32_t pid)
{
    static const char unnamed[] = "{\"Version\":2,\"Proxies\":{\"lost\":{\"Mode\":\"daemon\",\"Config\":{\"command\":[\"sleep\"]}}}}";
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "third"), *owner = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_manager_options options = quick("third");
    static const char *const env[] = {"MORE=more", NULL};
    options.proxy_env = env;
    OK(proxyprocess_manager_reconfigure(manager, &options, &error));
    FAILS(proxyprocess_manager_restore(manager, "data/snapshot.json", &error), PROXYPROCESS_E_LOCKED, "data is in use by process");
    OK(proxyprocess_manager_close(owner, &error));
    proxyprocess_manager_free(owner);
    OK(proxyprocess_manager_restore(manager, "data/snapshot.json", &error));
    CHECK_INT(until(events, PROXYPROCESS_EVENT_ADOPTED, "web").pid, pid);
    CHECK_INT(look(manager, "web").status.pid, pid);

    /* A snapshot that names no processes, and beside which there are no records. */
    FILE *file = fopen("unnamed", "we");
    CHECK(file != NULL && fputs(unnamed, file) >= 0 && fclose(file) == 0);
    OK(proxyprocess_manager_restore(manager, "unnamed", &error));
    CHECK_HAS(until(events, PROXYPROCESS_EVENT_ADOPTION_REFUSED, "lost").text, "not known whether a process lives");
    CHECK_HAS(look(manager, "lost").last_error, "there are no records beside it");
    OK(proxyprocess_manager_close(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    return pid;
}

/* Another directory, and the snapshot of the one before; killed, which stops all. */
static void last_agent(uint32_t pid)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "other");
    proxyprocess_manager_options options = quick("other");
    static const char *const env[] = {"MORE=more", NULL};
    options.proxy_env = env;
    OK(proxyprocess_manager_reconfigure(manager, &options, &error));
    OK(proxyprocess_manager_restore(manager, "copy", &error));
    seen adopted = look(manager, "web");
    CHECK_INT(adopted.status.pid, pid);
    CHECK_INT(adopted.status.adopted, 1);
    OK(proxyprocess_manager_restore(manager, "is/not/there", &error));
    OK(proxyprocess_manager_kill(manager, &error));
    CHECK(is_gone(pid));
    OK(proxyprocess_manager_close(manager, &error));
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

/* Without a directory nothing is written, and there is nothing to restore. */
static void nowhere(void)
{
    char *path = "untouched";
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = NULL;
    OK(proxyprocess_manager_new(state, NULL, &manager, &error));
    OK(proxyprocess_manager_snapshot_path(manager, &path, &error));
    CHECK(path == NULL);
    OK(proxyprocess_manager_restore(manager, NULL, &error));
    /* Freed without a word, it is closed. */
    OK(proxyprocess_manager_start(manager, &error));
    proxyprocess_manager_free(manager);
    proxyprocess_manager_free(NULL);
    proxyprocess_state_free(state);
}

/* Without a directory but one for logs, these are written. */
static void logs_alone(void)
{
    static const char *const says[] = {"/bin/sh", "-c", "echo hello; exec sleep 1000", NULL};
    char text[64] = "";
    proxyprocess_state *state = new_state();
    proxyprocess_manager_options options = quick(NULL);
    options.log_dir = "logs";
    proxyprocess_manager *manager = NULL;
    OK(proxyprocess_manager_new(state, &options, &manager, &error));
    set(state, "web", says);
    OK(proxyprocess_manager_start(manager, &error));
    for (int64_t since = now_ms(); strcmp(text, "hello\n") != 0; wait_a_turn(since, "the line in the log"))
        read_file("logs/web-stdout.log", text, sizeof text);
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

/* What cannot be read is put aside, and the agent goes on. */
static void corrupt(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "corrupt");
    FILE *file = fopen("corrupt/snapshot.json", "we");
    CHECK(file != NULL && fputs("{", file) >= 0 && fclose(file) == 0);
    FAILS(proxyprocess_manager_restore(manager, NULL, &error), PROXYPROCESS_E_CORRUPT_SNAPSHOT, "snapshot.json.corrupt-");
    OK(proxyprocess_manager_start(manager, &error));
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

int main(void)
{
    resources before = resources_now();
    int said = new_fifo("said");
    last_agent(third_agent(second_agent(said, first_agent(said))));
    close(said);
    nowhere();
    logs_alone();
    corrupt();
    nothing_is_left_since(before);
    return 0;
}
