// SPDX-License-Identifier: MPL-2.0
/* The process that every supervisor of the comparison has to keep running, as small as a program can be. With its first
 * statement it looks at the clock, and then tells the benchmark "<id> <pid> <nanoseconds>" by a datagram to the abstract
 * socket that $BEACON_SOCKET names.
 *
 * usage: beacon ID [stubborn | exit | notify | notify-later | escapes]
 *   stubborn  ignores SIGINT and SIGTERM
 *   exit      ends at once with code 1, without a report
 *   notify    says that it is ready, and when it said so, by a datagram to the socket that $NOTIFY_SOCKET names
 *   notify-later  the same when its supervisor has long seen that it runs, as the last thing that it does
 *   escapes   has ten children, each of which is in a session of its own
 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *socket_name, const char *id, const struct timespec *birth)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const size_t length = strlen(socket_name);
    char text[128];
    int text_length, fd;

    if (length >= sizeof to.sun_path)
        exit(2);
    /* The first byte stays NUL: that is what makes the name abstract. */
    memcpy(to.sun_path + 1, socket_name, length);
    text_length = snprintf(text, sizeof text, "%s %ld %lld", id, (long)getpid(),
                           birth->tv_sec * 1000000000LL + birth->tv_nsec);
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    /* There may be no listener any more: then there is nothing to report to. */
    (void)sendto(fd, text, (size_t)text_length, 0, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length));
    close(fd);
}

/* sd_notify(3). */
static void notify(const char *socket_name)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const size_t length = strlen(socket_name);
    struct timespec now;
    char text[64];
    int text_length, fd;

    if (length >= sizeof to.sun_path)
        exit(2);
    memcpy(to.sun_path, socket_name, length);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    clock_gettime(CLOCK_MONOTONIC, &now);
    text_length = snprintf(text, sizeof text, "READY=1\nSTATUS=%lld", now.tv_sec * 1000000000LL + now.tv_nsec);
    /* A supervisor that does not hear it will say so. */
    (void)sendto(fd, text, (size_t)text_length, 0, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

int main(int argc, char **argv)
{
    struct timespec birth;
    const char *role, *socket_name;

    clock_gettime(CLOCK_MONOTONIC, &birth);
    role = argc > 2 ? argv[2] : "";
    if (strcmp(role, "exit") == 0)
        return 1;
    if (strcmp(role, "stubborn") == 0) {
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
    }
    if (strcmp(role, "escapes") == 0) {
        for (int i = 0; i < 10; i++)
            if (fork() == 0) {
                setsid();
                for (;;)
                    pause();
            }
    }
    socket_name = getenv("BEACON_SOCKET");
    if (argc > 1 && socket_name)
        tell(socket_name, argv[1], &birth);
    if (strcmp(role, "notify-later") == 0)
        usleep(20000);
    if (strncmp(role, "notify", 6) == 0 && getenv("NOTIFY_SOCKET"))
        notify(getenv("NOTIFY_SOCKET"));
    for (;;)
        pause();
}
