/* Tokens: who comes in by which, what they say, and what becomes of a connection when its token
 * expires, is renewed or revoked. */
#include "desk.h"

#define ADA "{'sub': 'ada'}"

/* What a hook has read on a thread of the engine's. */
struct read {
    char user[64], token_id[64], info[64];
    uint64_t expires_at, issued_at;
    bool may_join, may_publish, has_claims;
    int events;
};

static void read_claims(struct read *into, const roomcast_claims *claims) {
    into->has_claims = claims != NULL;
    text_copy(into->user, sizeof into->user, roomcast_claims_user(claims));
    text_copy(into->token_id, sizeof into->token_id, roomcast_claims_token_id(claims));
    text_copy(into->info, sizeof into->info, roomcast_claims_info(claims));
    into->expires_at = roomcast_claims_expires_at(claims);
    into->issued_at = roomcast_claims_issued_at(claims);
    into->may_join = roomcast_claims_may(claims, ROOMCAST_VERB_JOIN, S("team:7:plans"));
    into->may_publish = roomcast_claims_may(claims, ROOMCAST_VERB_PUBLISH, S("team:7:plans"));
}

/* Lets everybody in as nobody, so that the user is the token's, and reads each event's claims. */
static bool reads(struct host *host, const roomcast_engine *engine, const roomcast_event *event) {
    struct read *into = host->hook_data;
    pthread_mutex_lock(&host->lock);
    if (event->kind == ROOMCAST_EVENT_CONNECTING) {
        CHECK(!roomcast_event_claims(event));
        CHECK(!roomcast_event_may(event, ROOMCAST_VERB_JOIN, S("team:7:plans")));
        const roomcast_claims *claims = roomcast_request_claims(event->request);
        CHECK(claims == roomcast_request_claims(event->request));
        read_claims(into, claims);
        OK(roomcast_connection_accept(engine, event->connection, NULL));
    } else {
        struct read again = {0};
        const roomcast_claims *claims = roomcast_event_claims(event);
        CHECK(claims == roomcast_event_claims(event));
        read_claims(&again, claims);
        again.events = into->events;
        CHECK(memcmp(&again, into, sizeof again) == 0);
        EQ(again.may_join, roomcast_event_may(event, ROOMCAST_VERB_JOIN, S("team:7:plans")));
    }
    COUNT_UP(into->events);
    pthread_mutex_unlock(&host->lock);
    return false;
}

TEST(what_a_token_says_is_read_of_request_and_event, PLAIN, 20) {
    struct desk desk;
    struct read read = {0};
    struct ws ws;
    desk_prepare(&desk);
    desk.host.hook = reads;
    desk.host.hook_data = &read;
    host_start(&desk.host);
    desk_join(&desk, &ws, "/",
              "{'sub': 'ada', 'exp': 4102444800, 'iat': 1700000000, 'jti': 't1',"
              " 'info': {'name':'Ada'}, 'rooms': {'team:7:*': 'join'}}");
    ws_say(&ws, "hello");
    TEXT("ada", S(host_wait(&desk.host, ROOMCAST_EVENT_MESSAGE, 0, 0).user));
    TEXT("ada", S(read.user));
    TEXT("t1", S(read.token_id));
    TEXT("{\"name\":\"Ada\"}", S(read.info));
    EQ(4102444805, read.expires_at);
    EQ(1700000000, read.issued_at);
    CHECK(read.may_join && !read.may_publish);
    ws_free(&ws);
    host_wait(&desk.host, ROOMCAST_EVENT_CLOSED, 0, 0);
    EQ(4, LOAD(read.events));
    desk_free(&desk);
}

