/* Wishes: what a token allows is done unasked, all else the host decides, at once, later, never. */
#include "desk.h"

#define ADA "{'sub': 'ada', 'rooms': {'open:*': 'join publish', 'read': 'join'}}"

/* Wishes that were kept for later. */
struct shelf {
    roomcast_wish *kept[8];
    int count;
};

/* Peers say "join ROOM" and "publish ROOM"; of wishes those for "asked" are allowed at once, those
 * for "closed" denied, those for "later..." kept, others left alone. */
static bool decide(struct host *host, const roomcast_engine *engine, const roomcast_event *event) {
    struct shelf *shelf = host->hook_data;
    roomcast_str said = {event->message.data, event->message.len};
    if (event->kind == ROOMCAST_EVENT_CONNECTING) {
        OK(roomcast_connection_accept(engine, event->connection, NULL));
    } else if (event->kind == ROOMCAST_EVENT_MESSAGE && said.data[0] == 'j') {
        roomcast_str room = {said.data + 5, said.len - 5};
        OK(roomcast_connection_request_join(engine, event->connection, room, NULL));
    } else if (event->kind == ROOMCAST_EVENT_MESSAGE) {
        roomcast_str room = {said.data + 8, said.len - 8};
        roomcast_publication what = {0};
        what.struct_size = sizeof what;
        what.kind = TEXT_KIND;
        what.data = B("news");
        what.rooms = &room;
        what.room_count = 1;
        OK(roomcast_connection_request_publish(engine, event->connection, &what));
    } else if (event->kind == ROOMCAST_EVENT_PERMISSION) {
        CHECK(event->wish && roomcast_wish_connection(event->wish) == event->connection);
        EQ(event->verb, roomcast_wish_verb(event->wish));
        CHECK(roomcast_wish_room(event->wish).data == event->text.data);
        if (text_is(event->text, "asked")) {
            OK(roomcast_wish_allow(event->wish));
            IS(ANSWERED, roomcast_wish_allow(event->wish));
            IS(ANSWERED, roomcast_wish_deny(event->wish));
        }
        if (text_is(event->text, "closed")) OK(roomcast_wish_deny(event->wish));
        if (event->text.len >= 5 && memcmp(event->text.data, "later", 5) == 0) {
            OK(roomcast_wish_keep(event->wish, &shelf->kept[shelf->count]));
            COUNT_UP(shelf->count);
        }
    }
    return false;
}

static void prepare(struct desk *desk, struct shelf *shelf) {
    memset(shelf, 0, sizeof *shelf);
    desk_prepare(desk);
    desk->host.hook = decide;
    desk->host.hook_data = shelf;
}

static size_t members(const struct desk *desk, const char *room) {
    size_t count = 0;
    OK(roomcast_engine_count(desk->host.engine, S(room), &count));
    return count;
}

TEST(what_the_token_allows_is_done_and_all_else_the_host_decides, PLAIN, 20) {
    struct desk desk;
    struct shelf shelf;
    struct ws ada, bob;
    prepare(&desk, &shelf);
    host_start(&desk.host);
    uint64_t id = desk_join(&desk, &ada, "/", ADA);
    desk_join(&desk, &bob, "/", "{'sub': 'bob'}");
    static const char *const says[] = {"join open:1", "join read",     "join asked",
                                       "join closed", "join left",     "join later",
                                       "publish read", "publish open:1"};
    for (size_t i = 0; i < LENGTH(says); i++) ws_say(&ada, says[i]);
    ws_expect(&ada, "news");
    EQ(1, members(&desk, "open:1"));
    EQ(1, members(&desk, "read"));
    EQ(1, members(&desk, "asked"));
    UNTIL(host_count(&desk.host, ROOMCAST_EVENT_PERMISSION, id) == 5);
    EQ(0, members(&desk, "closed"));
    EQ(0, members(&desk, "left"));
    EQ(0, members(&desk, "later"));
    struct seen wish = host_wait(&desk.host, ROOMCAST_EVENT_PERMISSION, id, 4);
    TEXT("read", S(wish.text));
    TEXT("ada", S(wish.user));
    TEXT("news", S(wish.message));
    EQ(TEXT_KIND, wish.message_kind);
    OK(roomcast_wish_allow(shelf.kept[0]));
    EQ(1, members(&desk, "later"));
    TEXT("later", roomcast_wish_room(shelf.kept[0]));
    EQ(ROOMCAST_VERB_JOIN, roomcast_wish_verb(shelf.kept[0]));
    EQ(id, roomcast_wish_connection(shelf.kept[0]));
    IS(ANSWERED, roomcast_wish_deny(shelf.kept[0]));
    roomcast_wish_free(shelf.kept[0]);
    /* Denied are what was left alone, what was closed, and the publication. */
    UNTIL(host_figures(&desk.host).permissions_denied == 3);
    UNTIL(host_figures(&desk.host).permissions_granted == 5);
    ws_free(&ada);
    ws_free(&bob);
    desk_free(&desk);
}

