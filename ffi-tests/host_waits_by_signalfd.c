// SPDX-License-Identifier: MPL-2.0
/* A host that blocks SIGCHLD and waits for it by signalfd(2): it hears of the end of each of its own children, while processes of the
 * library run and end. */

#include "hosts.h"

#include <sys/signalfd.h>
#include <sys/wait.h>

enum { OWN = 30 };

int main(void)
{
    static const char *const ends[] = {"/bin/sh", "-c", "exit 3", NULL};
    sigset_t child;
    CHECK(sigemptyset(&child) == 0 && sigaddset(&child, SIGCHLD) == 0);
    CHECK(sigprocmask(SIG_BLOCK, &child, NULL) == 0);
    resources before = resources_now();
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options options = proxy(ends);
    options.restart_attempts_before_backoff = 1;
    OK(proxyprocess_state_set(state, "ends", &options, &error));
    OK(proxyprocess_manager_start(manager, &error));
    proxyprocess_event event = {.struct_size = sizeof event};
    while (event.kind != PROXYPROCESS_EVENT_EXITED)
        OK(proxyprocess_events_next(events, DEADLINE_MS, &event, &error));

    int descriptor = signalfd(-1, &child, SFD_CLOEXEC);
    CHECK(descriptor >= 0);
    for (int ended = 0; ended < OWN; ended++) {
        struct signalfd_siginfo told = {0};
        struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
        pid_t own = fork();
        CHECK(own >= 0);
        if (own == 0)
            _exit(0);
        /* Signals of processes of the library come here as well, and are one with that of the own child if they come first. */
        siginfo_t is_it = {0};
        while (is_it.si_pid != own) {
            CHECK_INT(poll(&wanted, 1, DEADLINE_MS), 1);
            CHECK_INT(read(descriptor, &told, sizeof told), sizeof told);
            CHECK(waitid(P_PID, own, &is_it, WEXITED | WNOHANG) == 0);
        }
    }
    close(descriptor);
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    nothing_is_left_since(before);
    return 0;
}
