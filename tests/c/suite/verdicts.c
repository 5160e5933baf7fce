/* Verdicts: in the callback, later and from elsewhere, refused, twice, too late, never; and that
 * the data of an accept is let go of exactly once. */
#include "host.h"

/* Data with its finalizer, both counted. */
struct ticket {
    int freed;
    uint64_t connection;
};

static void on_free(void *data) {
    struct ticket *ticket = data;
    EQ(1, COUNT_UP(ticket->freed));
}

static roomcast_accept accept_with(struct ticket *ticket) {
    roomcast_accept accept = {0};
    accept.struct_size = sizeof accept;
    accept.data = ticket;
    accept.data_free = on_free;
    return accept;
}

/* Records, and leaves the answer to the test. */
static bool leave_alone(struct host *host, const roomcast_engine *engine,
                        const roomcast_event *event) {
    (void)host, (void)engine, (void)event;
    return false;
}

/* A peer that has asked and is not answered yet. */
static uint64_t ask(struct host *host, int *fd, const char *more) {
    char text[1024];
    size_t len = ws_request(text, sizeof text, "/door", more);
    size_t before = host_count(host, ROOMCAST_EVENT_CONNECTING, 0);
    *fd = ws_tcp(host->port);
    CHECK(write(*fd, text, len) == (ssize_t)len);
    return host_wait(host, ROOMCAST_EVENT_CONNECTING, 0, before).connection;
}

static void open_waiting(struct host *host, uint64_t verdict_timeout_ms) {
    host_prepare(host);
    host->hook = leave_alone;
    OK(roomcast_config_set_limit(host->config, ROOMCAST_LIMIT_VERDICT_TIMEOUT_MS,
                                 verdict_timeout_ms));
    host_start(host);
}

TEST(a_later_accept_has_rooms_user_data_and_subprotocol, PLAIN, 20) {
    struct host host;
    struct ws ws;
    struct ticket ticket = {0};
    const roomcast_str rooms[] = {S("a"), S("b"), S(""), S("a")};
    int fd;
    open_waiting(&host, 10000);
    uint64_t id = ask(&host, &fd, "Sec-WebSocket-Protocol: v1, v2\r\n");
    CHECK(roomcast_connection_is_open(host.engine, id));
    roomcast_accept accept = accept_with(&ticket);
    accept.rooms = rooms;
    accept.room_count = LENGTH(rooms);
    accept.user = S("\xe2\x82\xac");
    accept.subprotocol = S("v2");
    OK(roomcast_connection_accept(host.engine, id, &accept));
    roomcast_published done;
    OK(roomcast_engine_publish(host.engine, S("b"), TEXT_KIND, B("first"), &done));
    EQ(1, done.members);
    IS(ANSWERED, roomcast_connection_accept(host.engine, id, &accept));
    IS(ANSWERED, roomcast_connection_refuse(host.engine, id, 403, S("")));
    ws_answer(&ws, fd);
    EQ(101, ws.status);
    HAS("rotocol: v2\r\n", ws.head);
    ws_expect(&ws, "first");
    struct seen opened = host_wait(&host, ROOMCAST_EVENT_OPENED, id, 0);
    CHECK(opened.data == &ticket);
    TEXT("\xe2\x82\xac", S(opened.user));
    OK(roomcast_user_send(host.engine, S("\xe2\x82\xac"), TEXT_KIND, B("you")));
    ws_expect(&ws, "you");
    roomcast_names *names = NULL;
    OK(roomcast_connection_rooms(host.engine, id, &names));
    EQ(2, roomcast_names_count(names));
    roomcast_names_free(names);
    EQ(0, LOAD(ticket.freed));
    ws_free(&ws);
    CHECK(host_wait(&host, ROOMCAST_EVENT_CLOSED, id, 0).data == &ticket);
    UNTIL(LOAD(ticket.freed) == 1);
    host_free(&host);
    EQ(1, ticket.freed);
}

TEST(an_unknown_subprotocol_is_left_out, PLAIN, 20) {
    struct host host;
    struct ws ws;
    int fd;
    open_waiting(&host, 10000);
    uint64_t id = ask(&host, &fd, "Sec-WebSocket-Protocol: v1\r\n");
    roomcast_accept accept = {0};
    accept.struct_size = sizeof accept;
    accept.subprotocol = S("v3\r\nX: y");
    OK(roomcast_connection_accept(host.engine, id, &accept));
    ws_answer(&ws, fd);
    EQ(101, ws.status);
    CHECK(!strstr(ws.head, "v3") && !strstr(ws.head, "X: y"));
    ws_free(&ws);
    host_free(&host);
}