TEST(a_publication_is_allowed_later_and_reaches_the_room, PLAIN, 20) {
    struct desk desk;
    struct shelf shelf;
    struct ws ada, bob;
    prepare(&desk, &shelf);
    host_start(&desk.host);
    desk_join(&desk, &ada, "/", "{'rooms': {'later': 'join'}}");
    desk_join(&desk, &bob, "/", "{}");
    ws_say(&ada, "join later");
    UNTIL(members(&desk, "later") == 1);
    ws_say(&bob, "publish later");
    UNTIL(LOAD(shelf.count) == 1);
    roomcast_wish *again = NULL;
    OK(roomcast_wish_keep(shelf.kept[0], &again));
    roomcast_wish_free(shelf.kept[0]);
    EQ(ROOMCAST_VERB_PUBLISH, roomcast_wish_verb(again));
    OK(roomcast_wish_allow(again));
    roomcast_wish_free(again);
    ws_expect(&ada, "news");
    ws_free(&ada);
    ws_free(&bob);
    desk_free(&desk);
}

TEST(a_wish_that_is_allowed_too_late_is_denied, PLAIN, 20) {
    struct desk desk;
    struct shelf shelf;
    struct ws ada;
    const uint64_t timeout_ms = 100 * suite_slow();
    prepare(&desk, &shelf);
    OK(roomcast_config_set_limit(desk.host.config, ROOMCAST_LIMIT_VERDICT_TIMEOUT_MS, timeout_ms));
    host_start(&desk.host);
    uint64_t id = desk_join(&desk, &ada, "/", "{}");
    ws_say(&ada, "join later");
    UNTIL(LOAD(shelf.count) == 1);
    uint64_t since = suite_now_ms();
    UNTIL(suite_now_ms() > since + timeout_ms + 10);
    IS(GONE, roomcast_wish_allow(shelf.kept[0]));
    IS(ANSWERED, roomcast_wish_allow(shelf.kept[0]));
    EQ(0, members(&desk, "later"));
    UNTIL(host_figures(&desk.host).permissions_denied == 1);
    CHECK(roomcast_connection_is_open(desk.host.engine, id));
    roomcast_wish_free(shelf.kept[0]);
    ws_free(&ada);
    desk_free(&desk);
}

TEST(a_wish_of_one_who_has_gone_and_one_beyond_the_engine_come_to_nothing, PLAIN, 20) {
    struct desk desk;
    struct shelf shelf;
    struct ws ada, bob;
    prepare(&desk, &shelf);
    host_start(&desk.host);
    uint64_t id = desk_join(&desk, &ada, "/", "{}");
    desk_join(&desk, &bob, "/", "{}");
    ws_say(&ada, "join later:a");
    UNTIL(LOAD(shelf.count) == 1);
    ws_say(&bob, "join later:b");
    ws_say(&bob, "join later:c");
    UNTIL(LOAD(shelf.count) == 3);
    ws_free(&ada);
    UNTIL(!roomcast_connection_is_open(desk.host.engine, id));
    IS(GONE, roomcast_wish_allow(shelf.kept[0]));
    EQ(0, members(&desk, "later:a"));
    ws_free(&bob);
    desk_free(&desk);
    IS(STOPPED, roomcast_wish_allow(shelf.kept[1]));
    OK(roomcast_wish_deny(shelf.kept[2]));
    TEXT("later:c", roomcast_wish_room(shelf.kept[2]));
    for (int i = 0; i < 3; i++) roomcast_wish_free(shelf.kept[i]);
}

/* Where its kind is not among the events, nobody is asked. */
TEST(unasked_it_is_denied, PLAIN, 20) {
    struct desk desk;
    struct shelf shelf;
    struct ws ada;
    prepare(&desk, &shelf);
    OK(roomcast_config_set_events(desk.host.config, ~(1u << ROOMCAST_EVENT_PERMISSION)));
    host_start(&desk.host);
    desk_join(&desk, &ada, "/", "{}");
    ws_say(&ada, "join asked");
    UNTIL(host_figures(&desk.host).permissions_denied == 1);
    EQ(0, members(&desk, "asked"));
    ws_free(&ada);
    desk_free(&desk);
}

