// SPDX-License-Identifier: MPL-2.0
/* A host that handles the faults of its own code and goes on, as runtimes do for write barriers, null pointers and stack
 * guards, and sandboxes for the system calls that they catch: it can do so in callbacks on threads of the library, on which
 * all other signals are blocked. */

#include "kinds.h"

#include <sys/mman.h>
#include <sys/prctl.h>

/* What a thread raises itself. */
static const int SYNCHRONOUS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
enum { ALL = sizeof SYNCHRONOUS / sizeof *SYNCHRONOUS };

/* Each may be faulted on by any thread, so each thread has its own. */
static _Thread_local volatile sig_atomic_t handled;
static _Thread_local volatile char *page;
static _Thread_local volatile int file;

static atomic_int in_log, in_kind;

static long page_size(void)
{
    return sysconf(_SC_PAGESIZE);
}

/* Repairs what can be repaired: a page that may not be written to, and one that is beyond the end of its file. */
static void handle(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (number == SIGSEGV && info->si_addr == (void *)page)
        mprotect((void *)page, (size_t)page_size(), PROT_READ | PROT_WRITE);
    if (number == SIGBUS && info->si_addr == (void *)page && ftruncate(file, page_size()) != 0)
        _exit(1);
    handled++;
}

static void faults(void)
{
    handled = 0;
    page = mmap(NULL, (size_t)page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    *page = 1;
    CHECK_INT(handled, 1);
    munmap((void *)page, (size_t)page_size());

    file = memfd_create("empty", MFD_CLOEXEC);
    CHECK(file >= 0);
    page = mmap(NULL, (size_t)page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(page != MAP_FAILED);
    *page = 1;
    CHECK_INT(handled, 2);
    munmap((void *)page, (size_t)page_size());
    close(file);
    page = NULL;

    handled = 0;
    for (int index = 0; index < ALL; index++) {
        CHECK_INT(raise(SYNCHRONOUS[index]), 0);
        CHECK_INT(handled, index + 1);
    }
}

static int is_synchronous(int number)
{
    for (int index = 0; index < ALL; index++)
        if (SYNCHRONOUS[index] == number)
            return 1;
    return 0;
}

/* Does no signal from outside run a handler of the host's on this thread? */
static void others_are_blocked(void)
{
    sigset_t blocked;
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    for (int number = 1; number <= SIGRTMAX; number++) {
        /* Those of the C library are not shown, and two cannot be blocked. */
        if (number == SIGKILL || number == SIGSTOP || (number > SIGSYS && number < SIGRTMIN))
            continue;
        if (sigismember(&blocked, number) == is_synchronous(number))
            check_failed(__FILE__, __LINE__, "signal %d: blocked is %d", number, sigismember(&blocked, number));
    }
}

/* Faults in a callback, if this is a thread of the library's. */
static void faults_if_on_thread(const char *name, atomic_int *times)
{
    char own[16];
    CHECK_INT(prctl(PR_GET_NAME, own), 0);
    if (strncmp(own, name, strlen(name)) != 0)
        return;
    others_are_blocked();
    faults();
    others_are_blocked();
    atomic_fetch_add(times, 1);
}

static void take_line(int32_t level, const char *message, size_t length, void *user)
{
    (void)level, (void)message, (void)length, (void)user;
    faults_if_on_thread("proxy-superv", &in_log);
}

static int32_t start(void *proxy, proxyprocess_reply *reply)
{
    (void)proxy, (void)reply;
    faults_if_on_thread("proxy-kinds", &in_kind);
    return PROXYPROCESS_OK;
}

int main(void)
{
    resources before = resources_now();
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    for (int index = 0; index < ALL; index++)
        CHECK_INT(sigaction(SYNCHRONOUS[index], &action, NULL), 0);
    faults();

    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_INFO, take_line, NULL, NULL, &error));
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_proxy_kind kind = own_kind();
    kind.start = start;
    OK(proxyprocess_manager_register_kind(manager, "own", &kind, &error));
    set(state, "web", SLEEP);
    set_own(state, "lamp", 1, "");
    proxyprocess_events *events = events_of(manager);
    OK(proxyprocess_manager_start(manager, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, NULL);
    until(events, PROXYPROCESS_EVENT_STARTED, NULL);
    OK(proxyprocess_manager_kill(manager, &error));
    CHECK(atomic_load(&in_log) > 0);
    CHECK_INT(atomic_load(&in_kind), 1);

    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_OFF, NULL, NULL, NULL, &error));
    nothing_is_left_since(before);
    return 0;
}
