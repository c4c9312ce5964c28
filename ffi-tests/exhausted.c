// SPDX-License-Identifier: MPL-2.0
/* A program that has no descriptors left: it is told so by code and errno, and goes on when there are some again. */

#include "helpers.h"

#include <sys/resource.h>

#define EXHAUSTED(call)                                                                                               \
    do {                                                                                                              \
        CHECK_INT(call, PROXYPROCESS_E_EXHAUSTED);                                                                    \
        CHECK_INT(proxyprocess_error_class(error), PROXYPROCESS_CLASS_SYSTEM);                                        \
        CHECK_INT(proxyprocess_error_os_errno(error), EMFILE);                                                        \
        CHECK_HAS(proxyprocess_error_message(error, NULL), "Too many open files");                                    \
        proxyprocess_error_free(error);                                                                               \
        error = NULL;                                                                                                 \
    } while (0)

int main(void)
{
    struct rlimit before_it, none;
    resources before = resources_now();
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, NULL);
    proxyprocess_events *events = events_of(manager);
    proxyprocess_daemon *daemon = new_daemon("alone", SLEEP);
    proxyprocess_subscription *changes = NULL;
    proxyprocess_logs *logs = NULL;
    int32_t descriptor = -1;
    OK(proxyprocess_state_subscribe(state, &changes, &error));
    OK(proxyprocess_logs_new(PROXYPROCESS_LOG_INFO, &logs, &error));
    set(state, "web", SLEEP);

    /* Descriptors are the lowest that are free: from this one on there is none. */
    int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(lowest > 2 && close(lowest) == 0);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before_it), 0);
    none = (struct rlimit){(rlim_t)lowest, before_it.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    EXHAUSTED(proxyprocess_events_descriptor(events, &descriptor, &error));
    EXHAUSTED(proxyprocess_subscription_descriptor(changes, &descriptor, &error));
    EXHAUSTED(proxyprocess_logs_descriptor(logs, &descriptor, &error));
    EXHAUSTED(proxyprocess_daemon_start(daemon, &error));
    EXHAUSTED(proxyprocess_manager_start(manager, &error));
    EXHAUSTED(proxyprocess_manager_run(manager, &error));
    CHECK_INT(descriptor, -1);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before_it), 0);

    OK(proxyprocess_subscription_descriptor(changes, &descriptor, &error));
    OK(proxyprocess_logs_descriptor(logs, &descriptor, &error));
    OK(proxyprocess_events_descriptor(events, &descriptor, &error));
    OK(proxyprocess_daemon_start(daemon, &error));
    OK(proxyprocess_manager_start(manager, &error));
    CHECK(readable(descriptor, DEADLINE_MS));
    until(events, PROXYPROCESS_EVENT_STARTED, "web");
    CHECK_INT(look_at_daemon(daemon, "alone").status.state, PROXYPROCESS_PROXY_RUNNING);
    OK(proxyprocess_daemon_stop(daemon, &error));
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_subscription_free(changes);
    proxyprocess_logs_free(logs);
    proxyprocess_daemon_free(daemon);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    nothing_is_left_since(before);
    return 0;
}
