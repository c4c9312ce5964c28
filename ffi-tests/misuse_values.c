// SPDX-License-Identifier: MPL-2.0
/* Values that are out of the question, in every field and argument: refused with the right code and by name, and what
 * was there before stays. */

#include "helpers.h"

#define NO_UTF8 "a\xff"
#define STEPS "[{\"signal\": 15, \"for_ms\": 1}]"

/* The largest id that is allowed, and one byte more. */
static char long_id[1024 + 2];

static const char *const NONE[] = {NULL};

/* Is a declaration refused by who takes it? It is what proxy() makes, with one assignment. */
#define REFUSES_PROXY(assignment, code, name)                                                                         \
    do {                                                                                                              \
        proxyprocess_state *state = new_state();                                                                      \
        proxyprocess_proxy_options options = proxy(SLEEP);                                                            \
        char *json = NULL;                                                                                            \
        options.assignment;                                                                                           \
        FAILS(proxyprocess_state_set(state, "web", &options, &error), code, name);                                    \
        OK(proxyprocess_state_list_json(state, &json, NULL, &error));                                                 \
        CHECK_TEXT(json, "{}");                                                                                       \
        proxyprocess_text_free(json);                                                                                 \
        proxyprocess_state_free(state);                                                                               \
    } while (0)

static void proxy_options(void)
{
    static const char *const empty_word[] = {"", NULL}, *const no_equals[] = {"A=1", "B", NULL};
    static const char *const no_name[] = {"=1", NULL}, *const set[] = {"A=1", NULL}, *const a[] = {"A", NULL};
    static const char *const own[] = {"B", "CONNECT_PROXY_ID", NULL};
    static const uint32_t one[] = {1};
    const int32_t argument = PROXYPROCESS_E_INVALID_ARGUMENT, config = PROXYPROCESS_E_INVALID_CONFIG;
    const int32_t utf8 = PROXYPROCESS_E_INVALID_UTF8, size = PROXYPROCESS_E_STRUCT_SIZE;
    REFUSES_PROXY(struct_size = 0, size, "proxy_options.struct_size");
    REFUSES_PROXY(struct_size = 1, size, "proxy_options.struct_size");
    REFUSES_PROXY(struct_size = offsetof(proxyprocess_proxy_options, unset_env) - 1, size, "proxy_options.struct_size");
    REFUSES_PROXY(struct_size = 4097, size, "proxy_options.struct_size");
    REFUSES_PROXY(struct_size = UINT32_MAX, size, "proxy_options.struct_size");
    REFUSES_PROXY(stop_signal = 0, argument, "stop_signal");
    REFUSES_PROXY(stop_signal = -1, argument, "stop_signal");
    REFUSES_PROXY(stop_signal = 65, argument, "stop_signal");
    REFUSES_PROXY(stop_signal = INT32_MIN, argument, "stop_signal");
    REFUSES_PROXY(mode = "", config, "mode");
    REFUSES_PROXY(mode = "Daemon", config, "mode");
    REFUSES_PROXY(mode = NO_UTF8, utf8, "mode");
    REFUSES_PROXY(mode = long_id, config, "mode");
    REFUSES_PROXY(argv = NULL, config, "command");
    REFUSES_PROXY(argv = NONE, config, "command");
    REFUSES_PROXY(argv = empty_word, config, "command[0]");
    REFUSES_PROXY(dir = "", config, "dir");
    REFUSES_PROXY(env = no_equals, config, "env[1]");
    REFUSES_PROXY(env = no_name, config, "env[0]");
    REFUSES_PROXY(token = "", config, "token");
    REFUSES_PROXY(token = NO_UTF8, utf8, "token");
    REFUSES_PROXY(target_service = "", config, "target_service");
    REFUSES_PROXY(target_service = NO_UTF8, utf8, "target_service");
    REFUSES_PROXY(options_json = "", config, "options_json");
    REFUSES_PROXY(options_json = "[]", config, "options_json");
    REFUSES_PROXY(options_json = "{\"a\": 1}", config, "options");
    REFUSES_PROXY(options_json = NO_UTF8, utf8, "options_json");
    REFUSES_PROXY(grace_period_ms = PROXYPROCESS_PERIOD_MAX_MS + 1, argument, "grace_period_ms");
    REFUSES_PROXY(grace_period_ms = UINT64_MAX, argument, "grace_period_ms");
    REFUSES_PROXY(restart_healthy_after_ms = UINT64_MAX, argument, "restart_healthy_after_ms");
    REFUSES_PROXY(restart_max_wait_ms = UINT64_MAX, argument, "restart_max_wait_ms");
    REFUSES_PROXY(restart_jitter = 1.5, config, "jitter");
    REFUSES_PROXY(restart_jitter = -0.1, config, "jitter");
    REFUSES_PROXY(restart_jitter = strtod("nan", NULL), config, "jitter");
    REFUSES_PROXY(has_credentials = 2, argument, "has_credentials");
    REFUSES_PROXY(reserved[2] = 1, argument, "reserved");
    REFUSES_PROXY(unset_env = no_equals, config, "unset_env[0]");
    REFUSES_PROXY(unset_env = empty_word, config, "unset_env[0]");
    REFUSES_PROXY(unset_env = own, config, "unset_env[1]");
    REFUSES_PROXY(env = set; options.unset_env = a, config, "unset_env");
    REFUSES_PROXY(leftover_grace_ms = PROXYPROCESS_PERIOD_MAX_MS + 1, argument, "leftover_grace_ms");
    REFUSES_PROXY(has_oom_score_adj = 2, argument, "has_oom_score_adj");
    REFUSES_PROXY(has_oom_score_adj = 1; options.oom_score_adj = 1001, config, "oom_score_adj");
    REFUSES_PROXY(has_oom_score_adj = 1; options.oom_score_adj = INT32_MIN, config, "oom_score_adj");
    REFUSES_PROXY(clear_env = 2, argument, "clear_env");
    REFUSES_PROXY(detached = 255, argument, "detached");
    REFUSES_PROXY(reserved_2[0] = 1, argument, "reserved_2");
    REFUSES_PROXY(reserved_4[4] = 1, argument, "reserved_4");
    REFUSES_PROXY(rlimits_json = "[]", config, "rlimits_json: expected an object");
    REFUSES_PROXY(rlimits_json = "{\"files\": 1}", config, "rlimits_json.files");
    REFUSES_PROXY(rlimits_json = "{\"nofile\": 1}"; options.descriptor_limit = 1, config, "rlimits.nofile");
    REFUSES_PROXY(rlimits_json = NO_UTF8, utf8, "rlimits_json");
    REFUSES_PROXY(cpu_affinity_json = "[]", config, "cpu_affinity");
    REFUSES_PROXY(cpu_affinity_json = "[8192]", config, "cpu_affinity_json[0]");
    REFUSES_PROXY(argv0 = "", config, "argv0");
    REFUSES_PROXY(has_nice = 2, argument, "has_nice");
    REFUSES_PROXY(output_json = "[]", config, "output_json: expected an object");
    REFUSES_PROXY(output_json = "{\"stdout\": \"log\"}", config, "output_json.stdout");
    REFUSES_PROXY(output_json = "{\"stdout\": \"descriptor\"}", config, "output.stdout");
    REFUSES_PROXY(output_json = "{\"stdout\": {\"path\": \"log\"}}", config, "output.stdout");
    REFUSES_PROXY(output_json = "{\"max_bytes\": 65535}", config, "output.max_bytes");
    REFUSES_PROXY(output_json = "{\"keep\": 1}", config, "output.keep");
    REFUSES_PROXY(output_json = NO_UTF8, utf8, "output_json");
    REFUSES_PROXY(user = "", config, "user");
    REFUSES_PROXY(user = "0", config, "user");
    REFUSES_PROXY(user = NO_UTF8, utf8, "user");
    REFUSES_PROXY(user = "a"; options.has_credentials = 1, config, "user");
    REFUSES_PROXY(group = "a", config, "group");
    REFUSES_PROXY(has_nice = 1; options.nice = 20, config, "nice");
    REFUSES_PROXY(has_umask = 2, argument, "has_umask");
    REFUSES_PROXY(has_umask = 1; options.umask = 01000, config, "umask");
    REFUSES_PROXY(no_new_privs = 2, argument, "no_new_privs");
    REFUSES_PROXY(reserved_3[2] = 1, argument, "reserved_3");
    REFUSES_PROXY(ready_tcp = "localhost:80", argument, "ready_tcp");
    REFUSES_PROXY(ready_tcp = NO_UTF8, utf8, "ready_tcp");
    REFUSES_PROXY(ready_tcp = "127.0.0.1:0", config, "ready.tcp");
    REFUSES_PROXY(ready_unix = "run/web", config, "ready.unix");
    REFUSES_PROXY(ready_unix = "", config, "ready.unix");
    REFUSES_PROXY(ready_fd = 2, config, "ready.fd");
    REFUSES_PROXY(ready_fd = UINT32_MAX, config, "ready.fd");
    REFUSES_PROXY(ready_notify = 2, argument, "ready_notify");
    REFUSES_PROXY(ready_notify = 1; options.ready_fd = 3, argument, "at most one");
    REFUSES_PROXY(ready_fd = 3; options.ready_unix = "/run/web", argument, "at most one");
    REFUSES_PROXY(listen_json = "[", config, "listen_json: expected a JSON list");
    REFUSES_PROXY(listen_json = "{}", config, "listen_json: expected a list");
    REFUSES_PROXY(listen_json = NO_UTF8, utf8, "listen_json");
    REFUSES_PROXY(listen_json = "[\"tcp:localhost:80\"]", config, "listen_json[0].address");
    REFUSES_PROXY(listen_json = "[\"tcp:127.0.0.1:0\"]", config, "listen[0].address");
    REFUSES_PROXY(start_timeout_ms = 0, config, "start_timeout_ms");
    REFUSES_PROXY(start_timeout_ms = PROXYPROCESS_PERIOD_MAX_MS + 1, argument, "start_timeout_ms");
    REFUSES_PROXY(watchdog_ms = PROXYPROCESS_PERIOD_MAX_MS + 1, argument, "watchdog_ms");
    REFUSES_PROXY(watchdog_ms = 1; options.mode = "noop", config, "watchdog_ms");
    REFUSES_PROXY(stop_json = "", config, "stop_json");
    REFUSES_PROXY(stop_json = "{}", config, "stop_json");
    REFUSES_PROXY(stop_json = "[]", config, "stop_json");
    REFUSES_PROXY(stop_json = NO_UTF8, utf8, "stop_json");
    REFUSES_PROXY(stop_json = "[{\"signal\": 65, \"for_ms\": 1}]", config, "stop_json[0].signal");
    REFUSES_PROXY(stop_json = "[{\"signal\": 1, \"command\": [\"a\"], \"for_ms\": 1}]", config, "stop_json[0].command");
    REFUSES_PROXY(stop_json = "[{\"command\": [], \"for_ms\": 1}]", config, "stop[0].command");
    REFUSES_PROXY(stop_json = STEPS; options.stop_signal = SIGTERM, config, "stop_signal");
    REFUSES_PROXY(stop_json = STEPS; options.grace_period_ms = 1, config, "grace_period_ms");
    REFUSES_PROXY(ready_json = "", config, "ready_json");
    REFUSES_PROXY(ready_json = "{}", config, "ready_json");
    REFUSES_PROXY(ready_json = NO_UTF8, utf8, "ready_json");
    REFUSES_PROXY(ready_json = "{\"command\": []}", config, "ready.command");
    REFUSES_PROXY(ready_json = "\"notify\""; options.ready_fd = 3, argument, "ready_json");
    REFUSES_PROXY(replace = 2, argument, "replace: expected 0 or 1, got 2");
    REFUSES_PROXY(replace = -1, argument, "replace");
    REFUSES_PROXY(fd_store_max = 513, config, "fd_store_max");
    REFUSES_PROXY(limits_json = "[]", config, "limits_json: expected an object");
    REFUSES_PROXY(limits_json = "{\"cpus\": 1}", config, "limits_json.cpus: unknown field");
    REFUSES_PROXY(limits_json = "{\"cpu_max\": 100001}", config, "limits.cpu_max");
    REFUSES_PROXY(limits_json = NO_UTF8, utf8, "limits_json");
    REFUSES_PROXY(enabled = 2, argument, "enabled");
    REFUSES_PROXY(reserved_5[6] = 1, argument, "reserved_5");
    REFUSES_PROXY(has_stdout_fd = 2, argument, "has_stdout_fd");
    REFUSES_PROXY(has_stderr_fd = 2, argument, "has_stderr_fd");
    REFUSES_PROXY(has_stdout_fd = 1, config, "stdout_fd");
    REFUSES_PROXY(has_stderr_fd = 1; options.stderr_fd = 1000000, config, "stderr_fd");
    REFUSES_PROXY(has_stderr_fd = 1; options.output_json = "{\"stderr\": \"null\"}", config, "stderr_fd");
    REFUSES_PROXY(output_json = "{\"stderr\": \"descriptor\"}", config, "output.stderr");
    REFUSES_PROXY(reserved_6[5] = 1, argument, "reserved_6");
    REFUSES_PROXY(restart_policy = 3, argument, "restart_policy");
    REFUSES_PROXY(restart_give_up_within_ms = 1, argument, "restart_give_up_within_ms");
    REFUSES_PROXY(restart_give_up_failures = 1, config, "restart.give_up_after.within_ms");
    REFUSES_PROXY(restart_give_up_failures = 1001; options.restart_give_up_within_ms = 1, config,
                  "restart.give_up_after.failures");
    REFUSES_PROXY(expected_exit_json = "64", config, "expected_exit_json");
    REFUSES_PROXY(expected_exit_json = "[256]", config, "expected_exit_json[0]");
    REFUSES_PROXY(reload_json = "", config, "reload_json");
    REFUSES_PROXY(reload_json = "[]", config, "reload_json");
    REFUSES_PROXY(reload_json = "{}", config, "reload_json");
    REFUSES_PROXY(reload_json = NO_UTF8, utf8, "reload_json");
    REFUSES_PROXY(reload_json = "{\"signal\": 65}", config, "reload_json.signal");
    REFUSES_PROXY(reload_json = "{\"notify\": true}", config, "reload_json.notify");
    REFUSES_PROXY(reload_json = "\"notify\"", config, "reload: expected \"notify\" only with");
    REFUSES_PROXY(reload_json = "{\"command\": []}", config, "reload.command");
    REFUSES_PROXY(has_credentials = 1; options.group_count = 1, PROXYPROCESS_E_NULL_ARGUMENT, "groups");
    REFUSES_PROXY(has_credentials = 1; options.groups = one; options.group_count = SIZE_MAX, argument, "groups");
}

