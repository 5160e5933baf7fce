/* NULLS of connections, rooms, verdicts and publishing: what takes ids and payloads; see nulls.h.
 * Made-up ids give GONE. */
#include "nulls.h"

/* A call with `id` and `what` in turn: NULL, stale ids, and then what is wrong with the rest. */
#define EACH_STALE(call)                                                                         \
    EACH(id, stale_ids, uint64_t) IS(GONE, call(*id))

NULLS(roomcast_connection_accept) {
    roomcast_accept accept = {0};
    IS(INVALID_ARGUMENT, roomcast_connection_accept(NULL, w->connection, NULL));
    static const size_t sizes[] = {0, 1, sizeof(size_t), sizeof(roomcast_accept) - 8};
    EACH(bad, sizes, size_t) {
        accept.struct_size = *bad;
        IS(INVALID_ARGUMENT, roomcast_connection_accept(w->engine, w->connection, &accept));
    }
    accept.struct_size = sizeof accept;
    IS(ANSWERED, roomcast_connection_accept(w->engine, w->connection, &accept));
    IS(ANSWERED, roomcast_connection_accept(w->engine, w->connection, NULL));
    EACH(bad, bad_texts, roomcast_str) {
        const roomcast_str rooms[] = {S("good"), *bad};
        accept.user = *bad;
        IS(INVALID_ARGUMENT, roomcast_connection_accept(w->engine, w->connection, &accept));
        accept.user = S("u");
        accept.subprotocol = *bad;
        IS(INVALID_ARGUMENT, roomcast_connection_accept(w->engine, w->connection, &accept));
        accept.subprotocol = S("");
        accept.info = *bad;
        IS(INVALID_ARGUMENT, roomcast_connection_accept(w->engine, w->connection, &accept));
        accept.info = S("");
        accept.rooms = rooms;
        accept.room_count = 2;
        IS(INVALID_ARGUMENT, roomcast_connection_accept(w->engine, w->connection, &accept));
        accept.room_count = 0;
    }
    accept.rooms = NULL;
    accept.room_count = 3;
    IS(INVALID_ARGUMENT, roomcast_connection_accept(w->engine, w->connection, &accept));
    accept.rooms = &accept.user;
    accept.room_count = SIZE_MAX;
    IS(INVALID_ARGUMENT, roomcast_connection_accept(w->engine, w->connection, &accept));
    EACH(id, stale_ids, uint64_t) IS(GONE, roomcast_connection_accept(w->engine, *id, NULL));
}

NULLS(roomcast_connection_refuse) {
    IS(INVALID_ARGUMENT, roomcast_connection_refuse(NULL, w->connection, 403, S("")));
    static const uint32_t statuses[] = {0, 101, 200, 399, 600, 65536 + 403, UINT32_MAX};
    EACH(bad, statuses, uint32_t)
        IS(INVALID_ARGUMENT, roomcast_connection_refuse(w->engine, w->connection, *bad, S("")));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_connection_refuse(w->engine, w->connection, 403, *bad));
    IS(ANSWERED, roomcast_connection_refuse(w->engine, w->connection, 403, S("")));
    EACH(id, stale_ids, uint64_t)
        IS(GONE, roomcast_connection_refuse(w->engine, *id, 403, S("no")));
}

NULLS(roomcast_connection_is_open) {
    CHECK(!roomcast_connection_is_open(NULL, w->connection));
    EACH(id, stale_ids, uint64_t) CHECK(!roomcast_connection_is_open(w->engine, *id));
}

/* What every function with a kind and a payload refuses. */
#define BAD_PAYLOADS(call)                                                                       \
    do {                                                                                         \
        EACH(kind, bad_enums, uint32_t) IS(INVALID_ARGUMENT, call(*kind, B("x")));               \
        IS(INVALID_ARGUMENT, call(0, B("x")));                                                   \
        IS(INVALID_ARGUMENT, call(TEXT_KIND, B("\xff")));                                        \
        IS(INVALID_ARGUMENT, call(TEXT_KIND, B("\xed\xa0\x80")));                                \
        EACH(bad, bad_bytes, roomcast_bytes) {                                                   \
            IS(INVALID_ARGUMENT, call(TEXT_KIND, *bad));                                         \
            IS(INVALID_ARGUMENT, call(BINARY_KIND, *bad));                                       \
        }                                                                                        \
    } while (0)

NULLS(roomcast_connection_send) {
#define SEND(kind, bytes) roomcast_connection_send(w->engine, w->connection, kind, bytes)
    IS(INVALID_ARGUMENT, roomcast_connection_send(NULL, w->connection, TEXT_KIND, B("x")));
    BAD_PAYLOADS(SEND);
#define SEND_TO(id) roomcast_connection_send(w->engine, id, TEXT_KIND, B("x"))
    EACH_STALE(SEND_TO);
}

