// SPDX-License-Identifier: MPL-2.0
#include <erl_nif.h>
#include <proxyprocess.h>

static proxyprocess_manager *manager;
static proxyprocess_events *events;
static proxyprocess_error *error;
#define TEXT(text) enif_make_string(env, text, ERL_NIF_LATIN1)
#define TRY(call) if ((call) != PROXYPROCESS_OK) return enif_raise_exception(env, TEXT(proxyprocess_error_message(error, 0)))

static ERL_NIF_TERM start(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) /* (DataDir with a NUL, Proxies) */
{
    ErlNifBinary data_dir, proxies;
    proxyprocess_manager_options options;
    proxyprocess_state *state;
    if (!enif_inspect_binary(env, argv[0], &data_dir) || !enif_inspect_binary(env, argv[1], &proxies))
        return enif_make_badarg(env);
    TRY(proxyprocess_manager_options_init(&options, sizeof options));
    options.data_dir = (char *)data_dir.data, options.allow_root = 1;
    TRY(proxyprocess_state_new(&state, &error));
    TRY(proxyprocess_state_replace_all_json(state, (char *)proxies.data, proxies.size, &error));
    TRY(proxyprocess_manager_new(state, &options, &manager, &error));
    TRY(proxyprocess_manager_events(manager, &events, &error)); /* before the restore, to see adoptions */
    TRY(proxyprocess_manager_restore(manager, NULL, &error));
    TRY(proxyprocess_manager_start(manager, &error));
    return enif_make_atom(env, "ok");
}

static ERL_NIF_TERM next(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifUInt64 timeout_ms;
    proxyprocess_event event = {.struct_size = sizeof event};
    char *json = NULL;
    if (!enif_get_uint64(env, argv[0], &timeout_ms))
        return enif_make_badarg(env);
    TRY(proxyprocess_events_next(events, timeout_ms, &event, &error));
    if (event.kind != PROXYPROCESS_EVENT_NONE && event.kind != PROXYPROCESS_EVENT_END)
        TRY(proxyprocess_event_json(&event, &json, NULL, &error));
    ERL_NIF_TERM found = TEXT(json ? json : "turn");
    proxyprocess_text_free(json);
    return found;
}

static ERL_NIF_TERM finish(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    TRY(proxyprocess_manager_kill(manager, &error));
    return enif_make_atom(env, "ok");
}

/* What waits does so on a scheduler for input and output: on an ordinary one it would stop Erlang's processes. */
static ErlNifFunc functions[] = {{"start", 2, start, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"next", 1, next, ERL_NIF_DIRTY_JOB_IO_BOUND}, {"finish", 0, finish, ERL_NIF_DIRTY_JOB_IO_BOUND}};
ERL_NIF_INIT(host, functions, NULL, NULL, NULL, NULL)