TEST(each_algorithm_opens_with_its_own_tokens_alone, PLAIN, 60) {
    for (uint32_t a = ROOMCAST_ALGORITHM_HS256; a <= ROOMCAST_ALGORITHM_EDDSA; a++) {
        struct host host;
        struct desk desk = {0};
        desk.key = edge_key_new(a);
        struct edge_key other = edge_key_new(a);
        roomcast_auth *auth = auth_of(&desk.key);
        host_prepare(&host);
        OK(roomcast_config_set_auth(host.config, auth));
        roomcast_auth_free(auth);
        host_start(&host);
        desk.host.port = host.port;
        char *good = edge_token(&desk.key, NULL, "{\"sub\": \"ada\"}");
        char *bad = edge_token(&other, NULL, "{\"sub\": \"ada\"}");
        EQ(101, desk_status(&desk, good, NULL));
        EQ(401, desk_status(&desk, bad, NULL));
        good[strlen(good) - 3] ^= 1;
        EQ(401, desk_status(&desk, good, NULL));
        free(good);
        free(bad);
        edge_key_free(&other);
        edge_key_free(&desk.key);
        host_free(&host);
    }
}

/* A request with a token of this key, checked by these keys. */
static int status_by(roomcast_keys *keys, const struct edge_key *key, const char *id,
                     const char *claims) {
    roomcast_auth *auth = NULL;
    struct desk desk = {0};
    OK(roomcast_auth_new(keys, &auth));
    host_prepare(&desk.host);
    OK(roomcast_config_set_auth(desk.host.config, auth));
    roomcast_auth_free(auth);
    host_start(&desk.host);
    char *token = edge_token(key, id, claims);
    int status = desk_status(&desk, token, NULL);
    free(token);
    host_free(&desk.host);
    return status;
}

TEST(keys_have_ids_and_come_in_sets, PLAIN, 60) {
    struct edge_key one = edge_key_new(ROOMCAST_ALGORITHM_EDDSA);
    struct edge_key two = edge_key_new(ROOMCAST_ALGORITHM_HS256);
    char why[256] = "", *set = edge_jwks(&one, "k1");
    roomcast_keys *keys = keys_of(&two, "k2");
    OK(roomcast_keys_add_jwks(keys, S(set), why, sizeof why));
    EQ(101, status_by(keys, &one, "k1", "{}"));
    EQ(401, status_by(keys, &one, "k2", "{}"));
    EQ(101, status_by(keys, &two, "k2", "{}"));
    EQ(101, status_by(keys, &two, NULL, "{}"));
    EQ(401, status_by(keys, &two, "k3", "{}"));
    free(set);
    roomcast_keys_free(keys);
    edge_key_free(&one);
    edge_key_free(&two);
}

TEST(issuer_audience_and_leeway_are_asked_for, PLAIN, 60) {
    struct edge_key key = edge_key_new(ROOMCAST_ALGORITHM_HS256);
    char claims[128];
    roomcast_keys *keys = keys_of(&key, NULL);
    EQ(401, status_by(keys, &key, NULL, "{\"aud\": \"board\"}"));
    OK(roomcast_keys_add_issuer(keys, S("https://a.example")));
    OK(roomcast_keys_add_issuer(keys, S("https://b.example")));
    OK(roomcast_keys_add_audience(keys, S("board")));
    EQ(101, status_by(keys, &key, NULL, "{\"aud\": \"board\", \"iss\": \"https://b.example\"}"));
    EQ(401, status_by(keys, &key, NULL, "{\"aud\": \"board\", \"iss\": \"https://c.example\"}"));
    EQ(401, status_by(keys, &key, NULL, "{\"aud\": \"wall\", \"iss\": \"https://a.example\"}"));
    EQ(401, status_by(keys, &key, NULL, "{\"iss\": \"https://a.example\"}"));
    roomcast_keys_free(keys);
    keys = keys_of(&key, NULL);
    snprintf(claims, sizeof claims, "{\"exp\": %llu}", (unsigned long long)seconds_now() - 60);
    EQ(401, status_by(keys, &key, NULL, claims));
    OK(roomcast_keys_set_leeway(keys, 600));
    EQ(101, status_by(keys, &key, NULL, claims));
    roomcast_keys_free(keys);
    edge_key_free(&key);
}