/* What looks odd and is allowed. */
static void odd_proxy_options(void)
{
    static const char *const bytes[] = {NO_UTF8, "", NULL}, *const env[] = {"A=", NO_UTF8 "=" NO_UTF8, NULL};
    proxyprocess_state *state = new_state();
    proxyprocess_proxy_options options = proxy(bytes);
    options.env = env;
    options.dir = NO_UTF8;
    options.stop_signal = 64;
    options.grace_period_ms = options.restart_max_wait_ms = 0;
    options.restart_healthy_after_ms = PROXYPROCESS_PERIOD_MAX_MS;
    options.restart_attempts_before_backoff = UINT32_MAX;
    options.restart_jitter = 1;
    options.leftover_grace_ms = PROXYPROCESS_PERIOD_MAX_MS;
    options.descriptor_limit = UINT64_MAX;
    /* Not looked at without has_oom_score_adj, has_nice and has_umask. */
    options.oom_score_adj = INT32_MAX;
    options.nice = INT32_MIN;
    options.umask = UINT32_MAX;
    OK(proxyprocess_state_set(state, "web", &options, &error));
    /* Not looked at without has_credentials. */
    options.groups = NULL;
    options.group_count = SIZE_MAX;
    OK(proxyprocess_state_set(state, "\xc3\xa4 / \n", &options, &error));
    options.has_credentials = 1;
    options.group_count = 0;
    OK(proxyprocess_state_set(state, "web", &options, &error));
    proxyprocess_state_free(state);
}

