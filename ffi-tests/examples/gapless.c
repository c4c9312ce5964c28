// SPDX-License-Identifier: MPL-2.0
/* A process is replaced ten times while a client connects all the time: its socket stays open, and none is refused. */
#include <proxyprocess.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TRY(call) if (call) return puts(error ? proxyprocess_error_message(error, NULL) : "refused"), 1
#define WAIT(ms) proxyprocess_manager_wait_until(manager, "web-proxy", PROXYPROCESS_WAIT_RUNNING, ms, NULL)
#define JSON "{\"command\": [\"%s\", \"serve\"], \"listen\": [\"unix:%s\"]}"

int main(int count, char **arguments)
{
    for (; count > 1; close(accept(3, NULL, NULL))) ; /* the process */
    char web[512], here[96];
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    proxyprocess_error *error = NULL;
    proxyprocess_state *state;
    proxyprocess_manager *manager;
    proxyprocess_manager_options options = {.struct_size = sizeof options};
    TRY(proxyprocess_manager_options_init(&options, sizeof options));
    options.data_dir = "proxies", options.allow_root = 1;
    TRY(!getcwd(here, sizeof here));
    snprintf(to.sun_path, sizeof to.sun_path, "%s/web.socket", here);
    int length = snprintf(web, sizeof web, JSON, *arguments, to.sun_path);
    TRY(proxyprocess_state_new(&state, &error) || proxyprocess_state_set_json(state, "web-proxy", web, length, &error));
    TRY(proxyprocess_manager_new(state, &options, &manager, &error) || proxyprocess_manager_start(manager, &error));
    TRY(WAIT(30000));
    for (int replaced = 0; replaced < 10; replaced++) {
        TRY(proxyprocess_manager_restart(manager, "web-proxy", &error));
        for (int client; WAIT(0) != PROXYPROCESS_OK; close(client))
            TRY((client = socket(AF_UNIX, SOCK_STREAM, 0)) < 0 || connect(client, (struct sockaddr *)&to, sizeof to));
    }
    TRY(proxyprocess_manager_kill(manager, &error) || puts("10 replacements, and every connection was made") < 0);
    proxyprocess_manager_free(manager), proxyprocess_state_free(state);
}