TEST(a_key_that_cannot_be_used_says_why, PLAIN, 20) {
    static const struct {
        uint32_t algorithm;
        const char *id, *key, *why;
    } bad[] = {
        {ROOMCAST_ALGORITHM_HS256, NULL, "short", "HS256"},
        {ROOMCAST_ALGORITHM_RS256, NULL, "no PEM", "RS256"},
        {ROOMCAST_ALGORITHM_ES256, NULL, "-----BEGIN PUBLIC KEY-----\n", "ES256"},
        {ROOMCAST_ALGORITHM_EDDSA, NULL, "", "EdDSA"},
    };
    struct edge_key ec = edge_key_new(ROOMCAST_ALGORITHM_ES256);
    roomcast_keys *keys = NULL;
    char why[256] = "", id[300];
    OK(roomcast_keys_new(&keys));
    for (size_t i = 0; i < LENGTH(bad); i++) {
        IS(TOKEN_KEY, roomcast_keys_add(keys, bad[i].algorithm, S(bad[i].id), B(bad[i].key), why,
                                        sizeof why));
        HAS(bad[i].why, why);
    }
    IS(TOKEN_KEY, roomcast_keys_add(keys, ROOMCAST_ALGORITHM_RS256, S(""), B(ec.text), why,
                                    sizeof why));
    memset(id, 'i', sizeof id);
    id[sizeof id - 1] = 0;
    IS(TOKEN_KEY, roomcast_keys_add(keys, ec.algorithm, S(id), B(ec.text), why, sizeof why));
    HAS("255", why);
    IS(TOKEN_KEY, roomcast_keys_add_jwks(keys, S("{\"keys\": []}"), why, sizeof why));
    HAS("JWK Set", why);
    /* None of these was added. */
    EQ(401, status_by(keys, &ec, NULL, "{}"));
    roomcast_keys_free(keys);
    edge_key_free(&ec);
}

TEST(without_a_valid_token_nobody_is_heard_of, PLAIN, 20) {
    struct desk desk;
    char header[3000];
    desk_open(&desk);
    char *good = desk_token(&desk, ADA);
    char *old = desk_token(&desk, "{'exp': %llu}", (unsigned long long)seconds_now() - 60);
    EQ(401, desk_status(&desk, NULL, NULL));
    EQ(401, desk_status(&desk, "", NULL));
    EQ(401, desk_status(&desk, "a.b.c", NULL));
    EQ(401, desk_status(&desk, old, NULL));
    EQ(0, host_count(&desk.host, ROOMCAST_EVENT_CONNECTING, 0));
    EQ(101, desk_status(&desk, good, NULL));
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", good);
    EQ(101, desk_status(&desk, NULL, header));
    roomcast_snapshot figures = host_figures(&desk.host);
    EQ(4, figures.rejected_token);
    EQ(3, figures.tokens_refused);
    EQ(2, figures.tokens_accepted);
    free(good);
    free(old);
    desk_free(&desk);
}

TEST(tokens_are_looked_for_where_the_host_says, PLAIN, 20) {
    struct desk desk;
    char header[3000];
    host_prepare(&desk.host);
    desk.key = edge_key_new(ROOMCAST_ALGORITHM_HS256);
    roomcast_auth *auth = auth_of(&desk.key);
    OK(roomcast_auth_set_header(auth, S("X-Token")));
    OK(roomcast_auth_set_cookie(auth, S("sid")));
    OK(roomcast_auth_set_query(auth, S("key")));
    OK(roomcast_auth_set_optional(auth, true));
    OK(roomcast_config_set_auth(desk.host.config, auth));
    roomcast_auth_free(auth);
    host_start(&desk.host);
    char *good = desk_token(&desk, ADA);
    /* Who has none comes in as nobody, and this one's is not where it is looked for. */
    EQ(101, desk_status(&desk, good, NULL));
    TEXT("", S(host_wait(&desk.host, ROOMCAST_EVENT_OPENED, 0, 0).user));
    snprintf(header, sizeof header, "X-Token: %s\r\n", good);
    EQ(101, desk_status(&desk, NULL, header));
    TEXT("ada", S(host_wait(&desk.host, ROOMCAST_EVENT_OPENED, 0, 1).user));
    snprintf(header, sizeof header, "Cookie: sid=%s\r\n", good);
    EQ(101, desk_status(&desk, NULL, header));
    TEXT("ada", S(host_wait(&desk.host, ROOMCAST_EVENT_OPENED, 0, 2).user));
    EQ(401, desk_status(&desk, NULL, "Cookie: sid=x\r\n"));
    free(good);
    desk_free(&desk);
}

