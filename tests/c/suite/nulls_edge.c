/* NULLS of what stands at the edge: claims, keys, tokens, TLS, wishes, presence; see nulls.h. */
#include "edge.h"
#include "nulls.h"

static roomcast_claims *some_claims(void) {
    roomcast_claims *claims = NULL;
    OK(roomcast_claims_new(&claims));
    return claims;
}

NULLS(roomcast_claims_new) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_claims_new(NULL));
}

/* A text that is set, and read again. */
#define CLAIMS_TEXT(what)                                                                        \
    NULLS(roomcast_claims_##what) {                                                              \
        roomcast_claims *claims = some_claims();                                                 \
        (void)w;                                                                                 \
        TEXT(NULL, roomcast_claims_##what(NULL));                                                \
        TEXT(NULL, roomcast_claims_##what(claims));                                              \
        OK(roomcast_claims_set_##what(claims, S("7")));                                          \
        TEXT("7", roomcast_claims_##what(claims));                                               \
        OK(roomcast_claims_set_##what(claims, S("")));                                           \
        TEXT(NULL, roomcast_claims_##what(claims));                                              \
        roomcast_claims_free(claims);                                                            \
    }
CLAIMS_TEXT(user)
CLAIMS_TEXT(token_id)
CLAIMS_TEXT(info)

#define CLAIMS_TAKE_TEXT(what)                                                                   \
    NULLS(roomcast_claims_set_##what) {                                                          \
        roomcast_claims *claims = some_claims();                                                 \
        (void)w;                                                                                 \
        IS(INVALID_ARGUMENT, roomcast_claims_set_##what(NULL, S("x")));                          \
        OK(roomcast_claims_set_##what(claims, S("x")));                                          \
        EACH(bad, bad_texts, roomcast_str)                                                       \
            IS(INVALID_ARGUMENT, roomcast_claims_set_##what(claims, *bad));                      \
        TEXT("x", roomcast_claims_##what(claims));                                               \
        roomcast_claims_free(claims);                                                            \
    }
CLAIMS_TAKE_TEXT(user)
CLAIMS_TAKE_TEXT(token_id)
CLAIMS_TAKE_TEXT(info)

#define CLAIMS_TIME(what)                                                                        \
    NULLS(roomcast_claims_##what) {                                                              \
        (void)w;                                                                                 \
        EQ(0, roomcast_claims_##what(NULL));                                                     \
    }
CLAIMS_TIME(expires_at)
CLAIMS_TIME(issued_at)

#define CLAIMS_TAKE_TIME(what)                                                                   \
    NULLS(roomcast_claims_set_##what) {                                                          \
        roomcast_claims *claims = some_claims();                                                 \
        (void)w;                                                                                 \
        IS(INVALID_ARGUMENT, roomcast_claims_set_##what(NULL, 1));                               \
        OK(roomcast_claims_set_##what(claims, UINT64_MAX));                                      \
        EQ(UINT64_MAX, roomcast_claims_##what(claims));                                          \
        OK(roomcast_claims_set_##what(claims, 0));                                               \
        EQ(0, roomcast_claims_##what(claims));                                                   \
        roomcast_claims_free(claims);                                                            \
    }
CLAIMS_TAKE_TIME(expires_at)
CLAIMS_TAKE_TIME(issued_at)

NULLS(roomcast_claims_allow) {
    roomcast_claims *claims = some_claims();
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_claims_allow(NULL, S("r"), 2));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_claims_allow(claims, *bad, 2));
    OK(roomcast_claims_allow(claims, S("r"), 1));
    OK(roomcast_claims_allow(claims, S("r"), ~14u));
    for (uint32_t verb = 0; verb < 40; verb++) CHECK(!roomcast_claims_may(claims, verb, S("r")));
    OK(roomcast_claims_allow(claims, S("*"), UINT32_MAX));
    CHECK(roomcast_claims_may(claims, ROOMCAST_VERB_PRESENCE, S("")));
    roomcast_claims_free(claims);
}

NULLS(roomcast_claims_may) {
    roomcast_claims *claims = some_claims();
    (void)w;
    OK(roomcast_claims_allow(claims, S("*"), UINT32_MAX));
    CHECK(!roomcast_claims_may(NULL, ROOMCAST_VERB_JOIN, S("r")));
    EACH(bad, bad_texts, roomcast_str)
        CHECK(!roomcast_claims_may(claims, ROOMCAST_VERB_JOIN, *bad));
    EACH(bad, bad_enums, uint32_t) CHECK(!roomcast_claims_may(claims, *bad, S("r")));
    CHECK(!roomcast_claims_may(claims, 0, S("r")) && !roomcast_claims_may(claims, 4, S("r")));
    roomcast_claims_free(claims);
}

NULLS(roomcast_request_claims) {
    CHECK(!roomcast_request_claims(NULL));
    CHECK(!roomcast_request_claims(w->request));
}

NULLS(roomcast_event_claims) {
    roomcast_event none = {0};
    CHECK(!roomcast_event_claims(NULL));
    CHECK(!roomcast_event_claims(&none));
    CHECK(!roomcast_event_claims(&w->asked));
}

NULLS(roomcast_event_may) {
    CHECK(!roomcast_event_may(NULL, ROOMCAST_VERB_JOIN, S("r")));
    EACH(bad, bad_texts, roomcast_str)
        CHECK(!roomcast_event_may(&w->asked, ROOMCAST_VERB_JOIN, *bad));
    EACH(bad, bad_enums, uint32_t) CHECK(!roomcast_event_may(&w->asked, *bad, S("r")));
    CHECK(!roomcast_event_may(&w->asked, ROOMCAST_VERB_JOIN, S("r")));
}

NULLS(roomcast_upgrade_claims) {
    CHECK(!roomcast_upgrade_claims(NULL));
    CHECK(!roomcast_upgrade_claims(w->upgrade) && !roomcast_upgrade_claims(w->unwanted));
}

static roomcast_keys *some_keys(void) {
    roomcast_keys *keys = NULL;
    OK(roomcast_keys_new(&keys));
    return keys;
}

NULLS(roomcast_keys_new) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_keys_new(NULL));
}

NULLS(roomcast_keys_add) {
    const roomcast_bytes secret = B("0123456789abcdef0123456789abcdef");
    const uint32_t hs256 = ROOMCAST_ALGORITHM_HS256;
    roomcast_keys *keys = some_keys();
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_keys_add(NULL, hs256, S(""), secret, NULL, 0));
    EACH(bad, bad_enums, uint32_t)
        IS(INVALID_ARGUMENT, roomcast_keys_add(keys, *bad, S(""), secret, NULL, 0));
    IS(INVALID_ARGUMENT, roomcast_keys_add(keys, 0, S(""), secret, NULL, 0));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_keys_add(keys, hs256, *bad, secret, NULL, 0));
    EACH(bad, bad_bytes, roomcast_bytes)
        IS(INVALID_ARGUMENT, roomcast_keys_add(keys, hs256, S(""), *bad, NULL, 0));
    for (uint32_t a = hs256; a <= ROOMCAST_ALGORITHM_EDDSA; a++) {
        char why[8] = "left";
        IS(TOKEN_KEY, roomcast_keys_add(keys, a, S(""), B("\xff\0\x01"), NULL, 9));
        IS(TOKEN_KEY, roomcast_keys_add(keys, a, S(""), roomcast_bytes_of(NULL, 0), why, 1));
        TEXT("", S(why));
    }
    OK(roomcast_keys_add(keys, hs256, S(NULL), secret, NULL, 0));
    roomcast_keys_free(keys);
}

NULLS(roomcast_keys_add_jwks) {
    roomcast_keys *keys = some_keys();
    static const char *const sets[] = {"", "null", "[]", "{}", "{\"keys\": 7}", "{\"keys\": [{}]}"};
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_keys_add_jwks(NULL, S("{}"), NULL, 0));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_keys_add_jwks(keys, *bad, NULL, 0));
    EACH(bad, sets, char *const) IS(TOKEN_KEY, roomcast_keys_add_jwks(keys, S(*bad), NULL, 0));
    roomcast_keys_free(keys);
}

NULLS(roomcast_keys_add_issuer) {
    roomcast_keys *keys = some_keys();
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_keys_add_issuer(NULL, S("x")));
    EACH(bad, bad_texts, roomcast_str) IS(INVALID_ARGUMENT, roomcast_keys_add_issuer(keys, *bad));
    roomcast_keys_free(keys);
}

NULLS(roomcast_keys_add_audience) {
    roomcast_keys *keys = some_keys();
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_keys_add_audience(NULL, S("x")));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_keys_add_audience(keys, *bad));
    roomcast_keys_free(keys);
}

NULLS(roomcast_keys_set_leeway) {
    roomcast_keys *keys = some_keys();
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_keys_set_leeway(NULL, 5));
    OK(roomcast_keys_set_leeway(keys, UINT64_MAX));
    roomcast_keys_free(keys);
}

static roomcast_auth *some_auth(void) {
    roomcast_keys *keys = some_keys();
    roomcast_auth *auth = NULL;
    OK(roomcast_auth_new(keys, &auth));
    roomcast_keys_free(keys);
    return auth;
}

NULLS(roomcast_auth_new) {
    roomcast_keys *keys = some_keys();
    PLACE(roomcast_auth *, auth);
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_auth_new(NULL, &auth));
    IS(INVALID_ARGUMENT, roomcast_auth_new(keys, NULL));
    UNTOUCHED(auth);
    roomcast_keys_free(keys);
}

static int freed;

static void on_free(void *data) {
    CHECK(data == &freed);
    freed++;
}

static uint32_t nobody(void *data, roomcast_str token, uint64_t now_s, roomcast_claims *claims) {
    (void)data, (void)token, (void)now_s, (void)claims;
    return UINT32_MAX;
}

NULLS(roomcast_auth_new_native) {
    roomcast_auth *auth = NULL;
    (void)w;
    freed = 0;
    IS(INVALID_ARGUMENT, roomcast_auth_new_native(&freed, nobody, on_free, NULL));
    IS(INVALID_ARGUMENT, roomcast_auth_new_native(&freed, NULL, on_free, &auth));
    CHECK(!auth);
    EQ(0, freed);
    OK(roomcast_auth_new_native(&freed, nobody, on_free, &auth));
    roomcast_auth_free(auth);
    EQ(1, freed);
    OK(roomcast_auth_new_native(&freed, nobody, NULL, &auth));
    roomcast_auth_free(auth);
}

#define AUTH_TAKES(what)                                                                         \
    NULLS(roomcast_auth_set_##what) {                                                            \
        roomcast_auth *auth = some_auth();                                                       \
        (void)w;                                                                                 \
        IS(INVALID_ARGUMENT, roomcast_auth_set_##what(NULL, S("x")));                            \
        IS(INVALID_ARGUMENT, roomcast_auth_set_##what(auth, S("")));                             \
        EACH(bad, bad_texts, roomcast_str)                                                       \
            IS(INVALID_ARGUMENT, roomcast_auth_set_##what(auth, *bad));                          \
        OK(roomcast_auth_set_##what(auth, S("\xc3\xa4 \r\n")));                                  \
        roomcast_auth_free(auth);                                                                \
    }
AUTH_TAKES(header)
AUTH_TAKES(query)
AUTH_TAKES(cookie)
AUTH_TAKES(message)
AUTH_TAKES(notice)

NULLS(roomcast_auth_set_optional) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_auth_set_optional(NULL, true));
}

NULLS(roomcast_config_set_auth) {
    roomcast_auth *auth = some_auth();
    IS(INVALID_ARGUMENT, roomcast_config_set_auth(NULL, auth));
    IS(INVALID_ARGUMENT, roomcast_config_set_auth(w->config, NULL));
    roomcast_auth_free(auth);
}

NULLS(roomcast_engine_reload_auth) {
    roomcast_auth *auth = some_auth();
    IS(INVALID_ARGUMENT, roomcast_engine_reload_auth(NULL, auth));
    IS(INVALID_ARGUMENT, roomcast_engine_reload_auth(w->engine, NULL));
    IS(CONFIG, roomcast_engine_reload_auth(w->engine, auth));
    roomcast_auth_free(auth);
}

NULLS(roomcast_connection_refresh) {
    IS(INVALID_ARGUMENT, roomcast_connection_refresh(NULL, w->connection, S("x")));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_connection_refresh(w->engine, w->connection, *bad));
    EACH(id, stale_ids, uint64_t) IS(GONE, roomcast_connection_refresh(w->engine, *id, S("x")));
    IS(CONFIG, roomcast_connection_refresh(w->engine, w->connection, S("")));
}

NULLS(roomcast_connection_refresh_claims) {
    roomcast_claims *claims = NULL;
    OK(roomcast_claims_new(&claims));
    IS(INVALID_ARGUMENT, roomcast_connection_refresh_claims(NULL, w->connection, claims));
    IS(INVALID_ARGUMENT, roomcast_connection_refresh_claims(w->engine, w->connection, NULL));
    EACH(id, stale_ids, uint64_t)
        IS(GONE, roomcast_connection_refresh_claims(w->engine, *id, claims));
    OK(roomcast_connection_refresh_claims(w->engine, w->connection, claims));
    roomcast_claims_free(claims);
}

NULLS(roomcast_connection_revoke) {
    IS(INVALID_ARGUMENT, roomcast_connection_revoke(NULL, w->connection));
    EACH(id, stale_ids, uint64_t) IS(GONE, roomcast_connection_revoke(w->engine, *id));
}

NULLS(roomcast_user_revoke) {
    IS(INVALID_ARGUMENT, roomcast_user_revoke(NULL, S("x")));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_user_revoke(w->engine, *bad));
    OK(roomcast_user_revoke(w->engine, S("")));
}

NULLS(roomcast_token_revoke) {
    IS(INVALID_ARGUMENT, roomcast_token_revoke(NULL, S("x")));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_token_revoke(w->engine, *bad));
    OK(roomcast_token_revoke(w->engine, S("")));
}

static roomcast_tls *some_tls(void) {
    roomcast_tls *tls = NULL;
    OK(roomcast_tls_new(&tls));
    return tls;
}

NULLS(roomcast_tls_new) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_tls_new(NULL));
}

