/* The ways of being told besides the callback on threads: queue with descriptor, blocking wait,
 * turns with either; and what each answers in the wrong mode. */
#include <poll.h>

#include "host.h"

static roomcast_engine *queued(bool own_threads) {
    roomcast_config *config = host_config();
    OK(roomcast_config_set_shards(config, own_threads ? 2 : 0));
    OK(roomcast_config_set_own_threads(config, own_threads));
    roomcast_engine *engine = engine_of(config);
    roomcast_config_free(config);
    return engine;
}

static bool readable(int fd, int timeout_ms) {
    struct pollfd poll_fd = {fd, POLLIN, 0};
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

/* Echoes until it has taken `closed` closed events. */
static void echo_one(const roomcast_engine *engine, const roomcast_event *event, int *closed) {
    if (event->kind == ROOMCAST_EVENT_CONNECTING) OK(host_accept(engine, event));
    if (event->kind == ROOMCAST_EVENT_MESSAGE) {
        roomcast_status status = roomcast_connection_send(
            engine, event->connection, event->message_kind, event->message);
        CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_GONE ||
              status == ROOMCAST_STATUS_STOPPED);
    }
    if (event->kind == ROOMCAST_EVENT_CLOSED) COUNT_UP(*closed);
}

struct peers {
    uint16_t port;
    int messages;
};

/* A peer on a thread of its own: says, hears it back, closes. */
static void *talk(void *argument) {
    struct peers *peers = argument;
    struct ws ws;
    ws_open(&ws, peers->port, "/");
    for (int i = 0; i < peers->messages; i++) {
        char text[32];
        snprintf(text, sizeof text, "message %d", i);
        ws_say(&ws, text);
        ws_expect(&ws, text);
    }
    ws_send_close(&ws, 1000, "");
    EQ(1000, ws_expect_end(&ws));
    ws_free(&ws);
    return NULL;
}

#define PEERS 4

static void start_peers(struct peers *peers, pthread_t *threads, const roomcast_engine *engine) {
    peers->port = port_of(engine);
    peers->messages = suite_rounds(200);
    for (int i = 0; i < PEERS; i++)
        CHECK(pthread_create(&threads[i], NULL, talk, peers) == 0);
}

static void join_peers(pthread_t *threads) {
    for (int i = 0; i < PEERS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

static size_t drain(const roomcast_engine *engine, int *closed) {
    roomcast_event events[7];
    size_t count = 99;
    OK(roomcast_engine_drain(engine, sizeof *events, LENGTH(events), events, &count));
    CHECK(count <= LENGTH(events));
    for (size_t i = 0; i < count; i++) echo_one(engine, &events[i], closed);
    roomcast_events_free(sizeof *events, count, events);
    return count;
}

TEST(poll_and_drain, PLAIN, 60) {
    roomcast_engine *engine = queued(true);
    pthread_t threads[PEERS];
    struct peers peers;
    int32_t fd = -1, again = -1;
    int closed = 0;
    OK(roomcast_engine_fd(engine, &fd));
    OK(roomcast_engine_fd(engine, &again));
    EQ(fd, again);
    CHECK(!readable(fd, 0));
    EQ(0, drain(engine, &closed));
    start_peers(&peers, threads, engine);
    while (closed < PEERS) {
        CHECK(readable(fd, 20000));
        drain(engine, &closed);
    }
    join_peers(threads);
    EQ(0, drain(engine, &closed));
    CHECK(!readable(fd, 0));
    OK(roomcast_engine_stop(engine, NULL));
    CHECK(readable(fd, 0));
    roomcast_event event;
    size_t count = 99;
    IS(STOPPED, roomcast_engine_drain(engine, sizeof event, 1, &event, &count));
    IS(STOPPED, roomcast_engine_wait(engine, -1, sizeof event, 1, &event, &count));
    EQ(99, count);
    roomcast_engine_free(engine);
}

struct waiter {
    roomcast_engine *engine;
    int *closed;
    int taken;
};

static void *wait_for_events(void *argument) {
    struct waiter *waiter = argument;
    roomcast_event events[3];
    size_t count;
    roomcast_status status;
    while ((status = roomcast_engine_wait(waiter->engine, -1, sizeof *events, LENGTH(events),
                                          events, &count)) == ROOMCAST_STATUS_OK) {
        CHECK(count >= 1 && count <= LENGTH(events));
        for (size_t i = 0; i < count; i++) echo_one(waiter->engine, &events[i], waiter->closed);
        waiter->taken += (int)count;
        roomcast_events_free(sizeof *events, count, events);
    }
    EQ(ROOMCAST_STATUS_STOPPED, status);
    return NULL;
}

TEST(several_threads_wait, THREADS, 60) {
    roomcast_engine *engine = queued(true);
    pthread_t threads[PEERS], waiting[3];
    struct waiter waiters[3];
    struct peers peers;
    int closed = 0, taken = 0;
    for (int i = 0; i < 3; i++) {
        waiters[i] = (struct waiter){engine, &closed, 0};
        CHECK(pthread_create(&waiting[i], NULL, wait_for_events, &waiters[i]) == 0);
    }
    start_peers(&peers, threads, engine);
    UNTIL(LOAD(closed) == PEERS);
    join_peers(threads);
    OK(roomcast_engine_stop(engine, NULL));
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_join(waiting[i], NULL) == 0);
        taken += waiters[i].taken;
    }
    EQ(PEERS * (3 + peers.messages), taken);
    roomcast_engine_free(engine);
}

