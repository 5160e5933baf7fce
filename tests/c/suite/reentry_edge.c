/* The calls of the edge that every callback makes; see reentry.h. */
#include "reentry.h"

static uint32_t nobody(void *data, roomcast_str token, uint64_t now_s, roomcast_claims *claims) {
    (void)data, (void)token, (void)now_s;
    OK(roomcast_claims_set_user(claims, S("nobody")));
    return ROOMCAST_STATUS_TOKEN;
}

/* Fine, or refused for a reason that the engine, the connection or the token has. */
static void check_asked(roomcast_status status) {
    CHECK(status == ROOMCAST_STATUS_OK || status == ROOMCAST_STATUS_CONFIG ||
          status == ROOMCAST_STATUS_GONE || status == ROOMCAST_STATUS_STOPPED ||
          status == ROOMCAST_STATUS_TOKEN || status == ROOMCAST_STATUS_BEHIND);
}

static void make(void) {
    roomcast_claims *claims = NULL;
    roomcast_keys *keys = NULL;
    roomcast_auth *auth = NULL;
    roomcast_tls *tls = NULL;
    roomcast_config *config = host_config();
    char why[64];
    OK(roomcast_claims_new(&claims));
    OK(roomcast_claims_set_expires_at(claims, 7));
    OK(roomcast_claims_set_issued_at(claims, 7));
    OK(roomcast_claims_set_token_id(claims, S("t")));
    OK(roomcast_claims_set_info(claims, S("7")));
    OK(roomcast_claims_allow(claims, S("*"), 2));
    CHECK(roomcast_claims_may(claims, ROOMCAST_VERB_JOIN, S("r")));
    roomcast_claims_free(claims);
    OK(roomcast_keys_new(&keys));
    IS(TOKEN_KEY, roomcast_keys_add(keys, ROOMCAST_ALGORITHM_RS256, S(""), B("x"), why, 64));
    IS(TOKEN_KEY, roomcast_keys_add_jwks(keys, S("{}"), why, 64));
    OK(roomcast_keys_add_issuer(keys, S("i")));
    OK(roomcast_keys_add_audience(keys, S("a")));
    OK(roomcast_keys_set_leeway(keys, 7));
    OK(roomcast_auth_new(keys, &auth));
    OK(roomcast_auth_set_cookie(auth, S("c")));
    OK(roomcast_config_set_auth(config, auth));
    OK(roomcast_config_set_trusted_proxies(config, NULL, 0));
    OK(roomcast_config_set_forwarded_header(config, ROOMCAST_FORWARDED_HEADER_FORWARDED));
    OK(roomcast_tls_new(&tls));
    IS(CERTIFICATE, roomcast_tls_add_pair(tls, B("x"), B("x"), why, 64));
    OK(roomcast_tls_set_tls13_only(tls, true));
    OK(roomcast_config_set_tls(config, tls));
    roomcast_tls_free(tls);
    roomcast_auth_free(auth);
    roomcast_keys_free(keys);
    roomcast_config_free(config);
}

static void ask(const struct reentry *from) {
    const roomcast_engine *engine = from->engine;
    const roomcast_str room = S("r");
    roomcast_publication what = {0};
    what.struct_size = sizeof what;
    what.kind = TEXT_KIND;
    what.rooms = &room;
    what.room_count = 1;
    check_asked(roomcast_connection_request_join(engine, from->connection, S("extra"), NULL));
    check_asked(roomcast_connection_request_publish(engine, from->connection, &what));
    check_asked(roomcast_connection_refresh(engine, from->connection, S("x")));
    roomcast_claims *claims = NULL;
    OK(roomcast_claims_new(&claims));
    check_asked(roomcast_connection_refresh_claims(engine, from->connection, claims));
    roomcast_claims_free(claims);
    check_asked(roomcast_connection_revoke(engine, UINT64_MAX));
    check_asked(roomcast_user_revoke(engine, S("none")));
    check_asked(roomcast_token_revoke(engine, S("none")));
}

static void reload(const roomcast_engine *engine) {
    roomcast_auth *auth = NULL;
    roomcast_tls *tls = NULL;
    OK(roomcast_auth_new_native(NULL, nobody, NULL, &auth));
    check_asked(roomcast_engine_reload_auth(engine, auth));
    roomcast_auth_free(auth);
    OK(roomcast_tls_new(&tls));
    check_asked(roomcast_engine_reload_tls(engine, tls, NULL, 0));
    roomcast_tls_free(tls);
}

void reentry_edge(const struct reentry *from) {
    roomcast_presence presence;
    roomcast_present *present = NULL;
    make();
    roomcast_request_claims(from->request);
    roomcast_request_peer_ip(from->request);
    ask(from);
    OK(roomcast_engine_presence(from->engine, S("r"), &presence));
    OK(roomcast_engine_present(from->engine, S("r"), 0, 0, &present));
    EQ(0, roomcast_present_count(present));
    roomcast_present_free(present);
    reload(from->engine);
}
