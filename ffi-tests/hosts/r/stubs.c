// SPDX-License-Identifier: MPL-2.0
#include <R.h>
#include <Rinternals.h>
#include <poll.h>
#include <proxyprocess.h>
#include <string.h>

static proxyprocess_manager *manager;
static proxyprocess_events *events;
static proxyprocess_error *error_of;
static int descriptor;
#define TRY(call) if ((call) != PROXYPROCESS_OK) Rf_error("%s", proxyprocess_error_message(error_of, NULL))

SEXP host_start(SEXP data_dir, SEXP proxies)
{
    const char *json = CHAR(STRING_ELT(proxies, 0));
    proxyprocess_manager_options options;
    proxyprocess_state *state;
    TRY(proxyprocess_manager_options_init(&options, sizeof options));
    options.data_dir = CHAR(STRING_ELT(data_dir, 0)), options.allow_root = 1;
    TRY(proxyprocess_state_new(&state, &error_of));
    TRY(proxyprocess_state_replace_all_json(state, json, strlen(json), &error_of));
    TRY(proxyprocess_manager_new(state, &options, &manager, &error_of));
    TRY(proxyprocess_manager_events(manager, &events, &error_of)); /* before the restore, to see adoptions */
    TRY(proxyprocess_events_descriptor(events, &descriptor, &error_of));
    TRY(proxyprocess_manager_restore(manager, NULL, &error_of));
    TRY(proxyprocess_manager_start(manager, &error_of));
    return R_NilValue;
}

SEXP host_next(SEXP timeout_ms)
{
    proxyprocess_event event = {.struct_size = sizeof event};
    char *json = NULL;
    poll(&(struct pollfd){descriptor, POLLIN, 0}, 1, Rf_asInteger(timeout_ms)); /* a signal ends it */
    R_CheckUserInterrupt(); /* leaves by longjmp: here, and never within a call of the library */
    TRY(proxyprocess_events_next(events, 0, &event, &error_of));
    if (event.kind != PROXYPROCESS_EVENT_NONE && event.kind != PROXYPROCESS_EVENT_END)
        TRY(proxyprocess_event_json(&event, &json, NULL, &error_of));
    SEXP text = PROTECT(Rf_mkString(json ? json : "turn"));
    proxyprocess_text_free(json);
    UNPROTECT(1);
    return text;
}

SEXP host_end_grace(void) { return Rf_ScalarInteger(proxyprocess_manager_end_grace(manager, NULL)); }
SEXP host_kill(void) { return Rf_ScalarInteger(proxyprocess_manager_kill(manager, NULL)); }