TEST(a_refusal_is_http, PLAIN, 20) {
    struct host host;
    struct ws ws;
    int fd;
    open_waiting(&host, 10000);
    uint64_t id = ask(&host, &fd, NULL);
    OK(roomcast_connection_refuse(host.engine, id, 418, S("no\r\nInjected: x")));
    roomcast_status again = roomcast_connection_accept(host.engine, id, NULL);
    CHECK(again == ROOMCAST_STATUS_ANSWERED || again == ROOMCAST_STATUS_GONE);
    ws_answer(&ws, fd);
    EQ(418, ws.status);
    CHECK(!strstr(ws.head, "Injected"));
    ws_expect_end(&ws);
    ws_free(&ws);
    UNTIL(!roomcast_connection_is_open(host.engine, id));
    IS(GONE, roomcast_connection_accept(host.engine, id, NULL));
    EQ(0, host_count(&host, ROOMCAST_EVENT_OPENED, id));
    EQ(0, host_count(&host, ROOMCAST_EVENT_CLOSED, id));
    host_free(&host);
}

TEST(a_late_answer_is_gone, PLAIN, 20) {
    struct host host;
    struct ws ws;
    struct ticket ticket = {0};
    roomcast_accept accept = accept_with(&ticket);
    int fd;
    open_waiting(&host, 50);
    uint64_t id = ask(&host, &fd, NULL);
    ws_answer(&ws, fd);
    EQ(503, ws.status);
    UNTIL(!roomcast_connection_is_open(host.engine, id));
    IS(GONE, roomcast_connection_accept(host.engine, id, &accept));
    IS(GONE, roomcast_connection_refuse(host.engine, id, 403, S("")));
    EQ(0, ticket.freed);
    ws_free(&ws);
    host_free(&host);
    EQ(0, ticket.freed);
}

TEST(a_peer_that_goes_before_the_answer_costs_nothing, PLAIN, 20) {
    struct host host;
    struct ticket ticket = {0};
    roomcast_accept accept = accept_with(&ticket);
    int fd;
    open_waiting(&host, 60000);
    uint64_t id = ask(&host, &fd, NULL);
    struct ws ws = {0};
    ws.fd = fd;
    ws_reset(&ws);
    roomcast_status status = roomcast_connection_accept(host.engine, id, &accept);
    CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_GONE);
    host_free(&host);
    EQ(status == ROOMCAST_STATUS_OK, ticket.freed);
}

/* The one that turns is late: the time of the answer is over, but no turn has said so. */
TEST(a_late_answer_between_turns_is_gone, PLAIN, 20) {
    roomcast_config *config = host_config();
    roomcast_event event;
    size_t count = 0;
    char text[1024];
    OK(roomcast_config_set_shards(config, 0));
    OK(roomcast_config_set_own_threads(config, false));
    OK(roomcast_config_set_limit(config, ROOMCAST_LIMIT_VERDICT_TIMEOUT_MS, 20));
    roomcast_engine *engine = engine_of(config);
    roomcast_config_free(config);
    int fd = ws_tcp(port_of(engine));
    size_t len = ws_request(text, sizeof text, "/", NULL);
    CHECK(write(fd, text, len) == (ssize_t)len);
    while (count == 0) {
        OK(roomcast_engine_turn(engine, 1000));
        OK(roomcast_engine_drain(engine, sizeof event, 1, &event, &count));
    }
    uint64_t since = suite_now_ms();
    UNTIL(suite_now_ms() > since + 40);
    IS(GONE, roomcast_connection_accept(engine, event.connection, NULL));
    roomcast_events_free(sizeof event, 1, &event);
    close(fd);
    roomcast_engine_free(engine);
}

TEST(never_answered_is_bounded, HEAVY, 60) {
    struct host host;
    roomcast_snapshot figures;
    int fds[200];
    host_prepare(&host);
    host.hook = leave_alone;
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_VERDICT_TIMEOUT_MS, 100));
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_CONNECTIONS_MAX, 50));
    host_start(&host);
    char text[1024];
    size_t len = ws_request(text, sizeof text, "/door", NULL);
    for (size_t i = 0; i < LENGTH(fds); i++) {
        fds[i] = ws_tcp(host.port);
        CHECK(write(fds[i], text, len) == (ssize_t)len);
    }
    for (size_t i = 0; i < LENGTH(fds); i++) {
        struct ws ws;
        ws_answer(&ws, fds[i]);
        CHECK(ws.status == 503 || ws.status == 0);
        ws_free(&ws);
    }
    figures.struct_size = sizeof figures;
    do {
        suite_nap();
        OK(roomcast_engine_snapshot(host.engine, &figures));
    } while (figures.connections > 0);
    EQ(0, figures.opened);
    size_t asked = host_count(&host, ROOMCAST_EVENT_CONNECTING, 0);
    CHECK(asked >= 1 && asked <= 50);
    host_free(&host);
}



