// SPDX-License-Identifier: MPL-2.0
/* The binary interface, as programs that were compiled long ago rely on it. What fails here must not be mended here: it
 * is another PROXYPROCESS_ABI_VERSION, or a mistake. A test holds that nothing of the header is left out. */

#include "check.h"

#include <stddef.h>

#define VALUE(name, value) _Static_assert((name) == (value), #name)
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#define FIELD(type, field, at, size)                                                                                  \
    _Static_assert(offsetof(type, field) == (at) && sizeof(((type *)NULL)->field) == (size), #type "." #field)

VALUE(PROXYPROCESS_ABI_VERSION, 1);
VALUE(PROXYPROCESS_DAEMON_RESTART_HEALTHY_MS, 10000);
VALUE(PROXYPROCESS_DAEMON_RESTART_BACKOFF_MIN, 3);
VALUE(PROXYPROCESS_DAEMON_RESTART_MAX_WAIT_MS, 60000);
VALUE(PROXYPROCESS_DAEMON_GRACE_PERIOD_MS, 5000);
VALUE(PROXYPROCESS_START_TIMEOUT_MS, 90000);
VALUE(PROXYPROCESS_LISTEN_BACKLOG, 4096);
VALUE(PROXYPROCESS_MANAGER_COALESCE_PERIOD_MS, 5000);
VALUE(PROXYPROCESS_MANAGER_QUIESCENT_PERIOD_MS, 500);
VALUE(PROXYPROCESS_MANAGER_SNAPSHOT_PERIOD_MS, 1000);
VALUE(PROXYPROCESS_EVENT_CAPACITY, 1024);
VALUE(PROXYPROCESS_LOG_CAPACITY, 1024);
VALUE(PROXYPROCESS_PERIOD_MAX_MS, 31622400000);

SIZE(proxyprocess_code, 4);
VALUE(PROXYPROCESS_OK, 0);
VALUE(PROXYPROCESS_E_INVALID_CONFIG, -1);
VALUE(PROXYPROCESS_E_INVALID_ID, -2);
VALUE(PROXYPROCESS_E_IO, -3);
VALUE(PROXYPROCESS_E_LOCKED, -4);
VALUE(PROXYPROCESS_E_UNTRUSTED, -5);
VALUE(PROXYPROCESS_E_CORRUPT_SNAPSHOT, -6);
VALUE(PROXYPROCESS_E_STOPPED, -7);
VALUE(PROXYPROCESS_E_CLOSED, -8);
VALUE(PROXYPROCESS_E_STILL_RUNNING, -9);
VALUE(PROXYPROCESS_E_EXHAUSTED, -10);
VALUE(PROXYPROCESS_E_ROOT_REFUSED, -11);
VALUE(PROXYPROCESS_E_UNKNOWN_MODE, -12);
VALUE(PROXYPROCESS_E_START_FAILED, -13);
VALUE(PROXYPROCESS_E_ADOPTION_REFUSED, -14);
VALUE(PROXYPROCESS_E_FORKED, -15);
VALUE(PROXYPROCESS_E_INTERNAL, -16);
VALUE(PROXYPROCESS_E_UNPROVEN, -17);
VALUE(PROXYPROCESS_E_NOT_FOUND, -18);
VALUE(PROXYPROCESS_E_NOT_RUNNING, -19);
VALUE(PROXYPROCESS_E_TIMEOUT, -20);
VALUE(PROXYPROCESS_E_COMMAND_FAILED, -21);
VALUE(PROXYPROCESS_E_PAUSED, -22);
VALUE(PROXYPROCESS_E_NULL_ARGUMENT, -101);
VALUE(PROXYPROCESS_E_INVALID_UTF8, -102);
VALUE(PROXYPROCESS_E_STRUCT_SIZE, -103);
VALUE(PROXYPROCESS_E_INVALID_ARGUMENT, -104);
VALUE(PROXYPROCESS_E_IN_CALLBACK, -105);
VALUE(PROXYPROCESS_E_LOGGER_INSTALLED, -106);
VALUE(PROXYPROCESS_E_PANIC, -107);
VALUE(PROXYPROCESS_E_ABANDONED, -108);

SIZE(proxyprocess_class, 4);
VALUE(PROXYPROCESS_CLASS_NONE, 0);
VALUE(PROXYPROCESS_CLASS_ARGUMENT, 1);
VALUE(PROXYPROCESS_CLASS_SYSTEM, 2);
VALUE(PROXYPROCESS_CLASS_STATE, 3);
VALUE(PROXYPROCESS_CLASS_DATA, 4);
VALUE(PROXYPROCESS_CLASS_PROCESS, 5);
VALUE(PROXYPROCESS_CLASS_INTERNAL, 6);

SIZE(proxyprocess_proxy_state, 4);
VALUE(PROXYPROCESS_PROXY_IDLE, 0);
VALUE(PROXYPROCESS_PROXY_ADOPTING, 1);
VALUE(PROXYPROCESS_PROXY_STARTING, 2);
VALUE(PROXYPROCESS_PROXY_RUNNING, 3);
VALUE(PROXYPROCESS_PROXY_CLEARING, 4);
VALUE(PROXYPROCESS_PROXY_WAITING, 5);
VALUE(PROXYPROCESS_PROXY_STOPPING, 6);
VALUE(PROXYPROCESS_PROXY_STOPPED, 7);
VALUE(PROXYPROCESS_PROXY_FAILED, 8);
VALUE(PROXYPROCESS_PROXY_CLOSED, 9);
VALUE(PROXYPROCESS_PROXY_COMPLETED, 10);
VALUE(PROXYPROCESS_PROXY_PAUSED, 11);

SIZE(proxyprocess_ended_by, 4);
VALUE(PROXYPROCESS_ENDED_BY_NONE, 0);
VALUE(PROXYPROCESS_ENDED_BY_ITSELF, 1);
VALUE(PROXYPROCESS_ENDED_BY_STOP, 2);
VALUE(PROXYPROCESS_ENDED_BY_NOT_READY, 3);
VALUE(PROXYPROCESS_ENDED_BY_WATCHDOG, 4);

VALUE(PROXYPROCESS_REPLACE_STOP_FIRST, 0);
VALUE(PROXYPROCESS_REPLACE_OVERLAP, 1);
VALUE(PROXYPROCESS_CGROUP_AUTO, 0);
VALUE(PROXYPROCESS_CGROUP_OFF, 1);
VALUE(PROXYPROCESS_CGROUP_REQUIRED, 2);
VALUE(PROXYPROCESS_RESTART_ALWAYS, 0);
VALUE(PROXYPROCESS_RESTART_ON_FAILURE, 1);
VALUE(PROXYPROCESS_RESTART_NEVER, 2);

SIZE(proxyprocess_exit, 4);
VALUE(PROXYPROCESS_EXIT_NONE, 0);
VALUE(PROXYPROCESS_EXIT_CODE, 1);
VALUE(PROXYPROCESS_EXIT_SIGNAL, 2);
VALUE(PROXYPROCESS_EXIT_SIGNAL_CORE, 3);
VALUE(PROXYPROCESS_EXIT_UNKNOWN, 4);

SIZE(proxyprocess_event_kind, 4);
VALUE(PROXYPROCESS_EVENT_NONE, 0);
VALUE(PROXYPROCESS_EVENT_END, 1);
VALUE(PROXYPROCESS_EVENT_STARTED, 2);
VALUE(PROXYPROCESS_EVENT_START_FAILED, 3);
VALUE(PROXYPROCESS_EVENT_ADOPTED, 4);
VALUE(PROXYPROCESS_EVENT_ADOPTION_REFUSED, 5);
VALUE(PROXYPROCESS_EVENT_EXITED, 6);
VALUE(PROXYPROCESS_EVENT_WAITING, 7);
VALUE(PROXYPROCESS_EVENT_STOPPING, 8);
VALUE(PROXYPROCESS_EVENT_STOPPED, 9);
VALUE(PROXYPROCESS_EVENT_FAILED, 10);
VALUE(PROXYPROCESS_EVENT_SNAPSHOT_WRITTEN, 11);
VALUE(PROXYPROCESS_EVENT_SNAPSHOT_FAILED, 12);
VALUE(PROXYPROCESS_EVENT_GAP, 13);
VALUE(PROXYPROCESS_EVENT_UNPROVEN, 14);
VALUE(PROXYPROCESS_EVENT_READY, 15);
VALUE(PROXYPROCESS_EVENT_NOT_READY, 16);
VALUE(PROXYPROCESS_EVENT_WATCHDOG_EXPIRED, 17);
VALUE(PROXYPROCESS_EVENT_COMPLETED, 18);

SIZE(proxyprocess_wait_for, 4);
VALUE(PROXYPROCESS_WAIT_RUNNING, 1);
VALUE(PROXYPROCESS_WAIT_COMPLETED, 2);
VALUE(PROXYPROCESS_WAIT_PAUSED, 3);

SIZE(proxyprocess_log_level, 4);
VALUE(PROXYPROCESS_LOG_OFF, 0);
VALUE(PROXYPROCESS_LOG_ERROR, 1);
VALUE(PROXYPROCESS_LOG_WARN, 2);
VALUE(PROXYPROCESS_LOG_INFO, 3);
VALUE(PROXYPROCESS_LOG_DEBUG, 4);
VALUE(PROXYPROCESS_LOG_TRACE, 5);

SIZE(proxyprocess_proxy_options, 360);
FIELD(proxyprocess_proxy_options, struct_size, 0, 4);
FIELD(proxyprocess_proxy_options, stop_signal, 4, 4);
FIELD(proxyprocess_proxy_options, mode, 8, 8);
FIELD(proxyprocess_proxy_options, argv, 16, 8);
FIELD(proxyprocess_proxy_options, dir, 24, 8);
FIELD(proxyprocess_proxy_options, env, 32, 8);
FIELD(proxyprocess_proxy_options, token, 40, 8);
FIELD(proxyprocess_proxy_options, target_service, 48, 8);
FIELD(proxyprocess_proxy_options, options_json, 56, 8);
FIELD(proxyprocess_proxy_options, grace_period_ms, 64, 8);
FIELD(proxyprocess_proxy_options, restart_healthy_after_ms, 72, 8);
FIELD(proxyprocess_proxy_options, restart_max_wait_ms, 80, 8);
FIELD(proxyprocess_proxy_options, restart_jitter, 88, 8);
FIELD(proxyprocess_proxy_options, restart_attempts_before_backoff, 96, 4);
FIELD(proxyprocess_proxy_options, has_credentials, 100, 1);
FIELD(proxyprocess_proxy_options, reserved, 101, 3);
FIELD(proxyprocess_proxy_options, uid, 104, 4);
FIELD(proxyprocess_proxy_options, gid, 108, 4);
FIELD(proxyprocess_proxy_options, groups, 112, 8);
FIELD(proxyprocess_proxy_options, group_count, 120, 8);
FIELD(proxyprocess_proxy_options, unset_env, 128, 8);
FIELD(proxyprocess_proxy_options, leftover_grace_ms, 136, 8);
FIELD(proxyprocess_proxy_options, descriptor_limit, 144, 8);
FIELD(proxyprocess_proxy_options, oom_score_adj, 152, 4);
FIELD(proxyprocess_proxy_options, has_oom_score_adj, 156, 1);
FIELD(proxyprocess_proxy_options, clear_env, 157, 1);
FIELD(proxyprocess_proxy_options, detached, 158, 1);
FIELD(proxyprocess_proxy_options, reserved_2, 159, 1);
FIELD(proxyprocess_proxy_options, ready_tcp, 160, 8);
FIELD(proxyprocess_proxy_options, ready_unix, 168, 8);
FIELD(proxyprocess_proxy_options, ready_fd, 176, 4);
FIELD(proxyprocess_proxy_options, ready_notify, 180, 1);
FIELD(proxyprocess_proxy_options, reserved_3, 181, 3);
FIELD(proxyprocess_proxy_options, start_timeout_ms, 184, 8);
FIELD(proxyprocess_proxy_options, stop_json, 192, 8);
FIELD(proxyprocess_proxy_options, listen_json, 200, 8);
FIELD(proxyprocess_proxy_options, reload_json, 208, 8);
FIELD(proxyprocess_proxy_options, ready_json, 216, 8);
FIELD(proxyprocess_proxy_options, watchdog_ms, 224, 8);
FIELD(proxyprocess_proxy_options, replace, 232, 4);
FIELD(proxyprocess_proxy_options, fd_store_max, 236, 4);
FIELD(proxyprocess_proxy_options, rlimits_json, 240, 8);
FIELD(proxyprocess_proxy_options, cpu_affinity_json, 248, 8);
FIELD(proxyprocess_proxy_options, argv0, 256, 8);
FIELD(proxyprocess_proxy_options, nice, 264, 4);
FIELD(proxyprocess_proxy_options, umask, 268, 4);
FIELD(proxyprocess_proxy_options, has_nice, 272, 1);
FIELD(proxyprocess_proxy_options, has_umask, 273, 1);
FIELD(proxyprocess_proxy_options, no_new_privs, 274, 1);
FIELD(proxyprocess_proxy_options, reserved_4, 275, 5);
FIELD(proxyprocess_proxy_options, user, 280, 8);
FIELD(proxyprocess_proxy_options, group, 288, 8);
FIELD(proxyprocess_proxy_options, restart_policy, 296, 4);
FIELD(proxyprocess_proxy_options, restart_give_up_failures, 300, 4);
FIELD(proxyprocess_proxy_options, restart_give_up_within_ms, 304, 8);
FIELD(proxyprocess_proxy_options, expected_exit_json, 312, 8);
FIELD(proxyprocess_proxy_options, output_json, 320, 8);
FIELD(proxyprocess_proxy_options, enabled, 328, 1);
FIELD(proxyprocess_proxy_options, reserved_5, 329, 7);
FIELD(proxyprocess_proxy_options, stdout_fd, 336, 4);
FIELD(proxyprocess_proxy_options, stderr_fd, 340, 4);
FIELD(proxyprocess_proxy_options, has_stdout_fd, 344, 1);
FIELD(proxyprocess_proxy_options, has_stderr_fd, 345, 1);
FIELD(proxyprocess_proxy_options, reserved_6, 346, 6);
FIELD(proxyprocess_proxy_options, limits_json, 352, 8);

SIZE(proxyprocess_manager_options, 96);
FIELD(proxyprocess_manager_options, struct_size, 0, 4);
FIELD(proxyprocess_manager_options, allow_root, 4, 1);
FIELD(proxyprocess_manager_options, reserved, 5, 3);
FIELD(proxyprocess_manager_options, data_dir, 8, 8);
FIELD(proxyprocess_manager_options, proxy_env, 16, 8);
FIELD(proxyprocess_manager_options, snapshot_period_ms, 24, 8);
FIELD(proxyprocess_manager_options, coalesce_period_ms, 32, 8);
FIELD(proxyprocess_manager_options, quiescent_period_ms, 40, 8);
FIELD(proxyprocess_manager_options, event_capacity, 48, 8);
FIELD(proxyprocess_manager_options, max_handovers, 56, 8);
FIELD(proxyprocess_manager_options, log_dir, 64, 8);
FIELD(proxyprocess_manager_options, keep_removed, 72, 4);
FIELD(proxyprocess_manager_options, has_keep_removed, 76, 1);
FIELD(proxyprocess_manager_options, reserved_removed, 77, 3);
FIELD(proxyprocess_manager_options, cgroup_base, 80, 8);
FIELD(proxyprocess_manager_options, cgroup, 88, 4);
FIELD(proxyprocess_manager_options, reserved_2, 92, 4);

SIZE(proxyprocess_daemon_options, 32);
FIELD(proxyprocess_daemon_options, struct_size, 0, 4);
FIELD(proxyprocess_daemon_options, reserved, 4, 4);
FIELD(proxyprocess_daemon_options, pid_path, 8, 8);
FIELD(proxyprocess_daemon_options, stdout_path, 16, 8);
FIELD(proxyprocess_daemon_options, stderr_path, 24, 8);

SIZE(proxyprocess_proxy_status, 240);
FIELD(proxyprocess_proxy_status, struct_size, 0, 4);
FIELD(proxyprocess_proxy_status, state, 4, 4);
FIELD(proxyprocess_proxy_status, id, 8, 8);
FIELD(proxyprocess_proxy_status, mode, 16, 8);
FIELD(proxyprocess_proxy_status, last_error, 24, 8);
FIELD(proxyprocess_proxy_status, restarts, 32, 8);
FIELD(proxyprocess_proxy_status, next_start_ms, 40, 8);
FIELD(proxyprocess_proxy_status, pid, 48, 4);
FIELD(proxyprocess_proxy_status, adopted, 52, 1);
FIELD(proxyprocess_proxy_status, reserved, 53, 3);
FIELD(proxyprocess_proxy_status, last_exit, 56, 4);
FIELD(proxyprocess_proxy_status, last_exit_value, 60, 4);
FIELD(proxyprocess_proxy_status, unproven, 64, 8);
FIELD(proxyprocess_proxy_status, hint, 72, 8);
FIELD(proxyprocess_proxy_status, last_exit_text, 80, 8);
FIELD(proxyprocess_proxy_status, ready, 88, 1);
FIELD(proxyprocess_proxy_status, reserved_2, 89, 7);
FIELD(proxyprocess_proxy_status, generation, 96, 8);
FIELD(proxyprocess_proxy_status, status_text, 104, 8);
FIELD(proxyprocess_proxy_status, other_generation, 112, 8);
FIELD(proxyprocess_proxy_status, other_error, 120, 8);
FIELD(proxyprocess_proxy_status, other_state, 128, 4);
FIELD(proxyprocess_proxy_status, other_pid, 132, 4);
FIELD(proxyprocess_proxy_status, state_ms, 136, 8);
FIELD(proxyprocess_proxy_status, uptime_ms, 144, 8);
FIELD(proxyprocess_proxy_status, last_stderr, 152, 8);
FIELD(proxyprocess_proxy_status, stdout_log, 160, 8);
FIELD(proxyprocess_proxy_status, stderr_log, 168, 8);
FIELD(proxyprocess_proxy_status, last_exit_by, 176, 4);
FIELD(proxyprocess_proxy_status, reserved_3, 180, 4);
FIELD(proxyprocess_proxy_status, other_next_start_ms, 184, 8);
FIELD(proxyprocess_proxy_status, other_attempts, 192, 8);
FIELD(proxyprocess_proxy_status, other_last_exit_text, 200, 8);
FIELD(proxyprocess_proxy_status, other_last_stderr, 208, 8);
FIELD(proxyprocess_proxy_status, other_last_exit, 216, 4);
FIELD(proxyprocess_proxy_status, other_last_exit_value, 220, 4);
FIELD(proxyprocess_proxy_status, other_last_exit_by, 224, 4);
FIELD(proxyprocess_proxy_status, other_last_exit_expected, 228, 1);
FIELD(proxyprocess_proxy_status, last_exit_expected, 229, 1);
FIELD(proxyprocess_proxy_status, last_exit_oom, 230, 1);
FIELD(proxyprocess_proxy_status, other_last_exit_oom, 231, 1);
FIELD(proxyprocess_proxy_status, cgroup, 232, 8);

SIZE(proxyprocess_event, 88);
FIELD(proxyprocess_event, struct_size, 0, 4);
FIELD(proxyprocess_event, kind, 4, 4);
FIELD(proxyprocess_event, number, 8, 8);
FIELD(proxyprocess_event, at_unix_ns, 16, 8);
FIELD(proxyprocess_event, id, 24, 8);
FIELD(proxyprocess_event, text, 32, 8);
FIELD(proxyprocess_event, wait_ms, 40, 8);
FIELD(proxyprocess_event, missed, 48, 8);
FIELD(proxyprocess_event, pid, 56, 4);
FIELD(proxyprocess_event, exit, 60, 4);
FIELD(proxyprocess_event, exit_value, 64, 4);
FIELD(proxyprocess_event, reserved, 68, 4);
FIELD(proxyprocess_event, exit_text, 72, 8);
FIELD(proxyprocess_event, generation, 80, 8);

SIZE(proxyprocess_log_line, 56);
FIELD(proxyprocess_log_line, struct_size, 0, 4);
FIELD(proxyprocess_log_line, level, 4, 4);
FIELD(proxyprocess_log_line, number, 8, 8);
FIELD(proxyprocess_log_line, at_unix_ns, 16, 8);
FIELD(proxyprocess_log_line, missed, 24, 8);
FIELD(proxyprocess_log_line, message, 32, 8);
FIELD(proxyprocess_log_line, message_length, 40, 8);
FIELD(proxyprocess_log_line, ended, 48, 1);
FIELD(proxyprocess_log_line, reserved, 49, 7);

SIZE(proxyprocess_proxy_context, 40);
FIELD(proxyprocess_proxy_context, struct_size, 0, 4);
FIELD(proxyprocess_proxy_context, reserved, 4, 4);
FIELD(proxyprocess_proxy_context, id, 8, 8);
FIELD(proxyprocess_proxy_context, mode, 16, 8);
FIELD(proxyprocess_proxy_context, declaration_json, 24, 8);
FIELD(proxyprocess_proxy_context, declaration_json_length, 32, 8);

SIZE(proxyprocess_proxy_kind, 96);
FIELD(proxyprocess_proxy_kind, struct_size, 0, 4);
FIELD(proxyprocess_proxy_kind, reserved, 4, 4);
FIELD(proxyprocess_proxy_kind, user, 8, 8);
FIELD(proxyprocess_proxy_kind, destroy_user, 16, 8);
FIELD(proxyprocess_proxy_kind, create, 24, 8);
FIELD(proxyprocess_proxy_kind, destroy, 32, 8);
FIELD(proxyprocess_proxy_kind, start, 40, 8);
FIELD(proxyprocess_proxy_kind, stop, 48, 8);
FIELD(proxyprocess_proxy_kind, close, 56, 8);
FIELD(proxyprocess_proxy_kind, equal, 64, 8);
FIELD(proxyprocess_proxy_kind, marshal_snapshot, 72, 8);
FIELD(proxyprocess_proxy_kind, unmarshal_snapshot, 80, 8);
FIELD(proxyprocess_proxy_kind, request_stop, 88, 8);

#define FUNCTION(result, name, ...)                                                                                   \
    do {                                                                                                              \
        result (*const volatile function)(__VA_ARGS__) = name;                                                        \
        CHECK(function != NULL);                                                                                      \
    } while (0)

int main(void)
{
    /* Callbacks. */
    void (*log)(int32_t, const char *, size_t, void *) = NULL;
    void (*destroy)(void *) = NULL;
    proxyprocess_proxy_kind kind;
    CHECK_INT(proxyprocess_proxy_kind_init(&kind, sizeof kind), PROXYPROCESS_OK);
    proxyprocess_log_fn *log_type = &log;
    proxyprocess_destroy_fn *destroy_type = &destroy;
    int32_t (**create)(void *, const proxyprocess_proxy_context *, void **, proxyprocess_reply *) = &kind.create;
    int32_t (**start)(void *, proxyprocess_reply *) = &kind.start, (**stop)(void *, proxyprocess_reply *) = &kind.stop;
    int32_t (**close)(void *, proxyprocess_reply *) = &kind.close;
    int32_t (**marshal)(void *, proxyprocess_reply *) = &kind.marshal_snapshot;
    int32_t (**unmarshal)(void *, const char *, size_t, proxyprocess_reply *) = &kind.unmarshal_snapshot;
    uint8_t (**equal)(void *, void *) = &kind.equal;
    void (**destroy_proxy)(void *) = &kind.destroy, (**request_stop)(void *) = &kind.request_stop;
    CHECK(!*log_type && !*destroy_type && !kind.destroy_user && !*create && !*destroy_proxy && !*start && !*stop);
    CHECK(!*close && !*equal && !*marshal && !*unmarshal && !*request_stop);

    FUNCTION(const char *, proxyprocess_version, void);
    FUNCTION(uint32_t, proxyprocess_abi_version, void);
    FUNCTION(int32_t, proxyprocess_error_code, const proxyprocess_error *);
    FUNCTION(int32_t, proxyprocess_error_class, const proxyprocess_error *);
    FUNCTION(int32_t, proxyprocess_error_os_errno, const proxyprocess_error *);
    FUNCTION(const char *, proxyprocess_error_message, const proxyprocess_error *, size_t *);
    FUNCTION(void, proxyprocess_error_free, proxyprocess_error *);
    FUNCTION(const char *, proxyprocess_code_str, int32_t);
    FUNCTION(int32_t, proxyprocess_code_class, int32_t);
    FUNCTION(void, proxyprocess_text_free, char *);
    FUNCTION(int32_t, proxyprocess_proxy_options_init, proxyprocess_proxy_options *, size_t);
    FUNCTION(int32_t, proxyprocess_manager_options_init, proxyprocess_manager_options *, size_t);
    FUNCTION(int32_t, proxyprocess_daemon_options_init, proxyprocess_daemon_options *, size_t);
    FUNCTION(int32_t, proxyprocess_state_new, proxyprocess_state **, proxyprocess_error **);
    FUNCTION(void, proxyprocess_state_free, proxyprocess_state *);
    FUNCTION(int32_t, proxyprocess_state_set, const proxyprocess_state *, const char *,
             const proxyprocess_proxy_options *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_state_set_json, const proxyprocess_state *, const char *, const char *, size_t,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_state_remove, const proxyprocess_state *, const char *, uint8_t *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_state_replace_all_json, const proxyprocess_state *, const char *, size_t,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_state_get_json, const proxyprocess_state *, const char *, char **, size_t *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_state_list_json, const proxyprocess_state *, char **, size_t *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_state_subscribe, const proxyprocess_state *, proxyprocess_subscription **,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_subscription_wait, const proxyprocess_subscription *, uint64_t, uint8_t *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_subscription_descriptor, const proxyprocess_subscription *, int32_t *,
             proxyprocess_error **);
    FUNCTION(void, proxyprocess_subscription_free, proxyprocess_subscription *);
    FUNCTION(size_t, proxyprocess_status_list_count, const proxyprocess_status_list *);
    FUNCTION(int32_t, proxyprocess_status_list_get, const proxyprocess_status_list *, size_t,
             proxyprocess_proxy_status *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_status_list_get_json, const proxyprocess_status_list *, size_t, char **, size_t *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_status_list_json, const proxyprocess_status_list *, char **, size_t *,
             proxyprocess_error **);
    FUNCTION(const char *, proxyprocess_proxy_state_str, int32_t);
    FUNCTION(const char *, proxyprocess_ended_by_str, int32_t);
    FUNCTION(void, proxyprocess_status_list_free, proxyprocess_status_list *);
    FUNCTION(int32_t, proxyprocess_manager_metrics, const proxyprocess_manager *, char **, size_t *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_events_next, const proxyprocess_events *, uint64_t, proxyprocess_event *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_events_descriptor, const proxyprocess_events *, int32_t *, proxyprocess_error **);
    FUNCTION(const char *, proxyprocess_event_kind_str, int32_t);
    FUNCTION(int32_t, proxyprocess_event_json, const proxyprocess_event *, char **, size_t *, proxyprocess_error **);
    FUNCTION(void, proxyprocess_events_free, proxyprocess_events *);
    FUNCTION(int32_t, proxyprocess_manager_new, const proxyprocess_state *, const proxyprocess_manager_options *,
             proxyprocess_manager **, proxyprocess_error **);
    FUNCTION(void, proxyprocess_manager_free, proxyprocess_manager *);
    FUNCTION(int32_t, proxyprocess_manager_register_kind, const proxyprocess_manager *, const char *,
             const proxyprocess_proxy_kind *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_restore, const proxyprocess_manager *, const char *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_run, const proxyprocess_manager *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_start, const proxyprocess_manager *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_close, const proxyprocess_manager *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_end_grace, const proxyprocess_manager *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_kill, const proxyprocess_manager *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_snapshot, const proxyprocess_manager *, const char *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_snapshot_path, const proxyprocess_manager *, char **,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_reconfigure, const proxyprocess_manager *,
             const proxyprocess_manager_options *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_status_of, const proxyprocess_manager *, const char *,
             proxyprocess_status_list **, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_status, const proxyprocess_manager *, proxyprocess_status_list **,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_events, const proxyprocess_manager *, proxyprocess_events **,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_logs, const proxyprocess_manager *, int32_t, proxyprocess_logs **,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_reload, const proxyprocess_manager *, const char *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_reset_crashes, const proxyprocess_manager *, const char *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_pause, const proxyprocess_manager *, const char *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_resume, const proxyprocess_manager *, const char *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_retry, const proxyprocess_manager *, const char *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_restart, const proxyprocess_manager *, const char *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_signal, const proxyprocess_manager *, const char *, int32_t,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_manager_wait_until, const proxyprocess_manager *, const char *, int32_t, uint64_t,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_daemon_new, const char *, const proxyprocess_proxy_options *,
             const proxyprocess_daemon_options *, proxyprocess_daemon **, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_daemon_new_json, const char *, const char *, size_t,
             const proxyprocess_daemon_options *, proxyprocess_daemon **, proxyprocess_error **);
    FUNCTION(void, proxyprocess_daemon_free, proxyprocess_daemon *);
    FUNCTION(int32_t, proxyprocess_daemon_start, const proxyprocess_daemon *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_daemon_end_grace, const proxyprocess_daemon *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_daemon_stop, const proxyprocess_daemon *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_daemon_close, const proxyprocess_daemon *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_daemon_equal, const proxyprocess_daemon *, const proxyprocess_daemon *, uint8_t *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_daemon_marshal_snapshot, const proxyprocess_daemon *, char **, size_t *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_daemon_unmarshal_snapshot, const proxyprocess_daemon *, const char *, size_t,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_daemon_status, const proxyprocess_daemon *, proxyprocess_status_list **,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_daemon_events, const proxyprocess_daemon *, proxyprocess_events **,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_noop_new, proxyprocess_noop **, proxyprocess_error **);
    FUNCTION(void, proxyprocess_noop_free, proxyprocess_noop *);
    FUNCTION(int32_t, proxyprocess_noop_start, const proxyprocess_noop *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_noop_stop, const proxyprocess_noop *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_noop_close, const proxyprocess_noop *, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_noop_equal, const proxyprocess_noop *, const proxyprocess_noop *, uint8_t *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_noop_marshal_snapshot, const proxyprocess_noop *, char **, size_t *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_noop_unmarshal_snapshot, const proxyprocess_noop *, const char *, size_t,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_proxy_kind_init, proxyprocess_proxy_kind *, size_t);
    FUNCTION(int32_t, proxyprocess_reply_text, proxyprocess_reply *, const char *, size_t);
    FUNCTION(int32_t, proxyprocess_log_set_callback, int32_t, proxyprocess_log_fn, void *, proxyprocess_destroy_fn,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_logs_new, int32_t, proxyprocess_logs **, proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_logs_next, const proxyprocess_logs *, uint64_t, proxyprocess_log_line *,
             proxyprocess_error **);
    FUNCTION(int32_t, proxyprocess_logs_descriptor, const proxyprocess_logs *, int32_t *, proxyprocess_error **);
    FUNCTION(void, proxyprocess_logs_free, proxyprocess_logs *);
    return 0;
}
