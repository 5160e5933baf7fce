/* The smallest useful host in C: GET /room/NAME joins NAME, and each message goes to all its
 * members. /rooms/A,B,C joins all of them and publishes to the first; ?skip=1 leaves the sender
 * out. This is also the server of the benches, so the limit on how many may come is lifted.
 *
 * Events come as callbacks on the engine's threads; the main thread waits for SIGINT or SIGTERM.
 *
 *     cc rooms.c -o rooms $(pkg-config --cflags --libs roomcast)
 *     ./rooms --port 8080 --shards 1
 */
#define _POSIX_C_SOURCE 200809L

#include <roomcast.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* What a connection is accepted with, found again in each of its events. */
struct member {
    const roomcast_engine *engine;
    uint64_t first; /* the room that it publishes to, held */
    bool skip;
};

/* The finalizer of a member: after its last event, on whatever thread. */
static void member_free(void *data) {
    struct member *member = data;
    roomcast_room_release(member->engine, member->first);
    free(member);
}

/* What follows `prefix` in `path`; no text where it does not begin with it. */
static roomcast_str after(roomcast_str path, const char *prefix) {
    roomcast_str rest = {NULL, 0};
    size_t len = strlen(prefix);
    if (path.len >= len && memcmp(path.data, prefix, len) == 0) {
        rest.data = path.data + len;
        rest.len = path.len - len;
    }
    return rest;
}

/* Splits at commas into `rooms`, which has place for all, and says how many there are. */
static size_t split(roomcast_str names, roomcast_str *rooms) {
    size_t count = 1;
    rooms[0].data = names.data;
    rooms[0].len = 0;
    for (size_t i = 0; i < names.len; i++) {
        if (names.data[i] == ',') {
            rooms[count].data = names.data + i + 1;
            rooms[count++].len = 0;
        } else {
            rooms[count - 1].len++;
        }
    }
    return count;
}

static void refuse(const roomcast_engine *engine, uint64_t connection, uint32_t http_status,
                   const char *text) {
    roomcast_connection_refuse(engine, connection, http_status, roomcast_str_of(text));
}

static void let_in(const roomcast_engine *engine, const roomcast_event *event,
                   const roomcast_str *rooms, size_t count) {
    struct member *member = malloc(sizeof *member);
    if (!member) {
        refuse(engine, event->connection, 503, "out of memory");
        return;
    }
    roomcast_str skip = roomcast_request_query_value(event->request, roomcast_str_of("skip"));
    member->engine = engine;
    member->skip = skip.len == 1 && skip.data[0] == '1';
    if (roomcast_room_hold(engine, rooms[0], &member->first) != ROOMCAST_STATUS_OK) {
        free(member);
        refuse(engine, event->connection, 400, "a room name is empty or too long");
        return;
    }
    roomcast_accept accept = {.struct_size = sizeof accept,
                              .rooms = rooms,
                              .room_count = count,
                              .data = member,
                              .data_free = member_free};
    /* On failure the peer has gone already, and the member is still ours. */
    if (roomcast_connection_accept(engine, event->connection, &accept) != ROOMCAST_STATUS_OK)
        member_free(member);
}

static void on_connecting(const roomcast_engine *engine, const roomcast_event *event) {
    roomcast_str path = roomcast_request_path(event->request);
    roomcast_str one = after(path, "/room/"), several = after(path, "/rooms/");
    if (one.data) {
        let_in(engine, event, &one, 1);
    } else if (several.data) {
        roomcast_str *rooms = malloc((several.len + 1) * sizeof *rooms);
        if (rooms)
            let_in(engine, event, rooms, split(several, rooms));
        else
            refuse(engine, event->connection, 503, "out of memory");
        free(rooms);
    } else {
        refuse(engine, event->connection, 404, "rooms are at /room/NAME and /rooms/A,B,C");
    }
}