/* Room names that are texts, but no names of rooms. */
static char long_name[256];
static const char *const bad_rooms[] = {"", NULL, long_name};

static void make_long_name(void) {
    memset(long_name, 'n', sizeof long_name);
    EQ(256, sizeof long_name);
}

static roomcast_str bad_room(const char *const *name) {
    if (*name == long_name) make_long_name();
    roomcast_str room = {*name, *name == long_name ? sizeof long_name : 0};
    return room;
}

NULLS(roomcast_connection_join) {
    PLACE(roomcast_position, position);
    IS(INVALID_ARGUMENT, roomcast_connection_join(NULL, w->connection, S("r"), &position));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_connection_join(w->engine, w->connection, *bad, &position));
    EACH(bad, bad_rooms, char *const)
        IS(ROOM_NAME,
           roomcast_connection_join(w->engine, w->connection, bad_room(bad), &position));
#define JOIN(id) roomcast_connection_join(w->engine, id, S("r"), &position)
    EACH_STALE(JOIN);
    UNTOUCHED(position);
    OK(roomcast_connection_join(w->engine, w->connection, S("lobby"), NULL));
}

NULLS(roomcast_connection_leave) {
    IS(INVALID_ARGUMENT, roomcast_connection_leave(NULL, w->connection, S("r")));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_connection_leave(w->engine, w->connection, *bad));
    EACH(bad, bad_rooms, char *const)
        IS(ROOM_NAME, roomcast_connection_leave(w->engine, w->connection, bad_room(bad)));
#define LEAVE(id) roomcast_connection_leave(w->engine, id, S("r"))
    EACH_STALE(LEAVE);
    OK(roomcast_connection_leave(w->engine, w->connection, S("never joined")));
}

NULLS(roomcast_connection_close) {
    IS(INVALID_ARGUMENT, roomcast_connection_close(NULL, w->connection, 1000, S("")));
    static const uint32_t codes[] = {0,    999,  1002, 1004, 1005, 1006,  1015,
                                     2999, 5000, 65536 + 1000, UINT32_MAX};
    EACH(bad, codes, uint32_t)
        IS(CLOSE_CODE, roomcast_connection_close(w->engine, w->connection, *bad, S("")));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_connection_close(w->engine, w->connection, 1000, *bad));
#define CLOSE(id) roomcast_connection_close(w->engine, id, 1000, S(""))
    EACH_STALE(CLOSE);
}

NULLS(roomcast_connection_rooms) {
    PLACE(roomcast_names *, rooms);
    IS(INVALID_ARGUMENT, roomcast_connection_rooms(NULL, w->connection, &rooms));
    IS(INVALID_ARGUMENT, roomcast_connection_rooms(w->engine, w->connection, NULL));
#define ROOMS(id) roomcast_connection_rooms(w->engine, id, &rooms)
    EACH_STALE(ROOMS);
    UNTOUCHED(rooms);
}

NULLS(roomcast_engine_connections) {
    PLACE(roomcast_ids *, ids);
    IS(INVALID_ARGUMENT, roomcast_engine_connections(NULL, &ids));
    IS(INVALID_ARGUMENT, roomcast_engine_connections(w->engine, NULL));
    UNTOUCHED(ids);
}

NULLS(roomcast_engine_rooms) {
    PLACE(roomcast_names *, names);
    IS(INVALID_ARGUMENT, roomcast_engine_rooms(NULL, &names));
    IS(INVALID_ARGUMENT, roomcast_engine_rooms(w->engine, NULL));
    UNTOUCHED(names);
}

NULLS(roomcast_engine_count) {
    PLACE(size_t, members);
    IS(INVALID_ARGUMENT, roomcast_engine_count(NULL, S("lobby"), &members));
    IS(INVALID_ARGUMENT, roomcast_engine_count(w->engine, S("lobby"), NULL));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_engine_count(w->engine, *bad, &members));
    UNTOUCHED(members);
}

NULLS(roomcast_engine_members) {
    PLACE(roomcast_ids *, ids);
    IS(INVALID_ARGUMENT, roomcast_engine_members(NULL, S("lobby"), &ids));
    IS(INVALID_ARGUMENT, roomcast_engine_members(w->engine, S("lobby"), NULL));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_engine_members(w->engine, *bad, &ids));
    UNTOUCHED(ids);
}

