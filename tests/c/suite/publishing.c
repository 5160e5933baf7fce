/* Publishing and sending in every form, with what became of it; order; several threads at once. */
#include "host.h"

static roomcast_publication publication(const char *text, const roomcast_str *rooms, size_t count) {
    roomcast_publication made = {0};
    made.struct_size = sizeof made;
    made.kind = TEXT_KIND;
    made.data = B(text);
    made.rooms = rooms;
    made.room_count = count;
    return made;
}

TEST(results_of_a_room, PLAIN, 20) {
    struct host host;
    struct ws ann, bob;
    roomcast_published done;
    roomcast_position position;
    uint64_t room = 0;
    size_t members = 99;
    host_open(&host);
    OK(roomcast_engine_publish(host.engine, S("r"), TEXT_KIND, B("nobody"), &done));
    EQ(0, done.offset);
    EQ(0, done.members);
    host_join(&host, &ann, "/r");
    OK(roomcast_engine_publish(host.engine, S("r"), TEXT_KIND, B("one"), &done));
    EQ(1, done.offset);
    EQ(1, done.members);
    OK(roomcast_room_hold(host.engine, S("r"), &room));
    CHECK(room != 0);
    uint64_t id = host_join(&host, &bob, "/");
    OK(roomcast_connection_join(host.engine, id, S("r"), &position));
    EQ(1, position.offset);
    OK(roomcast_room_publish(host.engine, room, BINARY_KIND, B("two"), &done));
    EQ(2, done.offset);
    EQ(2, done.members);
    OK(roomcast_room_members(host.engine, room, &members));
    EQ(2, members);
    OK(roomcast_engine_count(host.engine, S("r"), &members));
    EQ(2, members);
    roomcast_position now;
    OK(roomcast_room_position(host.engine, room, &now));
    EQ(position.epoch, now.epoch);
    EQ(2, now.offset);
    roomcast_str name;
    OK(roomcast_room_name(host.engine, room, &name));
    TEXT("r", name);
    ws_expect(&ann, "one");
    EQ(WS_TEXT, ann.opcode);
    ws_expect(&ann, "two");
    EQ(WS_BINARY, ann.opcode);
    ws_expect(&bob, "two");
    OK(roomcast_connection_leave(host.engine, id, S("r")));
    UNTIL((roomcast_room_members(host.engine, room, &members), members == 1));
    OK(roomcast_room_publish(host.engine, room, TEXT_KIND, roomcast_bytes_of(NULL, 0), &done));
    EQ(1, done.members);
    ws_expect(&ann, "");
    OK(roomcast_connection_send(host.engine, id, TEXT_KIND, B("you")));
    ws_expect(&bob, "you");
    ws_free(&ann);
    ws_free(&bob);
    UNTIL((roomcast_room_members(host.engine, room, &members), members == 0));
    OK(roomcast_room_position(host.engine, room, &now));
    EQ(3, now.offset);
    OK(roomcast_room_release(host.engine, room));
    IS(GONE, roomcast_room_release(host.engine, room));
    IS(GONE, roomcast_room_publish(host.engine, room, TEXT_KIND, B("x"), NULL));
    host_free(&host);
}

TEST(several_rooms_and_exclusions, PLAIN, 20) {
    struct host host;
    struct ws ann, bob, cat;
    const roomcast_str rooms[] = {S("a"), S("b"), S("b")}, quiet = S("quiet");
    roomcast_published done;
    uint64_t room = 0;
    host_open(&host);
    uint64_t ann_id = host_join(&host, &ann, "/a?user=ann");
    uint64_t bob_id = host_join(&host, &bob, "/b?user=bob");
    uint64_t cat_id = host_join(&host, &cat, "/b?user=ann");
    OK(roomcast_connection_join(host.engine, bob_id, S("a"), NULL));
    OK(roomcast_connection_join(host.engine, cat_id, S("quiet"), NULL));
    roomcast_publication p = publication("union", rooms, 3);
    OK(roomcast_engine_publish_with(host.engine, &p, &done));
    CHECK(done.members >= 3 && done.offset == 1);
    p = publication("not ann", rooms, 2);
    p.except = &ann_id;
    p.except_count = 1;
    OK(roomcast_engine_publish_with(host.engine, &p, NULL));
    p = publication("not quiet", rooms, 2);
    p.except_rooms = &quiet;
    p.except_room_count = 1;
    OK(roomcast_engine_publish_with(host.engine, &p, NULL));
    OK(roomcast_room_hold(host.engine, S("b"), &room));
    const uint64_t both[] = {bob_id, 0, UINT64_MAX, bob_id};
    p = publication("held, not bob", NULL, 0);
    p.except = both;
    p.except_count = LENGTH(both);
    OK(roomcast_room_publish_with(host.engine, room, &p, &done));
    EQ(2, done.members);
    OK(roomcast_user_send(host.engine, S("ann"), TEXT_KIND, B("to ann")));
    OK(roomcast_user_send(host.engine, S("nobody"), TEXT_KIND, B("to nobody")));
    OK(roomcast_user_send(host.engine, S(""), TEXT_KIND, B("to anonymous")));
    OK(roomcast_engine_send_all(host.engine, TEXT_KIND, B("all")));
    static const char *const wanted[3][6] = {
        {"union", "not quiet", "to ann", "all", NULL},
        {"union", "not ann", "not quiet", "all", NULL},
        {"union", "not ann", "held, not bob", "to ann", "all", NULL},
    };
    struct ws *peers[] = {&ann, &bob, &cat};
    for (int i = 0; i < 3; i++) {
        for (int n = 0; wanted[i][n]; n++) ws_expect(peers[i], wanted[i][n]);
        ws_free(peers[i]);
    }
    host_free(&host);
}