TEST(a_wait_is_over_in_time, PLAIN, 20) {
    roomcast_engine *engine = queued(true);
    roomcast_event event;
    size_t count = 99;
    uint64_t began = suite_now_ms();
    IS(TIMED_OUT, roomcast_engine_wait(engine, 50, sizeof event, 1, &event, &count));
    CHECK(suite_now_ms() >= began + 49);
    IS(TIMED_OUT, roomcast_engine_wait(engine, 0, sizeof event, 1, &event, &count));
    EQ(99, count);
    roomcast_engine_free(engine);
}

/* An array whose elements are larger than ours, as of a newer header. */
TEST(larger_events_are_filled_with_zero, PLAIN, 20) {
    roomcast_engine *engine = queued(true);
    struct {
        roomcast_event event;
        uint64_t newer[2];
    } events[2];
    size_t count = 0;
    struct ws ws;
    char text[1024];
    int fd = ws_tcp(port_of(engine));
    size_t len = ws_request(text, sizeof text, "/", NULL);
    memset(events, 0xA5, sizeof events);
    CHECK(write(fd, text, len) == (ssize_t)len);
    OK(roomcast_engine_wait(engine, -1, sizeof *events, 2, &events[0].event, &count));
    EQ(1, count);
    EQ(0, events[0].newer[0] | events[0].newer[1]);
    EQ(0xA5A5A5A5A5A5A5A5ull, events[1].event.connection);
    OK(roomcast_connection_accept(engine, events[0].event.connection, NULL));
    OK(roomcast_engine_wait(engine, -1, sizeof *events, 1, &events[1].event, &count));
    EQ(ROOMCAST_EVENT_OPENED, events[1].event.kind);
    roomcast_events_free(sizeof *events, 2, &events[0].event);
    EQ(0, events[1].event.connection);
    ws_answer(&ws, fd);
    ws_free(&ws);
    roomcast_engine_free(engine);
}

/* What a host's loop does: sleeps on the descriptor as long as next_turn_ms says. */
static void sleep_and_turn(const roomcast_engine *engine, int fd) {
    int64_t ms = 0;
    OK(roomcast_engine_next_turn_ms(engine, &ms));
    CHECK(ms >= -1);
    readable(fd, ms < 0 || ms > 1000 ? 1000 : (int)ms);
    OK(roomcast_engine_turn(engine, 0));
}