NULLS(roomcast_engine_publish) {
    PLACE(roomcast_published, done);
    IS(INVALID_ARGUMENT, roomcast_engine_publish(NULL, S("lobby"), TEXT_KIND, B("x"), &done));
#define PUBLISH(kind, bytes) roomcast_engine_publish(w->engine, S("lobby"), kind, bytes, &done)
    BAD_PAYLOADS(PUBLISH);
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_engine_publish(w->engine, *bad, TEXT_KIND, B("x"), &done));
    EACH(bad, bad_rooms, char *const)
        IS(ROOM_NAME,
           roomcast_engine_publish(w->engine, bad_room(bad), TEXT_KIND, B("x"), &done));
    UNTOUCHED(done);
}

/* Each field of a publication made wrong alone; `publish` is either function. */
static void bad_publications(struct world *w, bool held,
                             roomcast_status (*publish)(struct world *, roomcast_publication *)) {
    const roomcast_str room = S("lobby");
    roomcast_publication good = {0}, p;
    good.struct_size = sizeof good;
    good.kind = TEXT_KIND;
    good.data = B("x");
    good.rooms = &room;
    good.room_count = !held;
    IS(INVALID_ARGUMENT, publish(w, NULL));
    static const size_t sizes[] = {0, 1, sizeof(size_t), sizeof good - 8};
#define WRONG(change)                                                                            \
    do {                                                                                         \
        p = good;                                                                                \
        change;                                                                                  \
        IS(INVALID_ARGUMENT, publish(w, &p));                                                    \
    } while (0)
    EACH(bad, sizes, size_t) WRONG(p.struct_size = *bad);
    EACH(bad, bad_enums, uint32_t) WRONG(p.kind = *bad);
    EACH(bad, bad_bytes, roomcast_bytes) WRONG(p.data = *bad);
    WRONG(p.data = B("\xff"));
    WRONG((p.rooms = NULL, p.room_count = 1));
    WRONG(p.room_count = SIZE_MAX);
    WRONG(p.room_count = held);
    WRONG((p.except = NULL, p.except_count = 1));
    WRONG((p.except = &w->connection, p.except_count = SIZE_MAX));
    WRONG((p.except_rooms = NULL, p.except_room_count = 1));
    WRONG((p.except_rooms = &room, p.except_room_count = SIZE_MAX / 8));
    EACH(bad, bad_texts, roomcast_str) {
        WRONG((p.rooms = bad, p.room_count = 1));
        WRONG((p.except_rooms = bad, p.except_room_count = 1));
        const roomcast_tag named = {*bad, S("v")}, valued = {S("n"), *bad};
        WRONG(p.event = *bad);
        WRONG(p.key = *bad);
        WRONG((p.tags = &named, p.tag_count = 1));
        WRONG((p.tags = &valued, p.tag_count = 1));
    }
    WRONG((p.tags = NULL, p.tag_count = 1));
    const roomcast_tag tag = {S("n"), S("v")};
    WRONG((p.tags = &tag, p.tag_count = SIZE_MAX));
    p = good;
    p.key.data = long_name;
    p.key.len = sizeof long_name;
    make_long_name();
    IS(KEY, publish(w, &p));
}

static roomcast_status publish_with(struct world *w, roomcast_publication *publication) {
    PLACE(roomcast_published, done);
    IS(INVALID_ARGUMENT, roomcast_engine_publish_with(NULL, publication, &done));
    roomcast_status status = roomcast_engine_publish_with(w->engine, publication, &done);
    UNTOUCHED(done);
    return status;
}

static roomcast_status held_with(struct world *w, roomcast_publication *publication) {
    PLACE(roomcast_published, done);
    IS(INVALID_ARGUMENT, roomcast_room_publish_with(NULL, w->room, publication, &done));
    roomcast_status status = roomcast_room_publish_with(w->engine, w->room, publication, &done);
    UNTOUCHED(done);
    return status;
}

NULLS(roomcast_engine_publish_with) { bad_publications(w, false, publish_with); }

static roomcast_status publish_tracked(struct world *w, roomcast_publication *publication) {
    PLACE(uint64_t, token);
    PLACE(roomcast_published, done);
    IS(INVALID_ARGUMENT, roomcast_engine_publish_tracked(NULL, publication, &token, &done));
    IS(INVALID_ARGUMENT, roomcast_engine_publish_tracked(w->engine, publication, NULL, &done));
    roomcast_status status =
        roomcast_engine_publish_tracked(w->engine, publication, &token, &done);
    UNTOUCHED(token);
    UNTOUCHED(done);
    return status;
}

static roomcast_status held_tracked(struct world *w, roomcast_publication *publication) {
    PLACE(uint64_t, token);
    PLACE(roomcast_published, done);
    IS(INVALID_ARGUMENT,
       roomcast_room_publish_tracked(NULL, w->room, publication, &token, &done));
    IS(INVALID_ARGUMENT,
       roomcast_room_publish_tracked(w->engine, w->room, publication, NULL, &done));
    roomcast_status status =
        roomcast_room_publish_tracked(w->engine, w->room, publication, &token, &done);
    UNTOUCHED(token);
    UNTOUCHED(done);
    return status;
}