NULLS(roomcast_tls_add_pair) {
    struct edge_certificate good = edge_certificate_new("a.example");
    roomcast_tls *tls = some_tls();
    char why[4] = "";
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_tls_add_pair(NULL, B(good.pem), B(good.key), NULL, 0));
    EACH(bad, bad_bytes, roomcast_bytes) {
        IS(INVALID_ARGUMENT, roomcast_tls_add_pair(tls, *bad, B(good.key), NULL, 0));
        IS(INVALID_ARGUMENT, roomcast_tls_add_pair(tls, B(good.pem), *bad, NULL, 0));
    }
    IS(CERTIFICATE, roomcast_tls_add_pair(tls, B("\xff"), B("\xff"), why, sizeof why));
    EQ(3, strlen(why));
    IS(CERTIFICATE, roomcast_tls_add_pair(tls, B(good.pem), roomcast_bytes_of(NULL, 0), NULL, 9));
    OK(roomcast_tls_add_pair(tls, B(good.pem), B(good.key), NULL, 0));
    roomcast_tls_free(tls);
    edge_certificate_free(&good);
}

NULLS(roomcast_tls_add_files) {
    roomcast_tls *tls = some_tls();
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_tls_add_files(NULL, S("x"), S("x"), NULL, 0));
    EACH(bad, bad_texts, roomcast_str) {
        IS(INVALID_ARGUMENT, roomcast_tls_add_files(tls, *bad, S("x"), NULL, 0));
        IS(INVALID_ARGUMENT, roomcast_tls_add_files(tls, S("x"), *bad, NULL, 0));
    }
    IS(IO, roomcast_tls_add_files(tls, S(""), S(""), NULL, SIZE_MAX));
    IS(IO, roomcast_tls_add_files(tls, S("/"), S("/"), NULL, 0));
    roomcast_tls_free(tls);
}