/* ---- Tokens of the host's own kind ---- */

struct own {
    int asked, freed;
};

static void on_free(void *data) {
    struct own *own = data;
    EQ(1, COUNT_UP(own->freed));
}

/* "ada" is valid, "old" was; others are not. */
static uint32_t verify(void *user_data, roomcast_str token, uint64_t now_s,
                       roomcast_claims *claims) {
    struct own *own = user_data;
    COUNT_UP(own->asked);
    CHECK(now_s >= 1700000000);
    if (text_is(token, "old")) return ROOMCAST_STATUS_TOKEN_EXPIRED;
    if (!text_is(token, "ada")) return 4711;
    OK(roomcast_claims_set_user(claims, token));
    OK(roomcast_claims_set_expires_at(claims, now_s + 1000));
    OK(roomcast_claims_set_issued_at(claims, now_s));
    OK(roomcast_claims_set_token_id(claims, S("its id")));
    OK(roomcast_claims_set_info(claims, S("7")));
    OK(roomcast_claims_allow(claims, S("team:7:*"), 1u << ROOMCAST_VERB_JOIN));
    return ROOMCAST_STATUS_OK;
}

static roomcast_auth *own_auth(struct own *own) {
    roomcast_auth *auth = NULL;
    OK(roomcast_auth_new_native(own, verify, on_free, &auth));
    return auth;
}

TEST(tokens_of_the_hosts_own_kind_are_checked_by_its_function, PLAIN, 20) {
    struct desk desk = {0};
    struct own own = {0};
    struct read read = {0};
    struct ws ws;
    roomcast_auth *auth = own_auth(&own);
    host_prepare(&desk.host);
    desk.host.hook = reads;
    desk.host.hook_data = &read;
    OK(roomcast_config_set_auth(desk.host.config, auth));
    roomcast_auth_free(auth);
    host_start(&desk.host);
    EQ(401, desk_status(&desk, "bob", NULL));
    EQ(401, desk_status(&desk, "old", NULL));
    uint64_t id = host_join(&desk.host, &ws, "/?token=ada");
    ws_say(&ws, "hello");
    TEXT("ada", S(host_wait(&desk.host, ROOMCAST_EVENT_MESSAGE, 0, 0).user));
    TEXT("its id", S(read.token_id));
    TEXT("7", S(read.info));
    EQ(read.issued_at + 1000, read.expires_at);
    CHECK(read.may_join && !read.may_publish);
    IS(TOKEN_EXPIRED, roomcast_connection_refresh(desk.host.engine, id, S("old")));
    IS(TOKEN, roomcast_connection_refresh(desk.host.engine, id, S("bob")));
    EQ(5, LOAD(own.asked));
    EQ(0, LOAD(own.freed));
    ws_free(&ws);
    host_free(&desk.host);
    EQ(1, own.freed);
}

TEST(the_data_of_a_check_goes_when_another_takes_its_place, PLAIN, 20) {
    struct desk desk = {0};
    struct own own = {0}, next = {0};
    roomcast_auth *auth = own_auth(&own);
    host_prepare(&desk.host);
    OK(roomcast_config_set_auth(desk.host.config, auth));
    host_start(&desk.host);
    roomcast_auth_free(auth);
    EQ(101, desk_status(&desk, "ada", NULL));
    auth = own_auth(&next);
    OK(roomcast_engine_reload_auth(desk.host.engine, auth));
    roomcast_auth_free(auth);
    EQ(101, desk_status(&desk, "ada", NULL));
    EQ(1, LOAD(own.asked));
    EQ(1, LOAD(next.asked));
    EQ(0, LOAD(next.freed));
    host_free(&desk.host);
    EQ(1, own.freed);
    EQ(1, next.freed);
}

