/* Presence: how many are in a room, who, page by page, and the notices of who came and went. */
#include "host.h"

/* Options of all rooms: with presence, and notices after so many milliseconds. */
static void prepare(struct host *host, uint32_t interval_ms) {
    roomcast_room_options options = {0};
    options.struct_size = sizeof options;
    options.presence = true;
    options.presence_interval_ms = interval_ms;
    host_prepare(host);
    OK(roomcast_config_set_room_options(host->config, S("r"), &options));
}

/* Accepts into "r" as the user of the query, with the info of the query. */
static bool with_info(struct host *host, const roomcast_engine *engine,
                      const roomcast_event *event) {
    const roomcast_str room = S("r");
    roomcast_accept accept = {0};
    (void)host;
    if (event->kind != ROOMCAST_EVENT_CONNECTING) return false;
    accept.struct_size = sizeof accept;
    accept.rooms = &room;
    accept.room_count = 1;
    accept.user = roomcast_request_query_value(event->request, S("user"));
    accept.info = roomcast_request_query_value(event->request, S("info"));
    OK(roomcast_connection_accept(engine, event->connection, &accept));
    return false;
}

static roomcast_presence presence(const struct host *host, const char *room) {
    roomcast_presence found;
    OK(roomcast_engine_presence(host->engine, S(room), &found));
    return found;
}

TEST(members_and_users_are_counted_and_listed, PLAIN, 20) {
    struct host host;
    struct ws peers[4];
    uint64_t ids[4], room = 0, connection = 0;
    roomcast_present *present = NULL;
    roomcast_str user, info;
    prepare(&host, 0);
    host.hook = with_info;
    host_start(&host);
    CHECK(presence(&host, "r").counts_users);
    EQ(0, presence(&host, "r").members);
    static const char *const targets[] = {"/?user=ada&info=%7B%22n%22%3A1%7D", "/?user=ada",
                                          "/?user=bob&info=no%20json", "/"};
    for (int i = 0; i < 4; i++) ids[i] = host_join(&host, &peers[i], targets[i]);
    UNTIL(presence(&host, "r").members == 4);
    EQ(2, presence(&host, "r").users);
    OK(roomcast_engine_present(host.engine, S("r"), 0, 0, &present));
    EQ(4, roomcast_present_count(present));
    EQ(0, roomcast_present_next(present));
    static const char *const users[] = {"ada", "ada", "bob", NULL};
    for (int i = 0; i < 4; i++) {
        OK(roomcast_present_at(present, (size_t)i, &connection, &user, &info));
        EQ(ids[i], connection);
        TEXT(users[i], user);
        TEXT(i == 0 ? "{\"n\":1}" : NULL, info);
    }
    IS(INVALID_ARGUMENT, roomcast_present_at(present, 4, &connection, &user, &info));
    roomcast_present_free(present);
    ws_free(&peers[0]);
    UNTIL(presence(&host, "r").members == 3);
    EQ(2, presence(&host, "r").users);
    OK(roomcast_room_hold(host.engine, S("r"), &room));
    roomcast_presence found;
    OK(roomcast_room_presence(host.engine, room, &found));
    EQ(3, found.members);
    EQ(2, found.users);
    OK(roomcast_room_present(host.engine, room, 0, 2, &present));
    EQ(2, roomcast_present_count(present));
    uint64_t next = roomcast_present_next(present);
    CHECK(next != 0);
    roomcast_present_free(present);
    OK(roomcast_room_present(host.engine, room, next, 2, &present));
    EQ(1, roomcast_present_count(present));
    EQ(0, roomcast_present_next(present));
    OK(roomcast_present_at(present, 0, &connection, NULL, NULL));
    EQ(ids[3], connection);
    roomcast_present_free(present);
    for (int i = 1; i < 4; i++) ws_free(&peers[i]);
    host_free(&host);
}