NULLS(roomcast_tls_set_tls13_only) {
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_tls_set_tls13_only(NULL, true));
}

NULLS(roomcast_config_set_tls) {
    roomcast_tls *tls = some_tls();
    roomcast_config *config = host_config();
    IS(INVALID_ARGUMENT, roomcast_config_set_tls(NULL, tls));
    IS(INVALID_ARGUMENT, roomcast_config_set_tls(w->config, NULL));
    OK(roomcast_config_set_tls(config, tls));
    IS(CONFIG, roomcast_config_check(config, NULL, 0));
    roomcast_config_free(config);
    roomcast_tls_free(tls);
}

NULLS(roomcast_engine_reload_tls) {
    roomcast_tls *tls = some_tls();
    char why[64] = "left";
    IS(INVALID_ARGUMENT, roomcast_engine_reload_tls(NULL, tls, why, sizeof why));
    IS(INVALID_ARGUMENT, roomcast_engine_reload_tls(w->engine, NULL, why, sizeof why));
    TEXT("left", S(why));
    IS(CONFIG, roomcast_engine_reload_tls(w->engine, tls, why, sizeof why));
    CHECK(strcmp(why, "left") != 0);
    IS(CONFIG, roomcast_engine_reload_tls(w->engine, tls, NULL, 9));
    roomcast_tls_free(tls);
}