/* ---- The life of a token ---- */

TEST(an_expiring_token_is_told_renewed_and_at_its_end_ends_the_connection, PLAIN, 60) {
    struct desk desk;
    struct ws ws;
    host_prepare(&desk.host);
    desk.key = edge_key_new(ROOMCAST_ALGORITHM_HS256);
    roomcast_keys *keys = keys_of(&desk.key, NULL);
    roomcast_auth *auth = NULL;
    OK(roomcast_keys_set_leeway(keys, 0));
    OK(roomcast_auth_new(keys, &auth));
    OK(roomcast_auth_set_query(auth, S("token")));
    OK(roomcast_auth_set_notice(auth, S("renew")));
    OK(roomcast_config_set_auth(desk.host.config, auth));
    OK(roomcast_config_set_limit(desk.host.config, ROOMCAST_LIMIT_TOKEN_NOTICE_MS, 60000));
    roomcast_keys_free(keys);
    roomcast_auth_free(auth);
    host_start(&desk.host);
    char claims[128];
    unsigned long long now = (unsigned long long)seconds_now();
    snprintf(claims, sizeof claims, "{'sub': 'ada', 'exp': %llu}", now + 50);
    uint64_t id = desk_join(&desk, &ws, "/", claims);
    ws_expect(&ws, "renew");
    TEXT("ada", S(host_wait(&desk.host, ROOMCAST_EVENT_EXPIRING, id, 0).user));
    char *other = desk_token(&desk, "{'sub': 'bob'}"), *old = desk_token(&desk, "{'exp': 1}");
    char *brief = desk_token(&desk, "{'sub': 'ada', 'exp': %llu}",
                             (unsigned long long)seconds_now() + (suite_slow() > 1 ? 8 : 3));
    IS(TOKEN_EXPIRED, roomcast_connection_refresh(desk.host.engine, id, S(old)));
    IS(TOKEN, roomcast_connection_refresh(desk.host.engine, id, S("a.b.c")));
    OK(roomcast_connection_refresh(desk.host.engine, id, S(brief)));
    /* Of another user: accepted by the call, refused by the connection's shard. */
    OK(roomcast_connection_refresh(desk.host.engine, id, S(other)));
    ws_expect(&ws, "renew");
    EQ(4003, ws_expect_end(&ws));
    ws_free(&ws);
    struct seen closed = host_wait(&desk.host, ROOMCAST_EVENT_CLOSED, id, 0);
    EQ(ROOMCAST_CLOSE_REASON_TOKEN_EXPIRED, closed.reason);
    EQ(4003, closed.code);
    EQ(2, host_count(&desk.host, ROOMCAST_EVENT_EXPIRING, id));
    EQ(1, host_figures(&desk.host).closed[ROOMCAST_CLOSE_REASON_TOKEN_EXPIRED]);
    IS(GONE, roomcast_connection_refresh(desk.host.engine, id, S(other)));
    free(other);
    free(old);
    free(brief);
    desk_free(&desk);
}