TEST(too_large_is_refused_in_all_forms, PLAIN, 20) {
    static char large[70000];
    struct host host;
    struct ws ws;
    uint64_t room = 0;
    const roomcast_str rooms[] = {S("r"), S("s")};
    host_prepare(&host);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_PUBLICATION_BYTES_MAX, 65536));
    host_start(&host);
    uint64_t id = host_join(&host, &ws, "/r?user=u");
    OK(roomcast_room_hold(host.engine, S("r"), &room));
    roomcast_bytes much = roomcast_bytes_of(large, sizeof large);
    roomcast_publication p = publication("", rooms, 2);
    p.kind = BINARY_KIND;
    p.data = much;
    IS(PAYLOAD_TOO_LARGE, roomcast_engine_publish_with(host.engine, &p, NULL));
    p.room_count = 1;
    IS(PAYLOAD_TOO_LARGE, roomcast_engine_publish_with(host.engine, &p, NULL));
    p.room_count = 0;
    IS(PAYLOAD_TOO_LARGE, roomcast_room_publish_with(host.engine, room, &p, NULL));
    IS(PAYLOAD_TOO_LARGE, roomcast_room_publish(host.engine, room, BINARY_KIND, much, NULL));
    IS(PAYLOAD_TOO_LARGE, roomcast_engine_publish(host.engine, S("r"), BINARY_KIND, much, NULL));
    IS(PAYLOAD_TOO_LARGE, roomcast_engine_send_all(host.engine, BINARY_KIND, much));
    IS(PAYLOAD_TOO_LARGE, roomcast_user_send(host.engine, S("u"), BINARY_KIND, much));
    IS(PAYLOAD_TOO_LARGE, roomcast_connection_send(host.engine, id, BINARY_KIND, much));
    OK(roomcast_engine_publish(host.engine, S("r"), TEXT_KIND, B("fits"), NULL));
    ws_expect(&ws, "fits");
    ws_free(&ws);
    host_free(&host);
}

struct corked {
    struct host *host;
    uint64_t id;
    int calls;
};

static void publish_corked(void *data) {
    struct corked *corked = data;
    corked->calls++;
    OK(roomcast_engine_publish(corked->host->engine, S("r"), TEXT_KIND, B("1"), NULL));
    OK(roomcast_connection_send(corked->host->engine, corked->id, TEXT_KIND, B("2")));
    OK(roomcast_engine_publish(corked->host->engine, S("r"), TEXT_KIND, B("3"), NULL));
    if (corked->calls == 1) OK(roomcast_engine_corked(corked->host->engine, data, publish_corked));
}

TEST(corked_work_leaves_in_order, PLAIN, 20) {
    struct host host;
    struct ws ws;
    host_open(&host);
    struct corked corked = {&host, host_join(&host, &ws, "/r"), 0};
    OK(roomcast_engine_corked(host.engine, &corked, publish_corked));
    EQ(2, corked.calls);
    for (int i = 0; i < 6; i++) ws_expect(&ws, i % 3 == 0 ? "1" : i % 3 == 1 ? "2" : "3");
    ws_free(&ws);
    host_free(&host);
}

/* Publishes one, waiting while the room is behind. */
static void publish_number(const roomcast_engine *engine, uint64_t room, int sender, int number) {
    char text[32];
    snprintf(text, sizeof text, "%d %d", sender, number);
    UNTIL(roomcast_room_publish(engine, room, TEXT_KIND, B(text), NULL) != ROOMCAST_STATUS_BEHIND);
}