TEST(a_room_without_presence_counts_members_alone, PLAIN, 20) {
    struct host host;
    struct ws ws;
    roomcast_present *present = NULL;
    prepare(&host, 0);
    host_start(&host);
    host_join(&host, &ws, "/other?user=ada");
    EQ(1, presence(&host, "other").members);
    EQ(0, presence(&host, "other").users);
    CHECK(!presence(&host, "other").counts_users);
    OK(roomcast_engine_present(host.engine, S("other"), 0, 0, &present));
    EQ(0, roomcast_present_count(present));
    roomcast_present_free(present);
    OK(roomcast_engine_present(host.engine, S("r:nobody"), 77, 5, &present));
    EQ(0, roomcast_present_count(present));
    EQ(0, roomcast_present_next(present));
    roomcast_present_free(present);
    ws_free(&ws);
    host_free(&host);
}

TEST(members_are_told_who_came_and_who_went, PLAIN, 20) {
    struct host host;
    struct ws ada, bob;
    char wanted[64];
    prepare(&host, 20);
    host_start(&host);
    uint64_t ada_id = host_join(&host, &ada, "/r?user=ada");
    CHECK(ws_hear(&ada));
    HAS("\"room\":\"r\"", ada.data);
    snprintf(wanted, sizeof wanted, "{\"id\":\"%llu\",\"user\":\"ada\"}",
             (unsigned long long)ada_id);
    HAS(wanted, ada.data);
    uint64_t bob_id = host_join(&host, &bob, "/r?user=bob");
    CHECK(ws_hear(&ada));
    HAS("\"came\":[", ada.data);
    HAS("bob", ada.data);
    HAS("\"users\":2", ada.data);
    ws_free(&bob);
    CHECK(ws_hear(&ada));
    snprintf(wanted, sizeof wanted, "\"gone\":[{\"id\":\"%llu\",\"user\":\"bob\"}]",
             (unsigned long long)bob_id);
    HAS(wanted, ada.data);
    HAS("\"members\":1", ada.data);
    UNTIL(host_figures(&host).presence_notices == 3);
    /* A filter leaves notices out; what has no event is asked for apart, since it is unknown. */
    roomcast_filter *filter = filter_of("!has(publication.event) || event != \"presence\"");
    roomcast_join join = join_of(filter);
    OK(roomcast_connection_join_with(host.engine, ada_id, S("r"), &join, NULL));
    roomcast_filter_free(filter);
    uint64_t notices = host_figures(&host).presence_notices;
    host_join(&host, &bob, "/r?user=bob");
    UNTIL(host_figures(&host).presence_notices > notices);
    OK(roomcast_engine_publish(host.engine, S("r"), TEXT_KIND, B("plain"), NULL));
    ws_expect(&ada, "plain");
    ws_free(&ada);
    ws_free(&bob);
    host_free(&host);
}

/* Pages are taken while others come and go: whoever stays is on exactly one of them. */
TEST(who_stays_is_on_one_page_while_others_come_and_go, THREADS, 60) {
    struct host host;
    struct ws stay[30];
    uint64_t ids[30];
    prepare(&host, 0);
    OK(roomcast_config_set_limit(host.config, ROOMCAST_LIMIT_PRESENCE_PAGE_MAX, 7));
    host_start(&host);
    int rounds = suite_rounds(20);
    for (size_t i = 0; i < LENGTH(stay); i++) ids[i] = host_join(&host, &stay[i], "/r");
    for (int round = 0; round < rounds; round++) {
        size_t seen[30] = {0};
        uint64_t next = 0;
        struct ws passing;
        do {
            roomcast_present *page = NULL;
            OK(roomcast_engine_present(host.engine, S("r"), next, 100, &page));
            CHECK(roomcast_present_count(page) <= 7);
            next = roomcast_present_next(page);
            for (size_t i = 0; i < roomcast_present_count(page); i++) {
                uint64_t id = 0;
                OK(roomcast_present_at(page, i, &id, NULL, NULL));
                for (size_t k = 0; k < LENGTH(ids); k++) seen[k] += ids[k] == id;
            }
            roomcast_present_free(page);
            host_join(&host, &passing, "/r");
            ws_reset(&passing);
        } while (next);
        for (size_t k = 0; k < LENGTH(ids); k++) EQ(1, seen[k]);
    }
    for (size_t i = 0; i < LENGTH(stay); i++) ws_free(&stay[i]);
    host_free(&host);
}
