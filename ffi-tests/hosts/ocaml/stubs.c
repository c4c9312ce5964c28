// SPDX-License-Identifier: MPL-2.0
#include <caml/alloc.h>
#include <caml/fail.h>
#include <caml/threads.h>
#include <proxyprocess.h>

static proxyprocess_manager *manager;
static proxyprocess_events *events;
static proxyprocess_error *error;
#define TRY(call) if ((call) != PROXYPROCESS_OK) caml_failwith(proxyprocess_error_message(error, NULL))

value host_start(value data_dir, value proxies)
{
    proxyprocess_manager_options options;
    proxyprocess_state *state;
    int descriptor;
    TRY(proxyprocess_manager_options_init(&options, sizeof options));
    options.data_dir = String_val(data_dir), options.allow_root = 1;
    TRY(proxyprocess_state_new(&state, &error));
    TRY(proxyprocess_state_replace_all_json(state, String_val(proxies), caml_string_length(proxies), &error));
    TRY(proxyprocess_manager_new(state, &options, &manager, &error));
    TRY(proxyprocess_manager_events(manager, &events, &error)); /* before the restore, to see adoptions */
    TRY(proxyprocess_events_descriptor(events, &descriptor, &error));
    TRY(proxyprocess_manager_restore(manager, NULL, &error));
    TRY(proxyprocess_manager_start(manager, &error));
    return Val_int(descriptor);
}

value host_next(value unit) /* does not wait, so the runtime lock may be held */
{
    proxyprocess_event event = {.struct_size = sizeof event};
    char *json = NULL;
    TRY(proxyprocess_events_next(events, 0, &event, &error));
    if (event.kind != PROXYPROCESS_EVENT_NONE && event.kind != PROXYPROCESS_EVENT_END)
        TRY(proxyprocess_event_json(&event, &json, NULL, &error));
    value text = caml_copy_string(json ? json : "");
    proxyprocess_text_free(json);
    return text;
}

value host_end(value is_kill) /* waits for the proxies: without the lock, so that other threads run */
{
    int kill = Bool_val(is_kill);
    caml_release_runtime_system();
    int32_t code = kill ? proxyprocess_manager_kill(manager, NULL) : proxyprocess_manager_end_grace(manager, NULL);
    caml_acquire_runtime_system();
    return Val_int(code);
}
