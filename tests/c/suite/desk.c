/* Tokens for tests; see desk.h. */
#include "desk.h"

#include <stdarg.h>
#include <time.h>

roomcast_keys *keys_of(const struct edge_key *key, const char *id) {
    roomcast_keys *keys = NULL;
    char why[256] = "";
    OK(roomcast_keys_new(&keys));
    roomcast_status status =
        roomcast_keys_add(keys, key->algorithm, S(id), B(key->text), why, sizeof why);
    if (status != ROOMCAST_STATUS_OK)
        suite_fail(__FILE__, __LINE__, "keys_add gives %d: %s", status, why);
    return keys;
}

roomcast_auth *auth_of(const struct edge_key *key) {
    roomcast_keys *keys = keys_of(key, NULL);
    roomcast_auth *auth = NULL;
    OK(roomcast_auth_new(keys, &auth));
    roomcast_keys_free(keys);
    return auth;
}

void desk_prepare(struct desk *desk) {
    host_prepare(&desk->host);
    desk->key = edge_key_new(ROOMCAST_ALGORITHM_HS256);
    roomcast_auth *auth = auth_of(&desk->key);
    OK(roomcast_config_set_auth(desk->host.config, auth));
    roomcast_auth_free(auth);
}

void desk_open(struct desk *desk) {
    desk_prepare(desk);
    host_start(&desk->host);
}

void desk_free(struct desk *desk) {
    host_free(&desk->host);
    edge_key_free(&desk->key);
}

char *desk_token(const struct desk *desk, const char *format, ...) {
    char claims[2048];
    va_list rest;
    va_start(rest, format);
    int len = vsnprintf(claims, sizeof claims, format, rest);
    va_end(rest);
    CHECK(len > 0 && (size_t)len < sizeof claims);
    for (char *c = claims; *c; c++)
        if (*c == '\'') *c = '"';
    return edge_token(&desk->key, NULL, claims);
}

const char *with_token(char *text, size_t size, const char *target, const char *token) {
    int len = snprintf(text, size, "%s?token=%s", target, token);
    CHECK(len > 0 && (size_t)len < size);
    return text;
}

uint64_t desk_join(struct desk *desk, struct ws *ws, const char *target, const char *claims) {
    char text[3000];
    char *token = desk_token(desk, "%s", claims);
    uint64_t id = host_join(&desk->host, ws, with_token(text, sizeof text, target, token));
    free(token);
    return id;
}

int desk_status(const struct desk *desk, const char *token, const char *headers) {
    char text[3000];
    struct ws ws;
    const char *target = token ? with_token(text, sizeof text, "/", token) : "/";
    ws_ask(&ws, ws_tcp(desk->host.port), target, headers);
    int status = ws.status;
    ws_free(&ws);
    return status;
}

uint64_t seconds_now(void) {
    return (uint64_t)time(NULL);
}