NULLS(roomcast_engine_publish_tracked) {
    const roomcast_str rooms[] = {S("a"), S("b")};
    roomcast_publication p = {0};
    bad_publications(w, false, publish_tracked);
    p.struct_size = sizeof p;
    p.kind = TEXT_KIND;
    p.rooms = rooms;
    p.room_count = 2;
    IS(INVALID_ARGUMENT, publish_tracked(w, &p));
}

NULLS(roomcast_room_publish_tracked) {
    roomcast_publication p = {0};
    uint64_t token;
    bad_publications(w, true, held_tracked);
    p.struct_size = sizeof p;
    p.kind = TEXT_KIND;
#define HELD_TRACKED(id) roomcast_room_publish_tracked(w->engine, id, &p, &token, NULL)
    EACH_STALE(HELD_TRACKED);
}

NULLS(roomcast_room_publish_with) {
    roomcast_publication p = {0};
    bad_publications(w, true, held_with);
    p.struct_size = sizeof p;
    p.kind = TEXT_KIND;
#define HELD_WITH(id) roomcast_room_publish_with(w->engine, id, &p, NULL)
    EACH_STALE(HELD_WITH);
}

NULLS(roomcast_room_publish) {
    PLACE(roomcast_published, done);
    IS(INVALID_ARGUMENT, roomcast_room_publish(NULL, w->room, TEXT_KIND, B("x"), &done));
#define HELD(kind, bytes) roomcast_room_publish(w->engine, w->room, kind, bytes, &done)
    BAD_PAYLOADS(HELD);
#define HELD_ID(id) roomcast_room_publish(w->engine, id, TEXT_KIND, B("x"), &done)
    EACH_STALE(HELD_ID);
    UNTOUCHED(done);
}

NULLS(roomcast_engine_send_all) {
    IS(INVALID_ARGUMENT, roomcast_engine_send_all(NULL, TEXT_KIND, B("x")));
#define SEND_ALL(kind, bytes) roomcast_engine_send_all(w->engine, kind, bytes)
    BAD_PAYLOADS(SEND_ALL);
}

NULLS(roomcast_user_send) {
    IS(INVALID_ARGUMENT, roomcast_user_send(NULL, S("u"), TEXT_KIND, B("x")));
#define SEND_USER(kind, bytes) roomcast_user_send(w->engine, S("u"), kind, bytes)
    BAD_PAYLOADS(SEND_USER);
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_user_send(w->engine, *bad, TEXT_KIND, B("x")));
}

static void not_called(void *data) {
    (void)data;
    CHECK(!"called");
}

NULLS(roomcast_engine_corked) {
    IS(INVALID_ARGUMENT, roomcast_engine_corked(NULL, NULL, not_called));
    IS(INVALID_ARGUMENT, roomcast_engine_corked(NULL, NULL, NULL));
    IS(INVALID_ARGUMENT, roomcast_engine_corked(w->engine, NULL, NULL));
}

NULLS(roomcast_room_hold) {
    PLACE(uint64_t, room);
    IS(INVALID_ARGUMENT, roomcast_room_hold(NULL, S("r"), &room));
    IS(INVALID_ARGUMENT, roomcast_room_hold(w->engine, S("r"), NULL));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_room_hold(w->engine, *bad, &room));
    EACH(bad, bad_rooms, char *const)
        IS(ROOM_NAME, roomcast_room_hold(w->engine, bad_room(bad), &room));
    UNTOUCHED(room);
}

NULLS(roomcast_room_release) {
    IS(INVALID_ARGUMENT, roomcast_room_release(NULL, w->room));
#define RELEASE(id) roomcast_room_release(w->engine, id)
    EACH_STALE(RELEASE);
}

/* What is asked of a held room. */
#define ROOM_FIGURE(what, type)                                                                  \
    NULLS(roomcast_room_##what) {                                                                \
        PLACE(type, place);                                                                      \
        IS(INVALID_ARGUMENT, roomcast_room_##what(NULL, w->room, &place));                       \
        IS(INVALID_ARGUMENT, roomcast_room_##what(w->engine, w->room, NULL));                    \
        EACH(id, stale_ids, uint64_t) IS(GONE, roomcast_room_##what(w->engine, *id, &place));    \
        UNTOUCHED(place);                                                                        \
    }
ROOM_FIGURE(members, size_t)
ROOM_FIGURE(presence, roomcast_presence)
ROOM_FIGURE(position, roomcast_position)
ROOM_FIGURE(name, roomcast_str)
