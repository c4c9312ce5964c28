// SPDX-License-Identifier: MPL-2.0
/* A host whose signal handler leaves a call of the library by siglongjmp, as the unsafe signals of Perl and the interrupts of
 * SBCL do. That is forbidden; what comes of it is an error of the next call with that handle on that thread, and no
 * thread waits for ever: not the next call, not other threads, and not the supervision. */

#include "helpers.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/syscall.h>

/* A stop of it takes until the test kills it. Before the stop has begun that would be a crash, and the next process would be
 * stopped instead. The stop is asked for once it is ready, which it says: a thread that is taken out of the call
 * when that is about to return may have a lock, which is lost then. */
static const char *const STUBBORN[] = {"/bin/sh", "-c", "trap '' INT; echo ready >ready; exec sleep 1000", NULL};

static _Thread_local sigjmp_buf before_call;

static void leave(int number)
{
    (void)number;
    siglongjmp(before_call, 1);
}

/* A thread that makes a call and is taken out of it. */
typedef struct leaver {
    int32_t (*call)(const void *handle);
    const void *handle;
    pthread_t thread;
    pid_t number;
    sem_t begun, left, go_on;
} leaver;

static void *makes_and_leaves(void *argument)
{
    leaver *this = argument;
    this->number = (pid_t)syscall(SYS_gettid);
    if (sigsetjmp(before_call, 1) == 0) {
        CHECK_INT(sem_post(&this->begun), 0);
        check_failed(__FILE__, __LINE__, "the call came back with %" PRId32, this->call(this->handle));
    }
    /* The next call with the handle is an error, and so are all others. */
    for (int time = 0; time < 3; time++)
        CHECK_INT(this->call(this->handle), PROXYPROCESS_E_ABANDONED);
    CHECK_INT(sem_post(&this->left), 0);
    CHECK_INT(sem_wait(&this->go_on), 0);
    return NULL;
}

/* What a thread of this program waits in, as the kernel shows it: the call, its arguments, and where it was made. */
static void shown(pid_t thread, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)thread);
    read_file(path, text, size);
}

/* Waits until a thread waits for others, and does so for a while. */
static void wait_until_it_waits(pid_t thread)
{
    char first[256] = "", text[256];
    int64_t since = now_ms();
    for (int same = 0; same < 50; wait_a_turn(since, "the thread to wait")) {
        shown(thread, text, sizeof text);
        same = strtol(text, NULL, 10) == SYS_futex && strcmp(text, first) == 0 ? same + 1 : 0;
        strcpy(first, text);
    }
}

/* Has a thread make a call and leave it where it waits. */
static void leave_call(leaver *this, int32_t (*call)(const void *handle), const void *handle)
{
    this->call = call;
    this->handle = handle;
    CHECK_INT(sem_init(&this->begun, 0, 0), 0);
    CHECK_INT(sem_init(&this->left, 0, 0), 0);
    CHECK_INT(sem_init(&this->go_on, 0, 0), 0);
    CHECK_INT(pthread_create(&this->thread, NULL, makes_and_leaves, this), 0);
    CHECK_INT(sem_wait(&this->begun), 0);
    wait_until_it_waits(this->number);
    CHECK_INT(pthread_kill(this->thread, SIGUSR1), 0);
    CHECK_INT(sem_wait(&this->left), 0);
}

static void end_thread(leaver *this)
{
    CHECK_INT(sem_post(&this->go_on), 0);
    CHECK_INT(pthread_join(this->thread, NULL), 0);
}

static proxyprocess_proxy_options stubborn(void)
{
    proxyprocess_proxy_options options = proxy(STUBBORN);
    options.grace_period_ms = 10 * DEADLINE_MS;
    return options;
}

/* Waits until the stubborn one is ready. */
static void is_ready(int ready)
{
    char text[16];
    read_text(ready, text, sizeof text);
    close(ready);
    CHECK_INT(unlink("ready"), 0);
}

static int32_t next(const void *events)
{
    proxyprocess_event event = {.struct_size = sizeof event};
    return proxyprocess_events_next(events, UINT64_MAX, &event, NULL);
}

/* Another thread reads on, and what is read is published as ever. */
static void events_next(void)
{
    leaver leaver;
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *other = events_of(manager);
    OK(proxyprocess_manager_start(manager, &error));
    until(other, PROXYPROCESS_EVENT_SNAPSHOT_WRITTEN, NULL);
    proxyprocess_events *events = events_of(manager);
    leave_call(&leaver, next, events);
    set(state, "web", SLEEP);
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    CHECK_INT(until(other, PROXYPROCESS_EVENT_STARTED, "web").pid, pid);
    end_thread(&leaver);
    OK(proxyprocess_manager_kill(manager, &error));
    until(events, PROXYPROCESS_EVENT_END, NULL);
    CHECK(is_gone(pid));
    proxyprocess_events_free(events);
}

static int32_t next_line(const void *logs)
{
    proxyprocess_log_line line = {.struct_size = sizeof line};
    return proxyprocess_logs_next(logs, UINT64_MAX, &line, NULL);
}