NULLS(roomcast_connection_request_join) {
    roomcast_join join = {0};
#define REQUEST(id, room, how) roomcast_connection_request_join(w->engine, id, room, how)
    IS(INVALID_ARGUMENT, roomcast_connection_request_join(NULL, w->connection, S("r"), NULL));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, REQUEST(w->connection, *bad, NULL));
    IS(INVALID_ARGUMENT, REQUEST(w->connection, S("r"), &join));
    join.struct_size = sizeof join;
    join.slow_policy = 99;
    IS(INVALID_ARGUMENT, REQUEST(w->connection, S("r"), &join));
    IS(ROOM_NAME, REQUEST(w->connection, S(""), NULL));
    EACH(id, stale_ids, uint64_t) IS(GONE, REQUEST(*id, S("r"), NULL));
}

NULLS(roomcast_connection_request_publish) {
    const roomcast_str rooms[] = {S("r"), S("s")};
    roomcast_publication what = {0};
#define PUBLISH(id) roomcast_connection_request_publish(w->engine, id, &what)
    IS(INVALID_ARGUMENT, PUBLISH(w->connection));
    what.struct_size = sizeof what;
    what.kind = TEXT_KIND;
    what.rooms = rooms;
    IS(INVALID_ARGUMENT, roomcast_connection_request_publish(NULL, w->connection, &what));
    IS(INVALID_ARGUMENT, roomcast_connection_request_publish(w->engine, w->connection, NULL));
    IS(INVALID_ARGUMENT, PUBLISH(w->connection));
    what.room_count = 2;
    IS(INVALID_ARGUMENT, PUBLISH(w->connection));
    what.room_count = 1;
    EACH(id, stale_ids, uint64_t) IS(GONE, PUBLISH(*id));
    EACH(bad, bad_enums, uint32_t) {
        what.kind = *bad;
        IS(INVALID_ARGUMENT, PUBLISH(w->connection));
    }
    what.kind = TEXT_KIND;
    EACH(bad, bad_texts, roomcast_str) {
        what.rooms = bad;
        IS(INVALID_ARGUMENT, PUBLISH(w->connection));
    }
}

