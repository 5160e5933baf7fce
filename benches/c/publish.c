/* What a publication costs the thread that publishes, across the C interface: the loop of
 * benches/publish/main.rs, so that the two can be compared. Prints a Markdown table. */

#define _GNU_SOURCE
#include <roomcast.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 1000, BURSTS = 201 };

static void must(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "publish: %s\n", what);
        exit(1);
    }
}

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void on_event(void *user_data, const roomcast_engine *engine, const roomcast_event *event) {
    (void)user_data;
    if (event->kind != ROOMCAST_EVENT_CONNECTING)
        return;
    roomcast_str hall = roomcast_str_of("hall");
    roomcast_accept accept = {.struct_size = sizeof accept, .rooms = &hall, .room_count = 1};
    roomcast_connection_accept(engine, event->connection, &accept);
}

static int member(uint16_t port) {
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    must(write(fd, request, sizeof request - 1) == (ssize_t)(sizeof request - 1), "ask");
    must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "make it non-blocking");
    return fd;
}

struct room {
    const char *name;
    uint64_t held;
    bool by_name;
};

static void publish(const roomcast_engine *engine, const struct room *room) {
    static const char payload[64] = {7};
    roomcast_bytes data = roomcast_bytes_of(payload, sizeof payload);
    roomcast_status status;
    if (room->by_name)
        status = roomcast_engine_publish(engine, roomcast_str_of(room->name),
                                         ROOMCAST_KIND_BINARY, data, NULL);
    else
        status = roomcast_room_publish(engine, room->held, ROOMCAST_KIND_BINARY, data, NULL);
    must(status == ROOMCAST_STATUS_OK, roomcast_status_text(status));
}

/* Waits until all that was published is delivered, and empties the member's socket. */
static void settle(const roomcast_engine *engine, const struct room *room, int fd) {
    static char sink[1 << 20];
    size_t members;
    roomcast_position position;
    roomcast_snapshot figures = {.struct_size = sizeof figures};
    roomcast_room_members(engine, room->held, &members);
    roomcast_room_position(engine, room->held, &position);
    do {
        ssize_t n = read(fd, sink, sizeof sink);
        (void)n;
        roomcast_engine_snapshot(engine, &figures);
    } while (figures.deliveries < members * position.offset);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double measure(const roomcast_engine *engine, const struct room *room, int fd) {
    static double times[BURSTS];
    for (int i = 0; i < BURSTS; i++) {
        /* One publication first, so that the shard is awake when the burst is timed. */
        publish(engine, room);
        double began = now_ns();
        for (int j = 0; j < BURST; j++)
            publish(engine, room);
        times[i] = (now_ns() - began) / BURST;
        settle(engine, room, fd);
    }
    qsort(times, BURSTS, sizeof times[0], ascending);
    return times[BURSTS / 2];
}

int main(void) {
    roomcast_config *config;
    roomcast_engine *engine;
    char why[256] = "";
    uint16_t port;
    size_t members = 0;
    must(roomcast_config_new(ROOMCAST_VERSION, &config) == ROOMCAST_STATUS_OK, "configure");
    roomcast_config_add_listener(config, roomcast_str_of("127.0.0.1:0"));
    roomcast_config_set_shards(config, 1);
    roomcast_config_set_callback(config, NULL, on_event, NULL);
    must(roomcast_engine_new(config, &engine, why, sizeof why) == ROOMCAST_STATUS_OK, why);
    roomcast_config_free(config);
    roomcast_engine_address(engine, 0, NULL, &port);
    int fd = member(port);
    for (double until = now_ns() + 10e9; members == 0;) {
        must(now_ns() < until, "the member joins");
        roomcast_engine_count(engine, roomcast_str_of("hall"), &members);
    }
    struct room rooms[] = {{"empty", 0, false}, {"hall", 0, false}, {"empty", 0, true}};
    printf("| room | ns a publish, median of %d bursts |\n|---|---|\n", BURSTS);
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        roomcast_room_hold(engine, roomcast_str_of(rooms[i].name), &rooms[i].held);
        roomcast_room_members(engine, rooms[i].held, &members);
        printf("| %s%s, %zu members | %.1f |\n", rooms[i].name,
               rooms[i].by_name ? " by name" : "", members, measure(engine, &rooms[i], fd));
    }
    close(fd);
    roomcast_engine_free(engine);
    return 0;
}
