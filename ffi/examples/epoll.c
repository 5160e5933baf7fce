/* A host with an epoll loop of its own, which is told of events through a descriptor: GET
 * /room/NAME joins NAME, and each message goes to all its members; the room "clock" is sent the
 * time each second, and the room "lobby" each line that comes on standard input.
 *
 * The engine serves connections on threads of its own; all code here runs on the main thread.
 *
 *     cc epoll.c -o epoll $(pkg-config --cflags --libs roomcast)
 *     ./epoll --port 8080
 */
#define _DEFAULT_SOURCE

#include <roomcast.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, LINE_BYTES_MAX = 4096 };

struct host {
    roomcast_engine *engine;
    int epoll, engine_fd, timer_fd, signal_fd;
    char line[LINE_BYTES_MAX];
    size_t line_len;
    roomcast_event events[BATCH];
    size_t event_count;
};

static void fail(const char *what, const char *why) {
    fprintf(stderr, "epoll: %s: %s\n", what, why);
    exit(1);
}

static void must(roomcast_status status, const char *what) {
    if (status != ROOMCAST_STATUS_OK) fail(what, roomcast_status_text(status));
}

/* What the system gave, unless it refused. */
static int sys(int result, const char *what) {
    if (result < 0) fail(what, strerror(errno));
    return result;
}

/* A publication that is refused (a room that is behind) is lost, and that is said. */
static void publish(const roomcast_engine *engine, roomcast_str room, uint32_t kind,
                    roomcast_bytes data) {
    roomcast_status status = roomcast_engine_publish(engine, room, kind, data, NULL);
    if (status != ROOMCAST_STATUS_OK && status != ROOMCAST_STATUS_STOPPED)
        fprintf(stderr, "epoll: to %.*s: %s\n", (int)room.len, room.data,
                roomcast_status_text(status));
}

static void on_connecting(const roomcast_engine *engine, const roomcast_event *event) {
    const char prefix[] = "/room/";
    roomcast_str path = roomcast_request_path(event->request);
    if (path.len < sizeof prefix || memcmp(path.data, prefix, sizeof prefix - 1) != 0) {
        roomcast_connection_refuse(engine, event->connection, 404,
                                   roomcast_str_of("rooms are at /room/NAME"));
        return;
    }
    /* The name goes with the connection, for its messages; `free` is its finalizer. */
    char *name = strndup(path.data + sizeof prefix - 1, path.len - sizeof prefix + 1);
    roomcast_str room = roomcast_str_of(name);
    roomcast_accept accept = {.struct_size = sizeof accept,
                              .rooms = &room,
                              .room_count = name ? 1 : 0,
                              .data = name,
                              .data_free = free};
    /* On failure the peer has gone already, and the name is still ours. */
    if (roomcast_connection_accept(engine, event->connection, &accept) != ROOMCAST_STATUS_OK)
        free(name);
}

/* Works off a batch. Called corked: what it publishes leaves in one write to each member. */
static void on_batch(void *user_data) {
    struct host *host = user_data;
    for (size_t i = 0; i < host->event_count; i++) {
        const roomcast_event *event = &host->events[i];
        if (event->kind == ROOMCAST_EVENT_CONNECTING)
            on_connecting(host->engine, event);
        else if (event->kind == ROOMCAST_EVENT_MESSAGE && event->connection_data)
            publish(host->engine, roomcast_str_of(event->connection_data), event->message_kind,
                    event->message);
    }
}

/* Takes one batch; more of them keep the descriptor readable. False when the engine has ended. */
static bool on_engine(struct host *host) {
    roomcast_status status = roomcast_engine_drain(host->engine, sizeof host->events[0], BATCH,
                                                   host->events, &host->event_count);
    if (status == ROOMCAST_STATUS_STOPPED) return false;
    must(status, "drain");
    must(roomcast_engine_corked(host->engine, host, on_batch), "corked");
    roomcast_events_free(sizeof host->events[0], host->event_count, host->events);
    return true;
}

static void on_timer(struct host *host) {
    uint64_t missed;
    char text[16];
    time_t now = time(NULL);
    if (read(host->timer_fd, &missed, sizeof missed) < 0) return;
    size_t len = strftime(text, sizeof text, "%H:%M:%S", localtime(&now));
    publish(host->engine, roomcast_str_of("clock"), ROOMCAST_KIND_TEXT,
            roomcast_bytes_of(text, len));
}

