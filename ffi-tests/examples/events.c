// SPDX-License-Identifier: MPL-2.0
/* What happens to a process that fails at once, as text and as JSON, until the daemon waits before it tries again. */
#include <proxyprocess.h>
#include <stdio.h>

#define TRY(call) if ((call) != PROXYPROCESS_OK) return puts(proxyprocess_error_message(error, NULL)), 1

int main(void)
{
    static const char web[] = "{\"command\": [\"false\"]}";
    proxyprocess_error *error = NULL;
    proxyprocess_daemon *daemon;
    proxyprocess_events *events;
    proxyprocess_event event = {.struct_size = sizeof event};
    TRY(proxyprocess_daemon_new_json("web-proxy", web, sizeof web - 1, NULL, &daemon, &error));
    TRY(proxyprocess_daemon_events(daemon, &events, &error));
    TRY(proxyprocess_daemon_start(daemon, &error));
    while (event.kind != PROXYPROCESS_EVENT_STOPPED) {
        char *json;
        TRY(proxyprocess_events_next(events, UINT64_MAX, &event, &error));
        TRY(proxyprocess_event_json(&event, &json, NULL, &error));
        printf("%s %s %s\n%s\n", event.id, proxyprocess_event_kind_str(event.kind),
               event.exit_text ? event.exit_text : "", json);
        proxyprocess_text_free(json);
        if (event.kind == PROXYPROCESS_EVENT_WAITING)
            TRY(proxyprocess_daemon_stop(daemon, &error));
    }
    proxyprocess_events_free(events);
    proxyprocess_daemon_free(daemon);
}