/* Is an option of a manager refused, by a new one and by one that is there? */
#define REFUSES_MANAGER(assignment, code, name)                                                                       \
    do {                                                                                                              \
        proxyprocess_state *state = new_state();                                                                      \
        proxyprocess_manager *manager = NULL, *there = new_manager(state, NULL);                                      \
        proxyprocess_manager_options options = quick(NULL);                                                           \
        options.assignment;                                                                                           \
        FAILS(proxyprocess_manager_new(state, &options, &manager, &error), code, name);                               \
        FAILS(proxyprocess_manager_reconfigure(there, &options, &error), code, name);                                 \
        CHECK(manager == NULL);                                                                                       \
        proxyprocess_manager_free(there);                                                                             \
        proxyprocess_state_free(state);                                                                               \
    } while (0)

static void manager_options(void)
{
    static const char *const no_equals[] = {"A=1", "B", NULL};
    const int32_t argument = PROXYPROCESS_E_INVALID_ARGUMENT, config = PROXYPROCESS_E_INVALID_CONFIG;
    const int32_t size = PROXYPROCESS_E_STRUCT_SIZE;
    REFUSES_MANAGER(struct_size = 0, size, "manager_options.struct_size");
    REFUSES_MANAGER(struct_size = 1, size, "manager_options.struct_size");
    REFUSES_MANAGER(struct_size = 56 - 1, size, "manager_options.struct_size");
    REFUSES_MANAGER(struct_size = 4097, size, "manager_options.struct_size");
    REFUSES_MANAGER(struct_size = UINT32_MAX, size, "manager_options.struct_size");
    REFUSES_MANAGER(allow_root = 2, argument, "allow_root");
    REFUSES_MANAGER(reserved[0] = 1, argument, "reserved");
    REFUSES_MANAGER(data_dir = "", config, "data_dir");
    REFUSES_MANAGER(proxy_env = no_equals, config, "proxy_env[1]");
    REFUSES_MANAGER(snapshot_period_ms = UINT64_MAX, argument, "snapshot_period_ms");
    REFUSES_MANAGER(coalesce_period_ms = UINT64_MAX, argument, "coalesce_period_ms");
    REFUSES_MANAGER(quiescent_period_ms = PROXYPROCESS_PERIOD_MAX_MS + 1, argument, "quiescent_period_ms");
    REFUSES_MANAGER(event_capacity = 0, argument, "event_capacity");
    REFUSES_MANAGER(event_capacity = UINT64_MAX, argument, "event_capacity");
    REFUSES_MANAGER(max_handovers = 0, config, "max_handovers");
    REFUSES_MANAGER(has_keep_removed = 2, argument, "has_keep_removed");
    REFUSES_MANAGER(reserved_removed[2] = 1, argument, "reserved_removed");
    REFUSES_MANAGER(log_dir = "", config, "log_dir");
    REFUSES_MANAGER(log_dir = "logs"; options.data_dir = "data", config, "log_dir");
    REFUSES_MANAGER(max_handovers = UINT64_MAX, config, "max_handovers");
    REFUSES_MANAGER(cgroup = -1, argument, "cgroup");
    REFUSES_MANAGER(cgroup = 3, argument, "cgroup");
    REFUSES_MANAGER(cgroup = PROXYPROCESS_CGROUP_OFF; options.cgroup_base = "/sys/fs/cgroup", config, "cgroup_base");
    REFUSES_MANAGER(cgroup_base = "", config, "cgroup_base");
    REFUSES_MANAGER(reserved_2 = 1, argument, "reserved_2");
}