/* A reader of the log that was left in its wait: another thread reads on, and lines are written as ever. */
static void logs_next(void)
{
    leaver leaver;
    proxyprocess_log_line line = {.struct_size = sizeof line};
    proxyprocess_logs *logs = NULL;
    proxyprocess_daemon *daemon = new_daemon("web", SLEEP);
    OK(proxyprocess_logs_new(PROXYPROCESS_LOG_INFO, &logs, &error));
    leave_call(&leaver, next_line, logs);
    OK(proxyprocess_daemon_start(daemon, &error));
    OK(proxyprocess_logs_next(logs, DEADLINE_MS, &line, &error));
    CHECK_HAS(line.message, "proxy web: started, pid ");
    end_thread(&leaver);
    OK(proxyprocess_daemon_stop(daemon, &error));
    proxyprocess_daemon_free(daemon);
    proxyprocess_logs_free(logs);
}

static sigjmp_buf in_main;

static void leave_main(int number)
{
    (void)number;
    siglongjmp(in_main, 1);
}

/* The only thread of a program: its own reader is lost, all else works, and it can free what it has. */
static void events_next_of_the_only_thread(void)
{
    proxyprocess_event event = {.struct_size = sizeof event};
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    OK(proxyprocess_manager_start(manager, &error));
    set(state, "web", SLEEP);
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    while (proxyprocess_events_next(events, 200, &event, NULL) == PROXYPROCESS_OK && event.kind != PROXYPROCESS_EVENT_NONE)
        ;
    CHECK(signal(SIGALRM, leave_main) != SIG_ERR);
    if (sigsetjmp(in_main, 1) == 0) {
        alarm(1);
        for (;;)
            OK(proxyprocess_events_next(events, UINT64_MAX, &event, &error));
    }
    FAILS(proxyprocess_events_next(events, 0, &event, &error), PROXYPROCESS_E_ABANDONED, "longjmp");
    proxyprocess_events_free(events);
    CHECK_INT(look(manager, "web").status.pid, pid);
    events = events_of(manager);
    OK(proxyprocess_state_remove(state, "web", NULL, &error));
    until(events, PROXYPROCESS_EVENT_STOPPED, "web");
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    CHECK(is_gone(pid));
}

static int32_t run(const void *manager)
{
    return proxyprocess_manager_run(manager, NULL);
}

static void *runs(void *manager)
{
    CHECK_INT(run(manager), PROXYPROCESS_OK);
    return NULL;
}

/* The run counts as executing for ever, and yet the manager can be ended. */
static void manager_run(void)
{
    leaver leaver;
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    set(state, "web", SLEEP);
    leave_call(&leaver, run, manager);
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    CHECK_INT(look(manager, "web").status.pid, pid);
    OK(proxyprocess_manager_run(manager, &error));
    OK(proxyprocess_manager_kill(manager, &error));
    CHECK(is_gone(pid));
    end_thread(&leaver);
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
}

static int32_t kill_all(const void *manager)
{
    return proxyprocess_manager_kill(manager, NULL);
}

/* The kill goes on, and others who ask for it wait for its end, as does the run. */
static void manager_kill(void)
{
    leaver leaver;
    pthread_t runner;
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options options = stubborn();
    OK(proxyprocess_state_set(state, "web", &options, &error));
    int ready = new_fifo("ready");
    CHECK_INT(pthread_create(&runner, NULL, runs, manager), 0);
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    is_ready(ready);
    leave_call(&leaver, kill_all, manager);
    until(events, PROXYPROCESS_EVENT_STOPPING, "web");
    CHECK_INT(kill((pid_t)pid, SIGKILL), 0);
    OK(proxyprocess_manager_kill(manager, &error));
    CHECK(is_gone(pid));
    CHECK_INT(pthread_join(runner, NULL), 0);
    end_thread(&leaver);
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
}

static int32_t stop(const void *daemon)
{
    return proxyprocess_daemon_stop(daemon, NULL);
}

static void daemon_stop(void)
{
    leaver leaver;
    proxyprocess_daemon *daemon = NULL;
    proxyprocess_events *events = NULL;
    proxyprocess_proxy_options options = stubborn();
    OK(proxyprocess_daemon_new("web", &options, NULL, &daemon, &error));
    OK(proxyprocess_daemon_events(daemon, &events, &error));
    int ready = new_fifo("ready");
    OK(proxyprocess_daemon_start(daemon, &error));
    uint32_t pid = look_at_daemon(daemon, "web").status.pid;
    is_ready(ready);
    leave_call(&leaver, stop, daemon);
    until(events, PROXYPROCESS_EVENT_STOPPING, "web");
    CHECK_INT(kill((pid_t)pid, SIGKILL), 0);
    OK(proxyprocess_daemon_stop(daemon, &error));
    CHECK(is_gone(pid));
    end_thread(&leaver);
    proxyprocess_events_free(events);
    proxyprocess_daemon_free(daemon);
}

static int32_t wait_for_change(const void *changes)
{
    uint8_t changed;
    return proxyprocess_subscription_wait(changes, UINT64_MAX, &changed, NULL);
}

