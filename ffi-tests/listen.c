// SPDX-License-Identifier: MPL-2.0
/* A proxy that gets a socket, which is there before and after its process. */

#include "helpers.h"

#include <sys/socket.h>
#include <sys/un.h>

static const char PATH[] = "web.sock";

/* Whether a socket listens there. */
static int listens(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(client >= 0);
    strcpy(address.sun_path, PATH);
    int connected = connect(client, (struct sockaddr *)&address, sizeof address);
    close(client);
    return connected == 0;
}

static void kept(void)
{
    static const char script[] = "test $LISTEN_FDS = 1 && test $LISTEN_FDNAMES = web && test $LISTEN_PID = $$ && "
                                 "test -S /proc/self/fd/$0 && echo >&4 && exec sleep 1000";
    static const char *const checks[] = {"sh", "-c", script, "{fd:web}", NULL};
    char here[4096], listen_json[8192];
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options options = proxy(checks);
    CHECK(getcwd(here, sizeof here) != NULL);
    snprintf(listen_json, sizeof listen_json, "[{\"address\": \"unix:%s/%s\", \"name\": \"web\", \"mode\": \"0600\"}]",
             here, PATH);
    options.listen_json = listen_json;
    options.ready_fd = 4;
    OK(proxyprocess_manager_start(manager, &error));
    OK(proxyprocess_state_set(state, "web", &options, &error));
    until(events, PROXYPROCESS_EVENT_READY, "web");
    CHECK(listens());
    OK(proxyprocess_manager_signal(manager, "web", SIGKILL, &error));
    until(events, PROXYPROCESS_EVENT_EXITED, "web");
    CHECK(listens());
    until(events, PROXYPROCESS_EVENT_READY, "web");
    OK(proxyprocess_manager_kill(manager, &error));
    CHECK(!listens());
    CHECK(access(PATH, F_OK) == -1);
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

int main(void)
{
    resources before = resources_now();
    kept();
    nothing_is_left_since(before);
    return 0;
}