/* Is a file of a daemon refused? */
#define REFUSES_DAEMON(assignment, code, name)                                                                        \
    do {                                                                                                              \
        proxyprocess_proxy_options options = proxy(SLEEP);                                                            \
        proxyprocess_daemon_options files;                                                                            \
        proxyprocess_daemon *daemon = NULL;                                                                           \
        CHECK_INT(proxyprocess_daemon_options_init(&files, sizeof files), PROXYPROCESS_OK);                           \
        files.assignment;                                                                                             \
        FAILS(proxyprocess_daemon_new("web", &options, &files, &daemon, &error), code, name);                         \
        CHECK(daemon == NULL);                                                                                        \
    } while (0)

static void daemon_options(void)
{
    const int32_t size = PROXYPROCESS_E_STRUCT_SIZE, config = PROXYPROCESS_E_INVALID_CONFIG;
    REFUSES_DAEMON(struct_size = 0, size, "daemon_options.struct_size");
    REFUSES_DAEMON(struct_size = 1, size, "daemon_options.struct_size");
    REFUSES_DAEMON(struct_size = sizeof files - 1, size, "daemon_options.struct_size");
    REFUSES_DAEMON(struct_size = UINT32_MAX, size, "daemon_options.struct_size");
    REFUSES_DAEMON(reserved = 1, PROXYPROCESS_E_INVALID_ARGUMENT, "reserved");
    REFUSES_DAEMON(pid_path = "", config, "pid_path");
    REFUSES_DAEMON(stdout_path = "", config, "stdout_path");
    REFUSES_DAEMON(stderr_path = "", config, "stderr_path");
}