/* A thread that waits for a change, and is told it. */
typedef struct waiter {
    const proxyprocess_subscription *changes;
    pthread_t thread;
    pid_t number;
    sem_t begun;
    atomic_int told;
} waiter;

static void *waits_for_change(void *argument)
{
    waiter *this = argument;
    uint8_t changed = 0;
    this->number = (pid_t)syscall(SYS_gettid);
    CHECK_INT(sem_post(&this->begun), 0);
    /* As long as it takes: a wait that ends would find the change itself. */
    CHECK_INT(proxyprocess_subscription_wait(this->changes, UINT64_MAX, &changed, NULL), PROXYPROCESS_OK);
    CHECK_INT(changed, 1);
    atomic_store(&this->told, 1);
    return NULL;
}

/* The change is told to the thread that waits, not to the one that has left its wait. */
static void subscription_wait_beside_another(void)
{
    leaver leaver;
    proxyprocess_state *state = new_state();
    proxyprocess_subscription *changes = NULL;
    OK(proxyprocess_state_subscribe(state, &changes, &error));
    leave_call(&leaver, wait_for_change, changes);
    waiter waiter = {.changes = changes};
    CHECK_INT(sem_init(&waiter.begun, 0, 0), 0);
    CHECK_INT(pthread_create(&waiter.thread, NULL, waits_for_change, &waiter), 0);
    CHECK_INT(sem_wait(&waiter.begun), 0);
    wait_until_it_waits(waiter.number);
    set(state, "web", SLEEP);
    for (int64_t since = now_ms(); atomic_load(&waiter.told) == 0; wait_a_turn(since, "the change to be told"))
        ;
    CHECK_INT(pthread_join(waiter.thread, NULL), 0);
    end_thread(&leaver);
    proxyprocess_subscription_free(changes);
    proxyprocess_state_free(state);
}

static void subscription_wait(void)
{
    leaver leaver;
    uint8_t changed = 0;
    proxyprocess_state *state = new_state();
    proxyprocess_subscription *changes = NULL;
    OK(proxyprocess_state_subscribe(state, &changes, &error));
    leave_call(&leaver, wait_for_change, changes);
    set(state, "web", SLEEP);
    OK(proxyprocess_subscription_wait(changes, DEADLINE_MS, &changed, &error));
    CHECK_INT(changed, 1);
    end_thread(&leaver);
    proxyprocess_subscription_free(changes);
    proxyprocess_state_free(state);
}

static proxyprocess_manager *of_handler;
static atomic_int handled;

static void calls_in_handler(int number)
{
    (void)number;
    atomic_store(&handled, proxyprocess_manager_kill(of_handler, NULL));
}

static void set_paused(const proxyprocess_state *state, const char *id)
{
    proxyprocess_proxy_options options = proxy(SLEEP);
    options.enabled = 0;
    OK(proxyprocess_state_set(state, id, &options, &error));
}

/* A handler that calls the library with the handle that its thread is in a call with would wait for itself; and the thread
 * may be in the middle of an allocation, so the refusal may not allocate. */
static void call_in_signal_handler(void)
{
    pthread_t runner;
    proxyprocess_state *state = new_state();
    of_handler = new_manager(state, "data");
    proxyprocess_events *events = events_of(of_handler);
    set(state, "web", SLEEP);
    CHECK(signal(SIGUSR2, calls_in_handler) != SIG_ERR);
    CHECK_INT(pthread_create(&runner, NULL, runs, of_handler), 0);
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    for (int time = 0; time < 300; time++) {
        /* The run has something to do: what it follows has changed. */
        set_paused(state, time % 2 == 0 ? "even" : "odd");
        atomic_store(&handled, 0);
        CHECK_INT(pthread_kill(runner, SIGUSR2), 0);
        for (int64_t since = now_ms(); atomic_load(&handled) == 0; wait_a_turn(since, "the handler"))
            ;
        CHECK_INT(atomic_load(&handled), PROXYPROCESS_E_ABANDONED);
        OK(proxyprocess_state_remove(state, time % 2 == 0 ? "even" : "odd", NULL, &error));
    }
    /* The call that was interrupted goes on. */
    CHECK_INT(kill((pid_t)pid, 0), 0);
    OK(proxyprocess_manager_kill(of_handler, &error));
    CHECK_INT(pthread_join(runner, NULL), 0);
    CHECK(is_gone(pid));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(of_handler);
}

int main(void)
{
    /* Each in a process of its own: what was left half done is there for as long as its process. */
    static void (*const all[])(void) = {events_next, logs_next, events_next_of_the_only_thread, manager_run, manager_kill,
                                        daemon_stop, subscription_wait, subscription_wait_beside_another,
                                        call_in_signal_handler};
    CHECK(signal(SIGUSR1, leave) != SIG_ERR);
    for (size_t index = 0; index < sizeof all / sizeof *all; index++) {
        int status;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            all[index]();
            _exit(0);
        }
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK_INT(status, 0);
    }
    return 0;
}