TEST(a_first_message_may_be_the_token_and_a_later_one_a_new_one, PLAIN, 20) {
    struct desk desk;
    struct ws ws;
    char text[3000];
    host_prepare(&desk.host);
    desk.key = edge_key_new(ROOMCAST_ALGORITHM_HS256);
    roomcast_auth *auth = auth_of(&desk.key);
    OK(roomcast_auth_set_message(auth, S("token ")));
    OK(roomcast_config_set_auth(desk.host.config, auth));
    roomcast_auth_free(auth);
    host_start(&desk.host);
    char *good = desk_token(&desk, ADA);
    snprintf(text, sizeof text, "token %s", good);
    ws_open(&ws, desk.host.port, "/");
    ws_say(&ws, text);
    uint64_t id = host_wait(&desk.host, ROOMCAST_EVENT_OPENED, 0, 0).connection;
    ws_say(&ws, "word");
    ws_say(&ws, text);
    ws_say(&ws, "token nonsense");
    EQ(4401, ws_expect_end(&ws));
    ws_free(&ws);
    struct seen closed = host_wait(&desk.host, ROOMCAST_EVENT_CLOSED, id, 0);
    EQ(ROOMCAST_CLOSE_REASON_UNAUTHORIZED, closed.reason);
    EQ(4401, closed.code);
    EQ(1, host_count(&desk.host, ROOMCAST_EVENT_MESSAGE, id));
    ws_open(&ws, desk.host.port, "/");
    ws_say(&ws, "hello");
    EQ(4401, ws_expect_end(&ws));
    ws_free(&ws);
    EQ(1, host_count(&desk.host, ROOMCAST_EVENT_CONNECTING, 0));
    free(good);
    desk_free(&desk);
}

TEST(revoked_are_a_connection_a_user_and_a_token, PLAIN, 20) {
    struct desk desk;
    struct ws peers[4];
    uint64_t ids[4];
    desk_open(&desk);
    static const char *const tokens[] = {
        "{'sub': 'ada', 'jti': '1'}", "{'sub': 'ada', 'jti': '2'}", "{'sub': 'bob', 'jti': '3'}",
        "{'sub': 'cid', 'jti': '4'}"};
    for (int i = 0; i < 4; i++) ids[i] = desk_join(&desk, &peers[i], "/", tokens[i]);
    OK(roomcast_connection_revoke(desk.host.engine, ids[0]));
    EQ(4004, ws_expect_end(&peers[0]));
    struct seen closed = host_wait(&desk.host, ROOMCAST_EVENT_CLOSED, ids[0], 0);
    EQ(ROOMCAST_CLOSE_REASON_REVOKED, closed.reason);
    IS(GONE, roomcast_connection_revoke(desk.host.engine, ids[0]));
    char *again = desk_token(&desk, "%s", tokens[0]);
    EQ(101, desk_status(&desk, again, NULL));
    OK(roomcast_user_revoke(desk.host.engine, S("ada")));
    EQ(4004, ws_expect_end(&peers[1]));
    EQ(401, desk_status(&desk, again, NULL));
    IS(TOKEN_REVOKED, roomcast_connection_refresh(desk.host.engine, ids[2], S(again)));
    OK(roomcast_token_revoke(desk.host.engine, S("3")));
    EQ(4004, ws_expect_end(&peers[2]));
    char *third = desk_token(&desk, "%s", tokens[2]), *other = desk_token(&desk, "{'sub': 'bob'}");
    EQ(401, desk_status(&desk, third, NULL));
    EQ(101, desk_status(&desk, other, NULL));
    CHECK(roomcast_connection_is_open(desk.host.engine, ids[3]));
    for (int i = 0; i < 4; i++) ws_free(&peers[i]);
    free(again);
    free(third);
    free(other);
    desk_free(&desk);
}

TEST(other_keys_hold_from_now_on, PLAIN, 20) {
    struct desk desk;
    struct edge_key next = edge_key_new(ROOMCAST_ALGORITHM_ES256);
    struct ws ws;
    desk_open(&desk);
    uint64_t id = desk_join(&desk, &ws, "/r", ADA);
    char *old = desk_token(&desk, ADA), *fresh = edge_token(&next, NULL, "{\"sub\": \"ada\"}");
    EQ(401, desk_status(&desk, fresh, NULL));
    roomcast_auth *auth = auth_of(&next);
    OK(roomcast_engine_reload_auth(desk.host.engine, auth));
    EQ(101, desk_status(&desk, fresh, NULL));
    EQ(401, desk_status(&desk, old, NULL));
    OK(roomcast_engine_publish(desk.host.engine, S("r"), TEXT_KIND, B("still here"), NULL));
    ws_expect(&ws, "still here");
    OK(roomcast_connection_refresh(desk.host.engine, id, S(fresh)));
    ws_free(&ws);
    /* Where no tokens are asked for there is nothing to replace, and nothing to renew. */
    roomcast_config *config = host_config();
    roomcast_engine *other = engine_of(config);
    IS(CONFIG, roomcast_engine_reload_auth(other, auth));
    roomcast_config_free(config);
    roomcast_engine_free(other);
    roomcast_auth_free(auth);
    free(old);
    free(fresh);
    edge_key_free(&next);
    desk_free(&desk);
}