TEST(turns_with_the_queue, PLAIN, 60) {
    roomcast_engine *engine = queued(false);
    pthread_t threads[PEERS];
    struct peers peers;
    roomcast_event event;
    int closed = 0;
    int32_t fd = -1;
    size_t count = 0;
    OK(roomcast_engine_fd(engine, &fd));
    start_peers(&peers, threads, engine);
    while (closed < PEERS) {
        sleep_and_turn(engine, fd);
        while (drain(engine, &closed) > 0) continue;
    }
    join_peers(threads);
    OK(roomcast_engine_begin_stop(engine));
    roomcast_status status;
    while ((status = roomcast_engine_turn(engine, -1)) == ROOMCAST_STATUS_OK) continue;
    EQ(ROOMCAST_STATUS_STOPPED, status);
    int64_t ms = 99;
    IS(STOPPED, roomcast_engine_next_turn_ms(engine, &ms));
    EQ(99, ms);
    IS(STOPPED, roomcast_engine_drain(engine, sizeof event, 1, &event, &count));
    roomcast_engine_free(engine);
}

static bool echo_hook(struct host *host, const roomcast_engine *engine,
                      const roomcast_event *event) {
    CHECK(pthread_equal(*(pthread_t *)host->hook_data, pthread_self()));
    IS(ON_SHARD, roomcast_engine_turn(engine, 0));
    int closed = 0;
    echo_one(engine, event, &closed);
    return false;
}

TEST(turns_with_the_callback, PLAIN, 60) {
    struct host host;
    pthread_t threads[PEERS], self = pthread_self();
    struct peers peers;
    int32_t fd = -1;
    host_prepare(&host);
    host.hook = echo_hook;
    host.hook_data = &self;
    OK(roomcast_config_set_shards(host.config, 0));
    OK(roomcast_config_set_own_threads(host.config, false));
    host_start(&host);
    OK(roomcast_engine_fd(host.engine, &fd));
    start_peers(&peers, threads, host.engine);
    while (host_count(&host, ROOMCAST_EVENT_CLOSED, 0) < PEERS) sleep_and_turn(host.engine, fd);
    join_peers(threads);
    EQ(PEERS * peers.messages, host_count(&host, ROOMCAST_EVENT_MESSAGE, 0));
    roomcast_event event;
    size_t count = 0;
    IS(WRONG_MODE, roomcast_engine_drain(host.engine, sizeof event, 1, &event, &count));
    host_free(&host);
}

struct sender {
    struct ws *ws;
    int rounds;
};

/* Blocks when the engine reads no more, hence on a thread of its own. */
static void *send_many(void *argument) {
    static char text[1001];
    struct sender *sender = argument;
    memset(text, 'm', sizeof text - 1);
    for (int i = 0; i < sender->rounds; i++) ws_say(sender->ws, text);
    ws_send_close(sender->ws, 1000, "");
    return NULL;
}

/* The queue does not lose events of a host that takes none: it stops reading. */
TEST(a_host_that_takes_nothing_holds_the_peer, PLAIN, 60) {
    roomcast_engine *engine = queued(true);
    struct ws ws;
    roomcast_event events[64];
    size_t count = 0, taken = 0;
    char text[1024];
    int fd = ws_tcp(port_of(engine)), closed = 0, rounds = suite_rounds(1000);
    size_t len = ws_request(text, sizeof text, "/", NULL);
    CHECK(write(fd, text, len) == (ssize_t)len);
    while (drain(engine, &closed) == 0) suite_nap();
    ws_answer(&ws, fd);
    struct sender sender = {&ws, rounds};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, send_many, &sender) == 0);
    roomcast_snapshot figures;
    figures.struct_size = sizeof figures;
    if (rounds == 1000) {
        do {
            OK(roomcast_engine_snapshot(engine, &figures));
        } while (figures.reads_paused == 0);
        CHECK(figures.messages_in < 1000);
    }
    while (closed == 0) {
        OK(roomcast_engine_wait(engine, -1, sizeof *events, 64, events, &count));
        for (size_t i = 0; i < count; i++) {
            taken += events[i].kind == ROOMCAST_EVENT_MESSAGE;
            closed += events[i].kind == ROOMCAST_EVENT_CLOSED;
        }
        roomcast_events_free(sizeof *events, count, events);
    }
    EQ(rounds, taken);
    CHECK(pthread_join(thread, NULL) == 0);
    ws_free(&ws);
    roomcast_engine_free(engine);
}
