/* A host with a libuv loop: GET /room/NAME joins NAME, and each message goes to all its members;
 * the room "clock" is sent the time each second.
 *
 * The engine serves connections on threads of its own; all code here runs on the loop's thread.
 *
 *     cc libuv.c -o libuv $(pkg-config --cflags --libs roomcast libuv)
 *     ./libuv --port 8080
 */
#define _DEFAULT_SOURCE

#include <roomcast.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

enum { BATCH = 64 };

struct host {
    roomcast_engine *engine;
    uv_poll_t events;
    uv_timer_t second;
    uv_signal_t interrupt, terminate;
    roomcast_event batch[BATCH];
    size_t batch_count;
};

static void fail(const char *what, const char *why) {
    fprintf(stderr, "libuv: %s: %s\n", what, why);
    exit(1);
}

static void must(roomcast_status status, const char *what) {
    if (status != ROOMCAST_STATUS_OK) fail(what, roomcast_status_text(status));
}

static void uv_must(int result, const char *what) {
    if (result < 0) fail(what, uv_strerror(result));
}

/* A publication that is refused (a room that is behind) is lost, and that is said. */
static void publish(const roomcast_engine *engine, roomcast_str room, uint32_t kind,
                    roomcast_bytes data) {
    roomcast_status status = roomcast_engine_publish(engine, room, kind, data, NULL);
    if (status != ROOMCAST_STATUS_OK && status != ROOMCAST_STATUS_STOPPED)
        fprintf(stderr, "libuv: to %.*s: %s\n", (int)room.len, room.data,
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
    for (size_t i = 0; i < host->batch_count; i++) {
        const roomcast_event *event = &host->batch[i];
        if (event->kind == ROOMCAST_EVENT_CONNECTING)
            on_connecting(host->engine, event);
        else if (event->kind == ROOMCAST_EVENT_MESSAGE && event->connection_data)
            publish(host->engine, roomcast_str_of(event->connection_data), event->message_kind,
                    event->message);
    }
}

/* Without a handle that is open the loop ends by itself. */
static void close_handles(struct host *host) {
    uv_close((uv_handle_t *)&host->events, NULL);
    uv_close((uv_handle_t *)&host->second, NULL);
    uv_close((uv_handle_t *)&host->interrupt, NULL);
    uv_close((uv_handle_t *)&host->terminate, NULL);
}

/* Takes one batch; libuv calls again as long as there are more. */
static void on_events(uv_poll_t *events, int result, int ready) {
    struct host *host = events->data;
    (void)ready;
    uv_must(result, "poll");
    roomcast_status status = roomcast_engine_drain(host->engine, sizeof host->batch[0], BATCH,
                                                   host->batch, &host->batch_count);
    if (status == ROOMCAST_STATUS_STOPPED) {
        close_handles(host);
        return;
    }
    must(status, "drain");
    must(roomcast_engine_corked(host->engine, host, on_batch), "corked");
    roomcast_events_free(sizeof host->batch[0], host->batch_count, host->batch);
}

static void on_second(uv_timer_t *second) {
    struct host *host = second->data;
    char text[16];
    time_t now = time(NULL);
    size_t len = strftime(text, sizeof text, "%H:%M:%S", localtime(&now));
    publish(host->engine, roomcast_str_of("clock"), ROOMCAST_KIND_TEXT,
            roomcast_bytes_of(text, len));
}

/* The loop goes on until the engine has told its last event. */
static void on_signal(uv_signal_t *signal, int number) {
    struct host *host = signal->data;
    (void)number;
    roomcast_engine_begin_stop(host->engine);
}

static void start(struct host *host, unsigned long port) {
    roomcast_config *config;
    char address[48], why[256];
    snprintf(address, sizeof address, "127.0.0.1:%lu", port);
    must(roomcast_config_new(ROOMCAST_VERSION, &config), "configuration");
    must(roomcast_config_add_listener(config, roomcast_str_of(address)), address);
    if (roomcast_engine_new(config, &host->engine, why, sizeof why) != ROOMCAST_STATUS_OK)
        fail("engine", why);
    roomcast_config_free(config);
}

static void open_handles(struct host *host, uv_loop_t *loop) {
    int32_t fd;
    must(roomcast_engine_fd(host->engine, &fd), "descriptor");
    uv_must(uv_poll_init(loop, &host->events, fd), "poll");
    uv_must(uv_timer_init(loop, &host->second), "timer");
    uv_must(uv_signal_init(loop, &host->interrupt), "signal");
    uv_must(uv_signal_init(loop, &host->terminate), "signal");
    host->events.data = host->second.data = host;
    host->interrupt.data = host->terminate.data = host;
    uv_must(uv_poll_start(&host->events, UV_READABLE, on_events), "poll");
    uv_must(uv_timer_start(&host->second, on_second, 1000, 1000), "timer");
    uv_must(uv_signal_start(&host->interrupt, on_signal, SIGINT), "SIGINT");
    uv_must(uv_signal_start(&host->terminate, on_signal, SIGTERM), "SIGTERM");
}

int main(int argc, char **argv) {
    static struct host host;
    uv_loop_t *loop = uv_default_loop();
    char *end = "";
    unsigned long port = 8080;
    roomcast_str bound;
    if (argc == 3 && strcmp(argv[1], "--port") == 0) port = strtoul(argv[2], &end, 10);
    if ((argc != 1 && argc != 3) || *end != '\0') fail("usage", "libuv [--port N]");
    start(&host, port);
    open_handles(&host, loop);
    must(roomcast_engine_address(host.engine, 0, &bound, NULL), "address");
    printf("listening on %.*s\n", (int)bound.len, bound.data);
    fflush(stdout);
    uv_must(uv_run(loop, UV_RUN_DEFAULT), "run");
    uv_must(uv_loop_close(loop), "close");
    roomcast_stop_report report;
    must(roomcast_engine_stop(host.engine, &report), "stop");
    printf("stopped %zu connections in %llu ms, %zu were cut\n", report.connections,
           (unsigned long long)report.took_ms, report.cut);
    roomcast_engine_free(host.engine);
    return 0;
}