/* The wish of the peer that is there, in an event that is to be given back. */
static roomcast_event wanted(struct world *w) {
    roomcast_event event;
    size_t count = 0;
    OK(roomcast_connection_request_join(w->engine, w->connection, S("wanted"), NULL));
    for (;;) {
        OK(roomcast_engine_wait(w->engine, -1, sizeof event, 1, &event, &count));
        if (event.kind == ROOMCAST_EVENT_PERMISSION) return event;
        roomcast_events_free(sizeof event, 1, &event);
    }
}

NULLS(roomcast_wish_allow) {
    roomcast_event event = wanted(w);
    IS(INVALID_ARGUMENT, roomcast_wish_allow(NULL));
    OK(roomcast_wish_allow(event.wish));
    IS(ANSWERED, roomcast_wish_allow(event.wish));
    roomcast_events_free(sizeof event, 1, &event);
}

NULLS(roomcast_wish_deny) {
    roomcast_event event = wanted(w);
    IS(INVALID_ARGUMENT, roomcast_wish_deny(NULL));
    OK(roomcast_wish_deny(event.wish));
    IS(ANSWERED, roomcast_wish_deny(event.wish));
    roomcast_events_free(sizeof event, 1, &event);
}

NULLS(roomcast_wish_keep) {
    roomcast_event event = wanted(w);
    PLACE(roomcast_wish *, kept);
    IS(INVALID_ARGUMENT, roomcast_wish_keep(NULL, &kept));
    IS(INVALID_ARGUMENT, roomcast_wish_keep(event.wish, NULL));
    UNTOUCHED(kept);
    OK(roomcast_wish_keep(event.wish, &kept));
    roomcast_events_free(sizeof event, 1, &event);
    roomcast_wish_free(kept);
}

