// SPDX-License-Identifier: MPL-2.0
/* A host that loads the shared library when it needs it, and unloads it when it is done with it; again and again.
 *
 * usage: host_loads path/of/libproxyprocess.so */

#include "check.h"

#include <dlfcn.h>
#include <pthread.h>

/* What this host uses, under the names without the prefix. */
typedef struct library {
    void *handle;
    uint32_t (*abi_version)(void);
    const char *(*version)(void);
    int32_t (*state_new)(proxyprocess_state **, proxyprocess_error **);
    int32_t (*state_set_json)(const proxyprocess_state *, const char *, const char *, size_t, proxyprocess_error **);
    void (*state_free)(proxyprocess_state *);
    int32_t (*manager_options_init)(proxyprocess_manager_options *, size_t);
    int32_t (*manager_new)(const proxyprocess_state *, const proxyprocess_manager_options *, proxyprocess_manager **,
                           proxyprocess_error **);
    int32_t (*manager_events)(const proxyprocess_manager *, proxyprocess_events **, proxyprocess_error **);
    int32_t (*manager_start)(const proxyprocess_manager *, proxyprocess_error **);
    int32_t (*manager_kill)(const proxyprocess_manager *, proxyprocess_error **);
    void (*manager_free)(proxyprocess_manager *);
    int32_t (*events_next)(const proxyprocess_events *, uint64_t, proxyprocess_event *, proxyprocess_error **);
    void (*events_free)(proxyprocess_events *);
    int32_t (*log_set_callback)(int32_t, proxyprocess_log_fn, void *, proxyprocess_destroy_fn, proxyprocess_error **);
} library;

/* ISO C has no conversion between the pointers of the two kinds. */
static void find(void *library, const char *name, void *function)
{
    char symbol[128];
    snprintf(symbol, sizeof symbol, "proxyprocess_%s", name);
    void *found = dlsym(library, symbol);
    CHECK(found != NULL);
    memcpy(function, &found, sizeof found);
}

static library load(const char *path)
{
    library it;
    it.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (it.handle == NULL)
        check_failed(__FILE__, __LINE__, "%s", dlerror());
#define FIND(name) find(it.handle, #name, &it.name)
    FIND(abi_version);
    FIND(version);
    FIND(state_new);
    FIND(state_set_json);
    FIND(state_free);
    FIND(manager_options_init);
    FIND(manager_new);
    FIND(manager_events);
    FIND(manager_start);
    FIND(manager_kill);
    FIND(manager_free);
    FIND(events_next);
    FIND(events_free);
    FIND(log_set_callback);
    CHECK_INT(it.abi_version(), PROXYPROCESS_ABI_VERSION);
    CHECK_TEXT(it.version(), PROXYPROCESS_VERSION);
    return it;
}

static void take_line(int32_t level, const char *message, size_t length, void *user)
{
    (void)level, (void)message, (void)length;
    *(int *)user = 1;
}

/* A process is started, supervised and stopped. Without the checks of the other programs: they need the library. */
static void *use(void *loaded)
{
    static const char json[] = "{\"command\": [\"sleep\", \"1000\"]}";
    const library *it = loaded;
    proxyprocess_state *state = NULL;
    proxyprocess_manager *manager = NULL;
    proxyprocess_events *events = NULL;
    proxyprocess_manager_options options;
    proxyprocess_event event = {.struct_size = sizeof event};
    int logged = 0;
    CHECK_INT(it->log_set_callback(PROXYPROCESS_LOG_INFO, take_line, &logged, NULL, NULL), PROXYPROCESS_OK);
    CHECK_INT(it->manager_options_init(&options, sizeof options), PROXYPROCESS_OK);
    options.data_dir = "data";
    options.allow_root = 1;
    CHECK_INT(it->state_new(&state, NULL), PROXYPROCESS_OK);
    CHECK_INT(it->state_set_json(state, "web", json, sizeof json - 1, NULL), PROXYPROCESS_OK);
    CHECK_INT(it->manager_new(state, &options, &manager, NULL), PROXYPROCESS_OK);
    CHECK_INT(it->manager_events(manager, &events, NULL), PROXYPROCESS_OK);
    CHECK_INT(it->manager_start(manager, NULL), PROXYPROCESS_OK);
    do {
        CHECK_INT(it->events_next(events, DEADLINE_MS, &event, NULL), PROXYPROCESS_OK);
        CHECK(event.kind != PROXYPROCESS_EVENT_NONE);
    } while (event.kind != PROXYPROCESS_EVENT_STARTED);
    CHECK_INT(kill((pid_t)event.pid, 0), 0);
    CHECK_INT(it->manager_kill(manager, NULL), PROXYPROCESS_OK);
    CHECK(kill((pid_t)event.pid, 0) == -1 && errno == ESRCH);
    it->events_free(events);
    it->manager_free(manager);
    it->state_free(state);
    CHECK_INT(it->log_set_callback(PROXYPROCESS_LOG_OFF, NULL, NULL, NULL, NULL), PROXYPROCESS_OK);
    CHECK_INT(logged, 1);
    return NULL;
}

#ifndef __SANITIZE_ADDRESS__
/* How many mappings of a file this process has. */
static int mappings_of(const char *path)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[8192], *whole = realpath(path, NULL);
    int found = 0;
    CHECK(maps != NULL && whole != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        found += strstr(line, whole) != NULL;
    fclose(maps);
    free(whole);
    return found;
}
#endif

int main(int argc, char **argv)
{
    CHECK_INT(argc, 2);
    resources before = resources_now();
    for (int round = 0; round < 5; round++) {
        pthread_t user;
        library it = load(argv[1]);
        /* By a thread that ends before, and then by this one. */
        if (round < 3)
            CHECK(pthread_create(&user, NULL, use, &it) == 0 && pthread_join(user, NULL) == 0);
        else
            use(&it);
        nothing_is_left_since(before);
        CHECK_INT(dlclose(it.handle), 0);
        nothing_is_left_since(before);
        /* A thread that has used it and lives keeps it in memory: the C library waits for what the thread still has of it.
         * A sanitizer keeps every library. */
#ifndef __SANITIZE_ADDRESS__
        if (round < 3)
            CHECK_INT(mappings_of(argv[1]), 0);
#endif
        /* The C library calls what a library has registered for a fork: it must be gone with it. */
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        CHECK_INT(waitpid(child, NULL, 0), child);
    }
    return 0;
}
