// SPDX-License-Identifier: MPL-2.0
/*
 * An agent that runs real proxies with the library, in the foreground: the agent of examples/agent again, in C.
 *
 * `agent CONFIG.json` runs the proxies of a configuration file. SIGHUP reads the file again, SIGUSR1 prints the status
 * as one JSON line on stdout, SIGINT and SIGTERM end the agent, SIGQUIT ends it and its proxies. While these are stopped,
 * another SIGINT or SIGQUIT kills what is left.
 */

#define _POSIX_C_SOURCE 200809L /* sigaction */

#include "failure.h"
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRONG_ARGUMENTS 2

static const char USAGE[] = "usage: agent CONFIG.json\n"
                            "       agent --help\n";

static const char HELP[] =
    "\n"
    "  CONFIG.json  run the proxies that the file declares; log on stderr (level: RUST_LOG, info unless set)\n"
    "                 SIGHUP   read the file again; a bad file changes nothing\n"
    "                 SIGUSR1  print the status as one JSON line on stdout\n"
    "                 SIGINT, SIGTERM  end as \"on_exit\" says: \"leave\" the proxies running (default) or"
    " \"stop\" them\n"
    "                 SIGQUIT  stop the proxies and end\n"
    "                 SIGINT, SIGQUIT  once more, while they are stopped: SIGKILL to what is left\n"
    "\n"
    "exit code: 0 ended as asked, 1 failure, 2 wrong arguments\n";

/* Else the next file that is opened would be taken for standard input, output or error. */
static char *open_standard_descriptors(void)
{
    int descriptor;

    do
        descriptor = open("/dev/null", O_RDWR);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor < 0)
        return failure("open /dev/null: %s", strerror(errno));
    close(descriptor);
    return NULL;
}

/* A reader of stdout or stderr that has gone is no reason to end. The library gives its processes the default. */
static char *ignore_broken_pipes(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    return sigaction(SIGPIPE, &ignore, NULL) == 0 ? NULL : failure("ignore SIGPIPE: %s", strerror(errno));
}

static char *check_library(void)
{
    uint32_t version = proxyprocess_abi_version();

    if (version == PROXYPROCESS_ABI_VERSION)
        return NULL;
    return failure("load libproxyprocess %s: expected ABI version %d, got %" PRIu32, proxyprocess_version(),
                   PROXYPROCESS_ABI_VERSION, version);
}

static char *run_agent(const char *path, int *status)
{
    char *failed = open_standard_descriptors();

    if (failed == NULL)
        failed = ignore_broken_pipes();
    if (failed == NULL)
        failed = check_library();
    if (failed == NULL)
        failed = run(path, status);
    return failed;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int index = 1; index < argc; index++) {
        if (strcmp(argv[index], "--help") == 0 || strcmp(argv[index], "-h") == 0)
            return true;
    }
    return false;
}

/* What is wrong with the arguments. */
static char *check_arguments(int argc, char **argv)
{
    if (argc < 2)
        return failure("arguments: expected a configuration file");
    if (argv[1][0] == '-')
        return failure("argument %s: unknown option", argv[1]);
    if (argc > 2)
        return failure("argument %s: not expected", argv[2]);
    return NULL;
}

int main(int argc, char **argv)
{
    int status = EXIT_FAILURE;
    const char *usage = "";

    if (asks_for_help(argc, argv)) {
        printf("%s%s", USAGE, HELP);
        return EXIT_SUCCESS;
    }
    char *failed = check_arguments(argc, argv);
    if (failed != NULL) {
        status = WRONG_ARGUMENTS;
        usage = USAGE;
    } else {
        failed = run_agent(argv[1], &status);
    }
    if (failed != NULL)
        fprintf(stderr, "agent: %s\n%s", failed, usage);
    failure_free(failed);
    return status;
}