struct race {
    struct host *host;
    uint64_t id;
    pthread_barrier_t *start;
    struct ticket ticket;
    int won;
};

static void *answer(void *argument) {
    struct race *race = argument;
    roomcast_accept accept = accept_with(&race->ticket);
    pthread_barrier_wait(race->start);
    roomcast_status status = roomcast_connection_accept(race->host->engine, race->id, &accept);
    CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_ANSWERED);
    race->won = status == ROOMCAST_STATUS_OK;
    return NULL;
}

TEST(answers_race_and_one_wins, THREADS, 60) {
    struct host host;
    open_waiting(&host, 60000);
    int rounds = suite_rounds(100);
    for (int round = 0; round < rounds; round++) {
        struct race races[4] = {{0}};
        pthread_t threads[4];
        pthread_barrier_t start;
        struct ws ws;
        int fd, won = 0;
        uint64_t id = ask(&host, &fd, NULL);
        pthread_barrier_init(&start, NULL, 4);
        for (int i = 0; i < 4; i++) {
            races[i].host = &host;
            races[i].id = id;
            races[i].start = &start;
            CHECK(pthread_create(&threads[i], NULL, answer, &races[i]) == 0);
        }
        for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        for (int i = 0; i < 4; i++) won += races[i].won;
        EQ(1, won);
        ws_answer(&ws, fd);
        EQ(101, ws.status);
        ws_free(&ws);
        for (int i = 0; i < 4; i++) {
            UNTIL(LOAD(races[i].ticket.freed) == races[i].won);
        }
        pthread_barrier_destroy(&start);
    }
    host_free(&host);
}

TEST(data_of_open_connections_goes_with_the_engine, PLAIN, 20) {
    struct host host;
    struct ws peers[10];
    struct ticket tickets[10] = {{0}}, never = {0};
    int fd;
    open_waiting(&host, 10000);
    for (int i = 0; i < 10; i++) {
        tickets[i].connection = ask(&host, &fd, NULL);
        roomcast_accept accept = accept_with(&tickets[i]);
        OK(roomcast_connection_accept(host.engine, tickets[i].connection, &accept));
        ws_answer(&peers[i], fd);
        EQ(101, peers[i].status);
    }
    ask(&host, &fd, NULL);
    host_free(&host);
    for (int i = 0; i < 10; i++) EQ(1, tickets[i].freed);
    for (int i = 0; i < 10; i++) ws_free(&peers[i]);
    EQ(0, never.freed);
    close(fd);
}

/* Taken events keep their connection's data, also beyond the engine. */
TEST(a_taken_event_keeps_the_data, PLAIN, 20) {
    roomcast_config *config = host_config();
    roomcast_engine *engine = engine_of(config);
    struct ticket ticket = {0};
    roomcast_event asked, opened, closed;
    roomcast_accept accept = accept_with(&ticket);
    size_t count = 0;
    char text[1024];
    struct ws ws;
    roomcast_config_free(config);
    int fd = ws_tcp(port_of(engine));
    size_t len = ws_request(text, sizeof text, "/q?n=1", NULL);
    CHECK(write(fd, text, len) == (ssize_t)len);
    OK(roomcast_engine_wait(engine, -1, sizeof asked, 1, &asked, &count));
    accept.user = S("kept");
    OK(roomcast_connection_accept(engine, asked.connection, &accept));
    OK(roomcast_engine_wait(engine, -1, sizeof opened, 1, &opened, &count));
    ws_answer(&ws, fd);
    ws_send_close(&ws, 4000, "text kept");
    OK(roomcast_engine_wait(engine, -1, sizeof closed, 1, &closed, &count));
    roomcast_engine_free(engine);
    EQ(0, LOAD(ticket.freed));
    TEXT("/q", roomcast_request_path(asked.request));
    TEXT("1", roomcast_request_query_value(asked.request, S("n")));
    roomcast_events_free(sizeof asked, 1, &asked);
    TEXT("kept", closed.user);
    TEXT("text kept", closed.text);
    CHECK(opened.connection_data == &ticket && closed.connection_data == &ticket);
    roomcast_events_free(sizeof closed, 1, &closed);
    EQ(0, LOAD(ticket.freed));
    roomcast_events_free(sizeof opened, 1, &opened);
    EQ(1, LOAD(ticket.freed));
    ws_free(&ws);
}