static void on_message(const roomcast_engine *engine, const roomcast_event *event) {
    const struct member *member = event->connection_data;
    roomcast_publication publication = {.struct_size = sizeof publication,
                                        .kind = event->message_kind,
                                        .data = event->message,
                                        .except = &event->connection,
                                        .except_count = member->skip ? 1 : 0};
    roomcast_status status =
        roomcast_room_publish_with(engine, member->first, &publication, NULL);
    /* A room or a shard that is behind: the sender is to come back later. */
    if (status != ROOMCAST_STATUS_OK && status != ROOMCAST_STATUS_STOPPED)
        roomcast_connection_close(engine, event->connection, 1013,
                                  roomcast_str_of(roomcast_status_text(status)));
}

static void on_event(void *user_data, const roomcast_engine *engine,
                     const roomcast_event *event) {
    (void)user_data;
    if (event->kind == ROOMCAST_EVENT_CONNECTING)
        on_connecting(engine, event);
    else if (event->kind == ROOMCAST_EVENT_MESSAGE)
        on_message(engine, event);
}

/* Ends the program where a call that can only fail by our own mistake has failed. */
static void must(roomcast_status status, const char *what) {
    if (status == ROOMCAST_STATUS_OK) return;
    fprintf(stderr, "rooms: %s: %s\n", what, roomcast_status_text(status));
    exit(1);
}

/* The number after `name` on the command line. */
static unsigned long number(int argc, char **argv, const char *name, unsigned long otherwise) {
    for (int i = 1; i + 1 < argc; i++) {
        char *end;
        if (strcmp(argv[i], name) != 0) continue;
        unsigned long value = strtoul(argv[i + 1], &end, 10);
        if (end != argv[i + 1] && *end == '\0') return value;
        fprintf(stderr, "rooms: %s %s is no number\n", name, argv[i + 1]);
        exit(2);
    }
    return otherwise;
}

static roomcast_engine *start(unsigned long port, unsigned long shards) {
    const uint32_t wanted = 1u << ROOMCAST_EVENT_CONNECTING | 1u << ROOMCAST_EVENT_MESSAGE;
    roomcast_config *config;
    roomcast_engine *engine;
    char address[48], why[256];
    snprintf(address, sizeof address, "127.0.0.1:%lu", port);
    must(roomcast_config_new(ROOMCAST_VERSION, &config), "configuration");
    must(roomcast_config_add_listener(config, roomcast_str_of(address)), address);
    must(roomcast_config_set_shards(config, shards), "--shards");
    must(roomcast_config_allow_any_origin(config), "origins");
    must(roomcast_config_set_limit(config, ROOMCAST_LIMIT_CONNECTIONS_MAX, 1000000), "limit");
    must(roomcast_config_set_events(config, wanted), "events");
    must(roomcast_config_set_callback(config, NULL, on_event, NULL), "callback");
    if (roomcast_engine_new(config, &engine, why, sizeof why) != ROOMCAST_STATUS_OK) {
        fprintf(stderr, "rooms: %s\n", why);
        exit(1);
    }
    roomcast_config_free(config);
    return engine;
}

int main(int argc, char **argv) {
    unsigned long port = number(argc, argv, "--port", 8080);
    unsigned long shards = number(argc, argv, "--shards", 1);
    sigset_t ends;
    int signal;
    /* Blocked before the engine's threads start, which inherit this: so sigwait gets them. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);

    roomcast_engine *engine = start(port, shards);
    roomcast_str address;
    must(roomcast_engine_address(engine, 0, &address, NULL), "address");
    printf("listening on %.*s\n", (int)address.len, address.data);
    fflush(stdout);

    sigwait(&ends, &signal);
    roomcast_stop_report report;
    roomcast_status status = roomcast_engine_stop(engine, &report);
    if (status == ROOMCAST_STATUS_OK)
        printf("stopped %zu connections in %llu ms, %zu were cut\n", report.connections,
               (unsigned long long)report.took_ms, report.cut);
    else
        fprintf(stderr, "rooms: stop: %s\n", roomcast_status_text(status));
    roomcast_engine_free(engine);
    return status == ROOMCAST_STATUS_OK ? 0 : 1;
}
