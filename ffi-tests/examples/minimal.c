// SPDX-License-Identifier: MPL-2.0
/* The smallest agent: one process, kept running until the standard input ends. */
#include <proxyprocess.h>
#include <stdio.h>

#define TRY(call) if ((call) != PROXYPROCESS_OK) return puts(proxyprocess_error_message(error, NULL)), 1

int main(void)
{
    static const char *const argv[] = {"sleep", "1000", NULL};
    proxyprocess_error *error = NULL;
    proxyprocess_state *state;
    proxyprocess_manager *manager;
    proxyprocess_proxy_options proxy = {0};
    proxyprocess_manager_options options = {0};
    TRY(proxyprocess_proxy_options_init(&proxy, sizeof proxy));
    TRY(proxyprocess_manager_options_init(&options, sizeof options));
    proxy.argv = argv;
    options.data_dir = "proxies";
    options.allow_root = 1;
    TRY(proxyprocess_state_new(&state, &error));
    TRY(proxyprocess_state_set(state, "web-proxy", &proxy, &error));
    TRY(proxyprocess_manager_new(state, &options, &manager, &error));
    TRY(proxyprocess_manager_restore(manager, NULL, &error));
    TRY(proxyprocess_manager_start(manager, &error));
    while (getchar() != EOF) {}
    TRY(proxyprocess_manager_kill(manager, &error)); /* returns when the process is gone */
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}