/* Publishes each line that is complete; of one that is too long, what there is place for. */
static void on_input(struct host *host) {
    size_t place = sizeof host->line - host->line_len;
    ssize_t got = read(STDIN_FILENO, host->line + host->line_len, place);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) { /* The end of the input is not the end of the host. */
        epoll_ctl(host->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
        return;
    }
    host->line_len += (size_t)got;
    for (;;) {
        char *feed = memchr(host->line, '\n', host->line_len);
        if (!feed && host->line_len < sizeof host->line) return;
        size_t len = feed ? (size_t)(feed - host->line) : host->line_len;
        size_t used = feed ? len + 1 : len;
        publish(host->engine, roomcast_str_of("lobby"), ROOMCAST_KIND_TEXT,
                roomcast_bytes_of(host->line, len));
        memmove(host->line, host->line + used, host->line_len - used);
        host->line_len -= used;
    }
}

static void watch(struct host *host, int fd, const char *what) {
    struct epoll_event interest = {.events = EPOLLIN, .data = {.fd = fd}};
    sys(epoll_ctl(host->epoll, EPOLL_CTL_ADD, fd, &interest), what);
}

static void open_loop(struct host *host) {
    struct itimerspec second = {{1, 0}, {1, 0}};
    struct epoll_event input = {.events = EPOLLIN, .data = {.fd = STDIN_FILENO}};
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    /* Before the engine starts, whose threads inherit it: else they would die of the signal. */
    sys(sigprocmask(SIG_BLOCK, &ends, NULL), "sigprocmask");
    host->epoll = sys(epoll_create1(EPOLL_CLOEXEC), "epoll");
    host->signal_fd = sys(signalfd(-1, &ends, SFD_CLOEXEC), "signalfd");
    host->timer_fd = sys(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd");
    sys(timerfd_settime(host->timer_fd, 0, &second, NULL), "timerfd");
    watch(host, host->signal_fd, "signals");
    watch(host, host->timer_fd, "timer");
    /* EPERM: a file or /dev/null, which epoll does not watch. It is no input for a host. */
    if (epoll_ctl(host->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0 && errno != EPERM)
        fprintf(stderr, "epoll: no standard input: %s\n", strerror(errno));
}

static void start(struct host *host, unsigned long port) {
    roomcast_config *config;
    roomcast_str bound;
    char address[48], why[256];
    snprintf(address, sizeof address, "127.0.0.1:%lu", port);
    must(roomcast_config_new(ROOMCAST_VERSION, &config), "configuration");
    must(roomcast_config_add_listener(config, roomcast_str_of(address)), address);
    if (roomcast_engine_new(config, &host->engine, why, sizeof why) != ROOMCAST_STATUS_OK)
        fail("engine", why);
    roomcast_config_free(config);
    must(roomcast_engine_fd(host->engine, &host->engine_fd), "descriptor");
    watch(host, host->engine_fd, "engine");
    must(roomcast_engine_address(host->engine, 0, &bound, NULL), "address");
    printf("listening on %.*s\n", (int)bound.len, bound.data);
    fflush(stdout);
}

/* Goes on until the engine has told its last event, which comes after `begin_stop`. */
static void run(struct host *host) {
    struct epoll_event ready[8];
    for (;;) {
        int count = epoll_wait(host->epoll, ready, 8, -1);
        if (count < 0 && errno == EINTR) continue;
        sys(count, "epoll_wait");
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            struct signalfd_siginfo signal;
            if (fd == host->timer_fd) on_timer(host);
            if (fd == STDIN_FILENO) on_input(host);
            if (fd == host->signal_fd && read(fd, &signal, sizeof signal) > 0)
                roomcast_engine_begin_stop(host->engine);
            if (fd == host->engine_fd && !on_engine(host)) return;
        }
    }
}

int main(int argc, char **argv) {
    static struct host host;
    char *end = "";
    unsigned long port = 8080;
    if (argc == 3 && strcmp(argv[1], "--port") == 0) port = strtoul(argv[2], &end, 10);
    if ((argc != 1 && argc != 3) || *end != '\0') fail("usage", "epoll [--port N]");
    open_loop(&host);
    start(&host, port);
    run(&host);
    roomcast_stop_report report;
    must(roomcast_engine_stop(host.engine, &report), "stop");
    printf("stopped %zu connections in %llu ms, %zu were cut\n", report.connections,
           (unsigned long long)report.took_ms, report.cut);
    roomcast_engine_free(host.engine);
    close(host.timer_fd);
    close(host.signal_fd);
    close(host.epoll);
    return 0;
}