NULLS(roomcast_wish_connection) {
    (void)w;
    EQ(0, roomcast_wish_connection(NULL));
}

NULLS(roomcast_wish_verb) {
    (void)w;
    EQ(0, roomcast_wish_verb(NULL));
}

NULLS(roomcast_wish_room) {
    (void)w;
    TEXT(NULL, roomcast_wish_room(NULL));
}

NULLS(roomcast_engine_presence) {
    PLACE(roomcast_presence, presence);
    IS(INVALID_ARGUMENT, roomcast_engine_presence(NULL, S("r"), &presence));
    IS(INVALID_ARGUMENT, roomcast_engine_presence(w->engine, S("r"), NULL));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_engine_presence(w->engine, *bad, &presence));
    UNTOUCHED(presence);
    OK(roomcast_engine_presence(w->engine, S(""), &presence));
    EQ(0, presence.members);
}

NULLS(roomcast_engine_present) {
    PLACE(roomcast_present *, present);
    IS(INVALID_ARGUMENT, roomcast_engine_present(NULL, S("r"), 0, 0, &present));
    IS(INVALID_ARGUMENT, roomcast_engine_present(w->engine, S("r"), 0, 0, NULL));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_engine_present(w->engine, *bad, 0, 0, &present));
    UNTOUCHED(present);
    OK(roomcast_engine_present(w->engine, S("lobby"), UINT64_MAX, SIZE_MAX, &present));
    EQ(0, roomcast_present_count(present));
    roomcast_present_free(present);
}

NULLS(roomcast_room_present) {
    PLACE(roomcast_present *, present);
    IS(INVALID_ARGUMENT, roomcast_room_present(NULL, w->room, 0, 0, &present));
    IS(INVALID_ARGUMENT, roomcast_room_present(w->engine, w->room, 0, 0, NULL));
    EACH(id, stale_ids, uint64_t)
        IS(GONE, roomcast_room_present(w->engine, *id, 0, 0, &present));
    UNTOUCHED(present);
}

NULLS(roomcast_present_count) {
    (void)w;
    EQ(0, roomcast_present_count(NULL));
}

NULLS(roomcast_present_next) {
    (void)w;
    EQ(0, roomcast_present_next(NULL));
}

NULLS(roomcast_present_at) {
    roomcast_present *present = NULL;
    PLACE(uint64_t, connection);
    PLACE(roomcast_str, user);
    PLACE(roomcast_str, info);
    IS(INVALID_ARGUMENT, roomcast_present_at(NULL, 0, &connection, &user, &info));
    OK(roomcast_engine_present(w->engine, S("lobby"), 0, 0, &present));
    IS(INVALID_ARGUMENT, roomcast_present_at(present, 0, &connection, &user, &info));
    IS(INVALID_ARGUMENT, roomcast_present_at(present, SIZE_MAX, NULL, NULL, NULL));
    UNTOUCHED(connection);
    UNTOUCHED(user);
    UNTOUCHED(info);
    roomcast_present_free(present);
}