static void kinds(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, NULL);
    proxyprocess_proxy_kind kind;
    static const uint32_t sizes[] = {0, 1, sizeof kind - 1, 4097, UINT32_MAX};
    CHECK_INT(proxyprocess_proxy_kind_init(&kind, sizeof kind), PROXYPROCESS_OK);
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
        kind.struct_size = sizes[index];
        FAILS(proxyprocess_manager_register_kind(manager, "own", &kind, &error), PROXYPROCESS_E_STRUCT_SIZE,
              "proxy_kind.struct_size");
    }
    kind.struct_size = sizeof kind;
    kind.reserved = 1;
    FAILS(proxyprocess_manager_register_kind(manager, "own", &kind, &error), PROXYPROCESS_E_INVALID_ARGUMENT,
          "kind.reserved");
    FAILS(proxyprocess_manager_register_kind(manager, NO_UTF8, &kind, &error), PROXYPROCESS_E_INVALID_UTF8, "mode");
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

/* A struct of a later version: longer, and accepted as long as nothing is set that is not known. */
static void later_structs(void)
{
    struct {
        proxyprocess_proxy_options known;
        uint64_t later[4];
    } options;
    struct {
        proxyprocess_event known;
        uint64_t later[4];
    } event;
    char place[32];
    proxyprocess_state *state = new_state();
    memset(&options, 0xee, sizeof options);
    CHECK_INT(proxyprocess_proxy_options_init(&options.known, sizeof options), PROXYPROCESS_OK);
    CHECK_INT(options.known.struct_size, sizeof options);
    CHECK(options.later[0] == 0 && options.later[3] == 0);
    options.known.argv = SLEEP;
    OK(proxyprocess_state_set(state, "web", &options.known, &error));
    options.later[3] = 1;
    snprintf(place, sizeof place, "offset %zu", sizeof options.known + 3 * sizeof *options.later);
    FAILS(proxyprocess_state_set(state, "web", &options.known, &error), PROXYPROCESS_E_STRUCT_SIZE, place);

    /* Of one to fill, what is not known is left as it is. */
    proxyprocess_manager *manager = new_manager(state, NULL);
    proxyprocess_events *events = events_of(manager);
    memset(&event, 0xee, sizeof event);
    event.known.struct_size = sizeof event;
    OK(proxyprocess_events_next(events, 0, &event.known, &error));
    CHECK_INT(event.known.struct_size, sizeof event);
    CHECK_INT(event.known.kind, PROXYPROCESS_EVENT_NONE);
    CHECK(event.later[0] == 0xeeeeeeeeeeeeeeee && event.later[3] == 0xeeeeeeeeeeeeeeee);
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

/* Structs to fill, of no size that can be: neither they nor an event are lost. */
static void filled_structs(void)
{
    static const uint32_t sizes[] = {0, 1, offsetof(proxyprocess_proxy_status, unproven) - 1, 4097, UINT32_MAX};
    proxyprocess_daemon *daemon = new_daemon("web", SLEEP);
    proxyprocess_status_list *list = NULL;
    proxyprocess_events *events = NULL;
    OK(proxyprocess_daemon_status(daemon, &list, &error));
    OK(proxyprocess_daemon_events(daemon, &events, &error));
    OK(proxyprocess_daemon_start(daemon, &error));
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
        proxyprocess_proxy_status status;
        proxyprocess_event event;
        memset(&status, 0xee, sizeof status);
        memset(&event, 0xee, sizeof event);
        status.struct_size = event.struct_size = sizes[index];
        FAILS(proxyprocess_status_list_get(list, 0, &status, &error), PROXYPROCESS_E_STRUCT_SIZE, "struct_size");
        FAILS(proxyprocess_events_next(events, 0, &event, &error), PROXYPROCESS_E_STRUCT_SIZE, "struct_size");
        CHECK(status.pid == 0xeeeeeeee && event.pid == 0xeeeeeeee);

        union {
            proxyprocess_proxy_options proxy;
            proxyprocess_manager_options manager;
            proxyprocess_daemon_options daemon;
            proxyprocess_proxy_kind kind;
        } any;
        size_t size = sizes[index] == UINT32_MAX ? SIZE_MAX : sizes[index];
        /* This one would be none too small for the others. */
        size = size == sizes[2] ? sizeof any.daemon - 1 : size;
        CHECK_INT(proxyprocess_proxy_options_init(&any.proxy, size), PROXYPROCESS_E_STRUCT_SIZE);
        CHECK_INT(proxyprocess_manager_options_init(&any.manager, size), PROXYPROCESS_E_STRUCT_SIZE);
        CHECK_INT(proxyprocess_daemon_options_init(&any.daemon, size), PROXYPROCESS_E_STRUCT_SIZE);
        CHECK_INT(proxyprocess_proxy_kind_init(&any.kind, size), PROXYPROCESS_E_STRUCT_SIZE);
    }
    proxyprocess_proxy_status status = {.struct_size = sizeof status};
    FAILS(proxyprocess_status_list_get(list, 1, &status, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "index");
    FAILS(proxyprocess_status_list_get(list, SIZE_MAX, &status, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "index");
    until(events, PROXYPROCESS_EVENT_STARTED, "web");
    OK(proxyprocess_daemon_stop(daemon, &error));
    proxyprocess_events_free(events);
    proxyprocess_status_list_free(list);
    proxyprocess_daemon_free(daemon);
}

/* Texts and lengths that cannot be. */
static void texts(void)
{
    static const char json[] = "{\"mode\": \"noop\"}", no_utf8[] = "{\"" NO_UTF8 "\": 1}";
    const int32_t argument = PROXYPROCESS_E_INVALID_ARGUMENT, utf8 = PROXYPROCESS_E_INVALID_UTF8;
    const int32_t id = PROXYPROCESS_E_INVALID_ID, config = PROXYPROCESS_E_INVALID_CONFIG;
    const size_t length = sizeof json - 1, bad_length = sizeof no_utf8 - 1;
    proxyprocess_proxy_options options = proxy(SLEEP);
    proxyprocess_state *state = new_state();
    proxyprocess_daemon *daemon = NULL;
    char *text = NULL;

    FAILS(proxyprocess_state_set(state, "", &options, &error), id, "id");
    FAILS(proxyprocess_state_set(state, long_id, &options, &error), id, "1025 bytes");
    FAILS(proxyprocess_state_set(state, NO_UTF8, &options, &error), utf8, "id");
    FAILS(proxyprocess_state_set_json(state, "", json, length, &error), id, "id");
    FAILS(proxyprocess_state_set_json(state, NO_UTF8, json, length, &error), utf8, "id");
    FAILS(proxyprocess_state_set_json(state, "web", no_utf8, bad_length, &error), utf8, "json");
    FAILS(proxyprocess_state_set_json(state, "web", json, SIZE_MAX, &error), argument, "json");
    FAILS(proxyprocess_state_set_json(state, "web", json, (size_t)INT64_MIN, &error), argument, "json");
    FAILS(proxyprocess_state_set_json(state, "web", json, 0, &error), config, "JSON");
    FAILS(proxyprocess_state_set_json(state, "web", NULL, 0, &error), config, "JSON");
    FAILS(proxyprocess_state_replace_all_json(state, no_utf8, bad_length, &error), utf8, "json");
    FAILS(proxyprocess_state_replace_all_json(state, json, SIZE_MAX, &error), argument, "json");
    FAILS(proxyprocess_state_remove(state, NO_UTF8, NULL, &error), utf8, "id");
    FAILS(proxyprocess_state_get_json(state, NO_UTF8, &text, NULL, &error), utf8, "id");
    CHECK(text == NULL);
    long_id[1024] = '\0';
    OK(proxyprocess_state_set(state, long_id, &options, &error));
    long_id[1024] = 'x';
    proxyprocess_state_free(state);

    FAILS(proxyprocess_daemon_new(NO_UTF8, &options, NULL, &daemon, &error), utf8, "id");
    FAILS(proxyprocess_daemon_new_json(NO_UTF8, json, length, NULL, &daemon, &error), utf8, "id");
    FAILS(proxyprocess_daemon_new_json("web", no_utf8, bad_length, NULL, &daemon, &error), utf8, "json");
    FAILS(proxyprocess_daemon_new_json("web", json, SIZE_MAX, NULL, &daemon, &error), argument, "json");
    FAILS(proxyprocess_daemon_new_json("web", NULL, 0, NULL, &daemon, &error), config, "JSON");
    CHECK(daemon == NULL);
    /* What can never work is an error of the start. */
    daemon = new_daemon("", SLEEP);
    FAILS(proxyprocess_daemon_start(daemon, &error), id, "id");
    FAILS(proxyprocess_daemon_unmarshal_snapshot(daemon, no_utf8, bad_length, &error), utf8, "json");
    FAILS(proxyprocess_daemon_unmarshal_snapshot(daemon, json, SIZE_MAX, &error), argument, "json");
    FAILS(proxyprocess_daemon_unmarshal_snapshot(daemon, NULL, 0, &error), config, "JSON");
    proxyprocess_daemon_free(daemon);
    daemon = new_daemon(long_id, SLEEP);
    FAILS(proxyprocess_daemon_start(daemon, &error), id, "1025 bytes");
    proxyprocess_daemon_free(daemon);
    daemon = new_daemon("web", NONE);
    FAILS(proxyprocess_daemon_start(daemon, &error), config, "command");
    proxyprocess_daemon_free(daemon);
    OK(proxyprocess_daemon_new_json("web", json, length, NULL, &daemon, &error));
    FAILS(proxyprocess_daemon_start(daemon, &error), config, "mode");
    proxyprocess_daemon_free(daemon);
}

static void paths(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, NO_UTF8), *other = NULL;
    proxyprocess_manager_options options = quick(long_id);
    char *path = NULL;
    OK(proxyprocess_manager_snapshot_path(manager, &path, &error));
    CHECK_TEXT(path, NO_UTF8 "/snapshot.json");
    proxyprocess_text_free(path);
    FAILS(proxyprocess_manager_snapshot(manager, "", &error), PROXYPROCESS_E_IO, "");
    FAILS(proxyprocess_manager_snapshot(manager, long_id, &error), PROXYPROCESS_E_IO, "File name too long");
    FAILS(proxyprocess_manager_restore(manager, long_id, &error), PROXYPROCESS_E_IO, "File name too long");
    FAILS(proxyprocess_manager_new(state, &options, &other, &error), PROXYPROCESS_E_IO, "File name too long");
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static void numbers(void)
{
    static const int32_t none[] = {-1, 99, INT32_MAX, INT32_MIN};
    for (size_t index = 0; index < sizeof none / sizeof *none; index++) {
        CHECK_TEXT(proxyprocess_proxy_state_str(none[index]), "unknown");
        FAILS(proxyprocess_log_set_callback(none[index], NULL, NULL, NULL, &error), PROXYPROCESS_E_INVALID_ARGUMENT,
              "level");
    }
    for (int32_t by = PROXYPROCESS_ENDED_BY_NONE; by <= PROXYPROCESS_ENDED_BY_WATCHDOG; by++)
        CHECK(strcmp(proxyprocess_ended_by_str(by), "unknown") != 0);
    CHECK_TEXT(proxyprocess_ended_by_str(5), "unknown");
    for (int32_t state = PROXYPROCESS_PROXY_IDLE; state <= PROXYPROCESS_PROXY_PAUSED; state++)
        CHECK(strcmp(proxyprocess_proxy_state_str(state), "unknown") != 0);
}

int main(void)
{
    resources before = resources_now();
    memset(long_id, 'x', sizeof long_id - 1);
    proxy_options();
    odd_proxy_options();
    manager_options();
    daemon_options();
    kinds();
    later_structs();
    filled_structs();
    texts();
    paths();
    numbers();
    nothing_is_left_since(before);
    return 0;
}
