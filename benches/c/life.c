/* How long an engine takes to start and to stop: to listening, and with many connections whose
 * peers answer the close frame. The peers live in a process of their own, since each side needs a
 * descriptor for each. Prints lines of `name value`. Usage: life CONNECTIONS */

#define _GNU_SOURCE
#include <roomcast.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void must(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static roomcast_engine *start(double *took_ms) {
    roomcast_config *config;
    roomcast_engine *engine;
    char why[256] = "";
    double began = now_ms();
    must(roomcast_config_new(ROOMCAST_VERSION, &config) == ROOMCAST_STATUS_OK, "configure");
    roomcast_config_add_listener(config, roomcast_str_of("127.0.0.1:0"));
    /* Everybody is accepted. */
    roomcast_config_set_events(config, 0);
    must(roomcast_engine_new(config, &engine, why, sizeof why) == ROOMCAST_STATUS_OK, why);
    *took_ms = now_ms() - began;
    roomcast_config_free(config);
    return engine;
}

static int connected(uint16_t port) {
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    must(write(fd, request, sizeof request - 1) == (ssize_t)(sizeof request - 1), "ask");
    return fd;
}

/* Answers what a peer was sent: a close frame (0x88) by one of its own. */
static int answered(int fd) {
    static const unsigned char close_frame[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9};
    unsigned char bytes[512];
    ssize_t n = read(fd, bytes, sizeof bytes - 1);
    bytes[n > 0 ? n : 0] = 0;
    /* Frames stand behind the head of the handshake's answer, or alone. */
    unsigned char *head_end = (unsigned char *)strstr((char *)bytes, "\r\n\r\n");
    if (n > 0 && (head_end ? head_end + 4 : bytes)[0] == 0x88) {
        ssize_t sent = send(fd, close_frame, sizeof close_frame, MSG_NOSIGNAL);
        (void)sent;
    }
    if (n > 0)
        return 0;
    close(fd);
    return 1;
}

static void peers(int connections, int port_pipe) {
    uint16_t port;
    must(read(port_pipe, &port, sizeof port) == sizeof port, "learn the port");
    int poll = epoll_create1(0);
    must(poll >= 0, "epoll_create1");
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        event.data.fd = connected(port);
        must(epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event) == 0, "epoll_ctl");
    }
    struct epoll_event ready[256];
    for (int left = connections; left > 0;) {
        int n = epoll_wait(poll, ready, 256, 30000);
        must(n > 0, "wait for the end");
        for (int i = 0; i < n; i++)
            left -= answered(ready[i].data.fd);
    }
    _exit(0);
}

int main(int count, char **arguments) {
    int connections = count > 1 ? atoi(arguments[1]) : 10000;
    struct rlimit files;
    must(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
    files.rlim_cur = files.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &files) == 0, "setrlimit");
    int port_pipe[2];
    must(pipe(port_pipe) == 0, "pipe");
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0)
        peers(connections, port_pipe[0]);
    double start_ms;
    uint16_t port;
    roomcast_snapshot figures = {.struct_size = sizeof figures};
    roomcast_engine *engine = start(&start_ms);
    roomcast_engine_address(engine, 0, NULL, &port);
    must(write(port_pipe[1], &port, sizeof port) == sizeof port, "tell the port");
    for (double until = now_ms() + 60e3; figures.opened < (uint64_t)connections;) {
        must(now_ms() < until, "all connect in time");
        struct timespec nap = {.tv_nsec = 1000000};
        nanosleep(&nap, NULL);
        roomcast_engine_snapshot(engine, &figures);
    }
    roomcast_stop_report report;
    double began = now_ms();
    must(roomcast_engine_stop(engine, &report) == ROOMCAST_STATUS_OK, "stop");
    double stop_ms = now_ms() - began;
    roomcast_engine_free(engine);
    int status;
    must(waitpid(child, &status, 0) == child && status == 0, "the peers see the end");
    printf("start_ms %.3f\nstop_ms %.1f\nconnections %zu\ncut %zu\n", start_ms, stop_ms,
           report.connections, report.cut);
    return 0;
}
