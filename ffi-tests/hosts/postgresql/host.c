// SPDX-License-Identifier: MPL-2.0
/* A background worker: shared_preload_libraries=host.so. What other hosts have as arguments is in its environment: DATA_DIR,
 * PROXIES, TURN_MS and END: see docs/hosts.md. The postmaster itself is no host: it waits for any child. */
#include <postgres.h>
#include <fmgr.h>
#include <miscadmin.h>
#include <postmaster/bgworker.h>
#include <postmaster/interrupt.h>
#include <proxyprocess.h>
#include <storage/fd.h>
#include <storage/latch.h>
#include <utils/wait_event.h>

PG_MODULE_MAGIC;
static proxyprocess_error *error;
#define TRY(call) if ((call) != PROXYPROCESS_OK) elog(ERROR, "%s", proxyprocess_error_message(error, NULL))

void host_main(Datum argument)
{
    proxyprocess_manager_options options;
    proxyprocess_state *state;
    proxyprocess_manager *manager;
    proxyprocess_events *events;
    proxyprocess_event event = {.struct_size = sizeof event};
    int descriptor, own = 0;
    pqsignal(SIGTERM, SignalHandlerForShutdownRequest); /* what a shutdown sends */
    BackgroundWorkerUnblockSignals();
    setvbuf(stdout, NULL, _IOLBF, 0);
    TRY(proxyprocess_manager_options_init(&options, sizeof options));
    options.data_dir = getenv("DATA_DIR"); /* PostgreSQL is never root, nor are the proxies */
    TRY(proxyprocess_state_new(&state, &error));
    TRY(proxyprocess_state_replace_all_json(state, getenv("PROXIES"), strlen(getenv("PROXIES")), &error));
    TRY(proxyprocess_manager_new(state, &options, &manager, &error));
    TRY(proxyprocess_manager_events(manager, &events, &error)); /* before the restore, to see adoptions */
    TRY(proxyprocess_events_descriptor(events, &descriptor, &error));
    TRY(proxyprocess_manager_restore(manager, NULL, &error));
    TRY(proxyprocess_manager_start(manager, &error));
    for (int i = 0; i < 20; i++)
        own += ClosePipeStream(OpenPipeStream(getenv("CHILD"), "r")) == 3 << 8;
    printf("own %d of 20\nfork none\n", own);
    while (!ShutdownRequestPending) {
        if (WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, descriptor,
                atoi(getenv("TURN_MS")), PG_WAIT_EXTENSION) & WL_TIMEOUT)
            printf("turn\n");
        ResetLatch(MyLatch);
        while (proxyprocess_events_next(events, 0, &event, &error) == PROXYPROCESS_OK && event.kind > PROXYPROCESS_EVENT_END) {
            char *json;
            TRY(proxyprocess_event_json(&event, &json, NULL, &error));
            puts(json);
            proxyprocess_text_free(json);
        }
    }
    puts("interrupted");
    if (strcmp(getenv("END"), "kill") == 0)
        TRY(proxyprocess_manager_kill(manager, &error)); /* else the proxies run on, for the next host */
}

void _PG_init(void)
{
    BackgroundWorker worker = {"host", "host", BGWORKER_SHMEM_ACCESS, BgWorkerStart_PostmasterStart, BGW_NEVER_RESTART};
    strcpy(worker.bgw_library_name, "host");
    strcpy(worker.bgw_function_name, "host_main");
    RegisterBackgroundWorker(&worker);
}
