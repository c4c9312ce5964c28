// SPDX-License-Identifier: MPL-2.0
/* A host that blocks SIGCHLD before it creates a manager: epoll_wait(2) does not fail with EINTR when processes end. */

#include "hosts.h"

#include <sys/epoll.h>

enum { ENDS = 30 };

int main(void)
{
    static const char *const ends[] = {"/bin/sh", "-c", "exit 3", NULL};
    sigset_t child;
    resources before = resources_now();
    CHECK(sigemptyset(&child) == 0 && sigaddset(&child, SIGCHLD) == 0);
    CHECK(sigprocmask(SIG_BLOCK, &child, NULL) == 0);
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options options = proxy(ends);
    options.restart_attempts_before_backoff = ENDS + 1;
    OK(proxyprocess_state_set(state, "ends", &options, &error));
    OK(proxyprocess_manager_start(manager, &error));

    struct epoll_event wanted = {.events = EPOLLIN}, found;
    int descriptor, epoll = epoll_create1(EPOLL_CLOEXEC);
    OK(proxyprocess_events_descriptor(events, &descriptor, &error));
    CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &wanted) == 0);
    for (int ended = 0; ended < ENDS;) {
        proxyprocess_event event = {.struct_size = sizeof event};
        /* With SIGCHLD open it would be -1 with EINTR. */
        CHECK_INT(epoll_wait(epoll, &found, 1, DEADLINE_MS), 1);
        OK(proxyprocess_events_next(events, 0, &event, &error));
        ended += event.kind == PROXYPROCESS_EVENT_EXITED;
    }
    close(epoll);
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    nothing_is_left_since(before);
    return 0;
}