TEST(ten_thousand_come_in_order, PLAIN, 60) {
    struct host host;
    struct ws peers[2];
    uint64_t room = 0;
    int many = suite_rounds(10000);
    host_open(&host);
    for (int i = 0; i < 2; i++) host_join(&host, &peers[i], "/r");
    OK(roomcast_room_hold(host.engine, S("r"), &room));
    for (int i = 0; i < many; i++) publish_number(host.engine, room, 0, i);
    for (int i = 0; i < many * 2; i++) {
        char text[32];
        snprintf(text, sizeof text, "0 %d", i / 2);
        ws_expect(&peers[i % 2], text);
    }
    for (int i = 0; i < 2; i++) ws_free(&peers[i]);
    host_free(&host);
}

struct publisher {
    struct host *host;
    uint64_t room;
    int sender, many;
};

static void *publish_many(void *argument) {
    struct publisher *publisher = argument;
    for (int i = 0; i < publisher->many; i++)
        publish_number(publisher->host->engine, publisher->room, publisher->sender, i);
    return NULL;
}

struct churn {
    struct host *host;
    uint64_t id;
    int over;
};

static void *join_and_leave(void *argument) {
    struct churn *churn = argument;
    while (!LOAD(churn->over)) {
        OK(roomcast_connection_join(churn->host->engine, churn->id, S("r"), NULL));
        OK(roomcast_connection_leave(churn->host->engine, churn->id, S("r")));
        suite_nap();
    }
    return NULL;
}

/* Each publisher's own come in order, and none is missing, for a member that stays. */
static void expect_all(struct ws *ws, int senders, int many) {
    int next[8] = {0};
    for (int i = 0; i < senders * many; i++) {
        int sender = -1, number = -1;
        CHECK(ws_hear(ws));
        CHECK(sscanf(ws->data, "%d %d", &sender, &number) == 2);
        CHECK(sender >= 0 && sender < senders);
        EQ(next[sender]++, number);
    }
}

TEST(four_threads_publish_while_members_come_and_go, THREADS, 60) {
    struct host host;
    struct ws stays, comes, other;
    pthread_t threads[5];
    struct publisher publishers[4];
    host_open(&host);
    host_join(&host, &stays, "/r");
    struct churn churn = {&host, host_join(&host, &comes, "/r"), 0};
    for (int i = 0; i < 4; i++) {
        publishers[i] = (struct publisher){&host, 0, i, suite_rounds(2000)};
        OK(roomcast_room_hold(host.engine, S("r"), &publishers[i].room));
        CHECK(pthread_create(&threads[i], NULL, publish_many, &publishers[i]) == 0);
    }
    CHECK(pthread_create(&threads[4], NULL, join_and_leave, &churn) == 0);
    for (int i = 0; i < suite_rounds(50); i++) {
        ws_open(&other, host.port, "/r");
        if (i % 2) ws_reset(&other);
        else ws_free(&other);
    }
    expect_all(&stays, 4, publishers[0].many);
    STORE(churn.over, 1);
    for (int i = 0; i < 5; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    ws_free(&stays);
    ws_free(&comes);
    host_free(&host);
}

static void *publish_until_stopped(void *argument) {
    struct publisher *publisher = argument;
    for (;;) {
        roomcast_status status = roomcast_room_publish(publisher->host->engine, publisher->room,
                                                       TEXT_KIND, B("x"), NULL);
        if (status == ROOMCAST_STATUS_STOPPED) break;
        CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_BEHIND);
        publisher->many++;
    }
    IS(STOPPED, roomcast_engine_send_all(publisher->host->engine, TEXT_KIND, B("x")));
    return NULL;
}

TEST(four_threads_publish_while_another_stops, THREADS, 60) {
    int rounds = suite_rounds(20);
    for (int round = 0; round < rounds; round++) {
        struct host host;
        struct ws ws;
        pthread_t threads[4];
        struct publisher publishers[4];
        host_open(&host);
        host_join(&host, &ws, "/r");
        for (int i = 0; i < 4; i++) {
            publishers[i] = (struct publisher){&host, 0, i, 0};
            OK(roomcast_room_hold(host.engine, S("r"), &publishers[i].room));
            CHECK(pthread_create(&threads[i], NULL, publish_until_stopped, &publishers[i]) == 0);
        }
        ws_expect(&ws, "x");
        OK(roomcast_engine_stop_within(host.engine, 100, NULL));
        for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        ws_free(&ws);
        host_free(&host);
    }
}
