// SPDX-License-Identifier: MPL-2.0
/* Ctrl-C stops the process. SIGTERM leaves it running, and the next run of this program takes it over. */
#define _POSIX_C_SOURCE 200809L
#include <proxyprocess.h>
#include <signal.h>
#include <stdio.h>
#define TRY(call) if ((call) != PROXYPROCESS_OK) return puts(proxyprocess_error_message(error, NULL)), 1

int main(void)
{
    static const char web[] = "{\"command\": [\"sleep\", \"1000\"]}";
    proxyprocess_error *error = NULL;
    proxyprocess_state *state;
    proxyprocess_manager *manager;
    proxyprocess_manager_options options = {.struct_size = sizeof options};
    int number;
    sigset_t signals;
    TRY(sigemptyset(&signals) | sigaddset(&signals, SIGINT) | sigaddset(&signals, SIGTERM));
    TRY(sigprocmask(SIG_BLOCK, &signals, NULL)); /* before there are other threads */
    TRY(proxyprocess_manager_options_init(&options, sizeof options));
    options.data_dir = "proxies", options.allow_root = 1;
    TRY(proxyprocess_state_new(&state, &error));
    TRY(proxyprocess_state_set_json(state, "web-proxy", web, sizeof web - 1, &error));
    TRY(proxyprocess_manager_new(state, &options, &manager, &error));
    TRY(proxyprocess_manager_restore(manager, NULL, &error) || proxyprocess_manager_start(manager, &error));
    TRY(puts("Ctrl-C stops the process, SIGTERM leaves it running") < 0 || fflush(stdout) || sigwait(&signals, &number));
    TRY((number == SIGTERM ? proxyprocess_manager_close : proxyprocess_manager_kill)(manager, &error));
    proxyprocess_manager_free(manager), proxyprocess_state_free(state);
}