/* Takes one event, of this kind. */
static roomcast_event take(roomcast_engine *engine, uint32_t kind) {
    roomcast_event event;
    size_t count = 0;
    OK(roomcast_engine_wait(engine, -1, sizeof event, 1, &event, &count));
    EQ(kind, event.kind);
    return event;
}

TEST(a_taken_event_is_answered_kept_or_given_back_unanswered, PLAIN, 20) {
    roomcast_config *config = host_config();
    roomcast_wish *kept = NULL;
    struct ws ws;
    size_t count = 9;
    OK(roomcast_config_set_events(config, 1u << ROOMCAST_EVENT_OPENED |
                                              1u << ROOMCAST_EVENT_PERMISSION));
    roomcast_engine *engine = engine_of(config);
    roomcast_config_free(config);
    ws_open(&ws, port_of(engine), "/");
    roomcast_event opened = take(engine, ROOMCAST_EVENT_OPENED);
    uint64_t id = opened.connection;
    roomcast_events_free(sizeof opened, 1, &opened);
    static const char *const rooms[] = {"now", "later", "never"};
    for (int i = 0; i < 3; i++)
        OK(roomcast_connection_request_join(engine, id, S(rooms[i]), NULL));
    roomcast_event now = take(engine, ROOMCAST_EVENT_PERMISSION);
    roomcast_event later = take(engine, ROOMCAST_EVENT_PERMISSION);
    roomcast_event never = take(engine, ROOMCAST_EVENT_PERMISSION);
    OK(roomcast_wish_allow(now.wish));
    TEXT("now", now.text);
    EQ(ROOMCAST_VERB_JOIN, now.verb);
    OK(roomcast_wish_keep(later.wish, &kept));
    roomcast_events_free(sizeof now, 1, &now);
    CHECK(!now.wish);
    roomcast_events_free(sizeof later, 1, &later);
    roomcast_events_free(sizeof never, 1, &never);
    OK(roomcast_wish_allow(kept));
    roomcast_wish_free(kept);
    OK(roomcast_engine_count(engine, S("now"), &count));
    EQ(1, count);
    OK(roomcast_engine_count(engine, S("later"), &count));
    EQ(1, count);
    OK(roomcast_engine_count(engine, S("never"), &count));
    EQ(0, count);
    roomcast_snapshot figures = {0};
    figures.struct_size = sizeof figures;
    do {
        suite_nap();
        OK(roomcast_engine_snapshot(engine, &figures));
    } while (figures.permissions_denied != 1);
    ws_free(&ws);
    roomcast_engine_free(engine);
}

struct race {
    roomcast_wish *wish;
    pthread_barrier_t *start;
    bool allows, won;
};

static void *answer(void *argument) {
    struct race *race = argument;
    pthread_barrier_wait(race->start);
    roomcast_status status =
        race->allows ? roomcast_wish_allow(race->wish) : roomcast_wish_deny(race->wish);
    CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_ANSWERED);
    race->won = status == ROOMCAST_STATUS_OK;
    roomcast_wish_free(race->wish);
    return NULL;
}

TEST(answers_to_a_wish_race_and_one_wins, THREADS, 60) {
    struct desk desk;
    struct shelf shelf;
    struct ws ada;
    int rounds = suite_rounds(100);
    prepare(&desk, &shelf);
    host_start(&desk.host);
    desk_join(&desk, &ada, "/", "{}");
    for (int round = 0; round < rounds; round++) {
        struct race races[4];
        pthread_t threads[4];
        pthread_barrier_t start;
        char room[32];
        int won = 0, allowed = 0;
        snprintf(room, sizeof room, "join later:%d", round);
        STORE(shelf.count, 0);
        ws_say(&ada, room);
        UNTIL(LOAD(shelf.count) == 1);
        pthread_barrier_init(&start, NULL, 4);
        for (int i = 0; i < 4; i++) {
            races[i] = (struct race){shelf.kept[0], &start, i % 2 == 0, false};
            if (i > 0) OK(roomcast_wish_keep(shelf.kept[0], &races[i].wish));
        }
        for (int i = 0; i < 4; i++)
            CHECK(pthread_create(&threads[i], NULL, answer, &races[i]) == 0);
        for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        for (int i = 0; i < 4; i++) {
            won += races[i].won;
            allowed += races[i].won && races[i].allows;
        }
        EQ(1, won);
        EQ(allowed, members(&desk, room + 5));
        pthread_barrier_destroy(&start);
    }
    ws_free(&ada);
    desk_free(&desk);
}