/* ---- Claims of the host's own ---- */

/* Accepts with claims that end soon, and may join in "open". */
static bool claims_itself(struct host *host, const roomcast_engine *engine,
                          const roomcast_event *event) {
    if (event->kind != ROOMCAST_EVENT_CONNECTING) {
        CHECK(roomcast_event_may(event, ROOMCAST_VERB_JOIN, S("open")));
        CHECK(!roomcast_event_may(event, ROOMCAST_VERB_PUBLISH, S("open")));
        return false;
    }
    (void)host;
    roomcast_claims *claims = NULL;
    roomcast_accept accept = {0};
    OK(roomcast_claims_new(&claims));
    OK(roomcast_claims_set_user(claims, S("ada")));
    OK(roomcast_claims_set_expires_at(claims, seconds_now() + 2));
    OK(roomcast_claims_allow(claims, S("open"), 1u << ROOMCAST_VERB_JOIN));
    accept.struct_size = sizeof accept;
    accept.claims = claims;
    OK(roomcast_connection_accept(engine, event->connection, &accept));
    OK(roomcast_claims_allow(claims, S("open"), 1u << ROOMCAST_VERB_PUBLISH));
    roomcast_claims_free(claims);
    return false;
}

TEST(an_accept_may_bring_claims, PLAIN, 20) {
    struct host host;
    struct ws ws;
    host_prepare(&host);
    host.hook = claims_itself;
    host_start(&host);
    uint64_t id = host_join(&host, &ws, "/");
    TEXT("ada", S(host_wait(&host, ROOMCAST_EVENT_OPENED, id, 0).user));
    /* Said anew, and then of another user, which changes nothing. */
    const uint64_t began = seconds_now();
    roomcast_claims *claims = NULL;
    OK(roomcast_claims_new(&claims));
    OK(roomcast_claims_set_user(claims, S("ada")));
    OK(roomcast_claims_set_expires_at(claims, began + 4));
    OK(roomcast_claims_allow(claims, S("open"), 1u << ROOMCAST_VERB_JOIN));
    OK(roomcast_connection_refresh_claims(host.engine, id, claims));
    OK(roomcast_claims_set_user(claims, S("bob")));
    OK(roomcast_claims_set_expires_at(claims, began + 1000));
    OK(roomcast_connection_refresh_claims(host.engine, id, claims));
    roomcast_claims_free(claims);
    EQ(4003, ws_expect_end(&ws));
    CHECK(seconds_now() >= began + 3);
    ws_free(&ws);
    host_wait(&host, ROOMCAST_EVENT_CLOSED, id, 0);
    IS(CONFIG, roomcast_connection_refresh(host.engine, host_join(&host, &ws, "/"), S("x")));
    ws_free(&ws);
    host_free(&host);
}

