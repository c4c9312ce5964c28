// SPDX-License-Identifier: MPL-2.0
/* host DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. Built with -lproxyprocess. */
#define _GNU_SOURCE
#include <poll.h>
#include <proxyprocess.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static proxyprocess_error *error;
#define TRY(call) if ((call) != PROXYPROCESS_OK) return puts(proxyprocess_error_message(error, NULL)), 1

int main(int argc, char **argv)
{
    if (argc != 5 || proxyprocess_abi_version() != PROXYPROCESS_ABI_VERSION)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigset_t signals = {0};
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before there are threads; children of posix_spawn(3) and fork(2) inherit it */
    int interrupt = signalfd(-1, &signals, SFD_CLOEXEC), descriptor, own = 0, status, child;
    proxyprocess_manager_options options;
    proxyprocess_state *state;
    proxyprocess_manager *manager;
    proxyprocess_events *events;
    proxyprocess_event event = {.struct_size = sizeof event};
    TRY(proxyprocess_manager_options_init(&options, sizeof options));
    options.data_dir = argv[1], options.allow_root = 1;
    TRY(proxyprocess_state_new(&state, &error));
    TRY(proxyprocess_state_replace_all_json(state, argv[2], strlen(argv[2]), &error));
    TRY(proxyprocess_manager_new(state, &options, &manager, &error));
    TRY(proxyprocess_manager_events(manager, &events, &error)); /* before restore, to see adoptions */
    TRY(proxyprocess_events_descriptor(events, &descriptor, &error));
    TRY(proxyprocess_manager_restore(manager, NULL, &error));
    TRY(proxyprocess_manager_start(manager, &error));
    for (int i = 0; i < 20; i++) /* processes of its own, which the library leaves alone */
        if (posix_spawn(&child, "./child", NULL, NULL, (char *[]){"child", NULL}, environ) == 0)
            own += waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3;
    printf("own %d of 20\n", own);
    if ((child = fork()) == 0) /* the handles are of no use here, and do no harm */
        _exit(-proxyprocess_manager_end_grace(manager, NULL));
    waitpid(child, &status, 0);
    printf("fork %d\n", -WEXITSTATUS(status));
    for (struct pollfd ready[] = {{descriptor, POLLIN, 0}, {interrupt, POLLIN, 0}}; !ready[1].revents;) {
        if (poll(ready, 2, atoi(argv[3])) == 0)
            puts("turn");
        for (char *json = NULL; ready[0].revents; proxyprocess_text_free(json)) {
            TRY(proxyprocess_events_next(events, 0, &event, &error));
            if (event.kind == PROXYPROCESS_EVENT_NONE || event.kind == PROXYPROCESS_EVENT_END)
                break;
            TRY(proxyprocess_event_json(&event, &json, NULL, &error));
            puts(json);
        }
    }
    puts("interrupted");
    if (strcmp(argv[4], "kill") == 0)
        TRY(proxyprocess_manager_kill(manager, &error)); /* else the proxies run on, for the next host */
    return 0;
}