/* Claims of events that were taken are read as long as these are kept. */
TEST(a_taken_event_keeps_its_claims, PLAIN, 20) {
    struct edge_key key = edge_key_new(ROOMCAST_ALGORITHM_HS256);
    roomcast_auth *auth = auth_of(&key);
    roomcast_config *config = host_config();
    roomcast_event events[2];
    char target[3000];
    size_t count = 0;
    struct ws ws;
    OK(roomcast_config_set_auth(config, auth));
    roomcast_engine *engine = engine_of(config);
    roomcast_config_free(config);
    roomcast_auth_free(auth);
    char *token = edge_token(&key, NULL, "{\"sub\": \"ada\", \"rooms\": {\"r\": \"join\"}}");
    char request[4096];
    int fd = ws_tcp(port_of(engine));
    size_t len = ws_request(request, sizeof request,
                            with_token(target, sizeof target, "/", token), NULL);
    CHECK(write(fd, request, len) == (ssize_t)len);
    OK(roomcast_engine_wait(engine, -1, sizeof *events, 1, &events[0], &count));
    TEXT("ada", roomcast_claims_user(roomcast_request_claims(events[0].request)));
    OK(roomcast_connection_accept(engine, events[0].connection, NULL));
    OK(roomcast_engine_wait(engine, -1, sizeof *events, 1, &events[1], &count));
    EQ(ROOMCAST_EVENT_OPENED, events[1].kind);
    ws_answer(&ws, fd);
    roomcast_engine_free(engine);
    const roomcast_claims *claims = roomcast_event_claims(&events[1]);
    CHECK(claims && claims == roomcast_event_claims(&events[1]));
    TEXT("ada", roomcast_claims_user(claims));
    CHECK(roomcast_event_may(&events[1], ROOMCAST_VERB_JOIN, S("r")));
    CHECK(!roomcast_event_may(&events[1], ROOMCAST_VERB_JOIN, S("s")));
    CHECK(!roomcast_event_claims(&events[0]));
    roomcast_events_free(sizeof *events, 2, events);
    CHECK(!roomcast_event_claims(&events[1]));
    free(token);
    ws_free(&ws);
    edge_key_free(&key);
}

TEST(an_upgrade_needs_a_token_too, PLAIN, 20) {
    struct desk desk;
    roomcast_upgrade *upgrade = NULL;
    char target[3000];
    const roomcast_header headers[] = {
        {S("Host"), B("x")},
        {S("Connection"), B("upgrade")},
        {S("Upgrade"), B("websocket")},
        {S("Sec-WebSocket-Version"), B("13")},
        {S("Sec-WebSocket-Key"), B("dGhlIHNhbXBsZSBub25jZQ==")},
    };
    desk_open(&desk);
    OK(roomcast_upgrade_new(desk.host.engine, S("GET"), S("/"), headers, LENGTH(headers),
                            &upgrade));
    EQ(401, roomcast_upgrade_status(upgrade));
    CHECK(!roomcast_upgrade_claims(upgrade));
    roomcast_upgrade_free(upgrade);
    char *token = desk_token(&desk, ADA);
    with_token(target, sizeof target, "/", token);
    OK(roomcast_upgrade_new(desk.host.engine, S("GET"), S(target), headers, LENGTH(headers),
                            &upgrade));
    EQ(101, roomcast_upgrade_status(upgrade));
    TEXT("ada", roomcast_claims_user(roomcast_upgrade_claims(upgrade)));
    OK(roomcast_upgrade_accept(upgrade, NULL));
    TEXT("ada", roomcast_claims_user(roomcast_upgrade_claims(upgrade)));
    roomcast_upgrade_free(upgrade);
    free(token);
    desk_free(&desk);
}

TEST(guessers_are_not_looked_at_after_so_many_failures, PLAIN, 20) {
    struct desk desk;
    desk_prepare(&desk);
    OK(roomcast_config_set_limit(desk.host.config, ROOMCAST_LIMIT_TOKEN_FAILURES_MAX, 3));
    host_start(&desk.host);
    char *good = desk_token(&desk, ADA);
    int status = 401;
    /* A minute may end in between, and its count with it. */
    for (int i = 0; i < 8 && status == 401; i++) status = desk_status(&desk, "a.b.c", NULL);
    EQ(429, status);
    EQ(429, desk_status(&desk, good, NULL));
    CHECK(host_figures(&desk.host).rejected_guessing >= 2);
    free(good);
    desk_free(&desk);
}
