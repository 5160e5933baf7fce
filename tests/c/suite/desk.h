/* A host whose peers need tokens, with a key to make them. */
#ifndef DESK_H
#define DESK_H

#include "edge.h"
#include "host.h"

struct desk {
    struct host host;
    struct edge_key key;
};

/* Keys of one key, which a failure ends. */
roomcast_keys *keys_of(const struct edge_key *key, const char *id);
/* The same as the check of tokens, looked for where the default is. */
roomcast_auth *auth_of(const struct edge_key *key);

/* A key for HS256, and `host.config` for those who have its tokens. Then change it; then start. */
void desk_prepare(struct desk *desk);
/* Both. */
void desk_open(struct desk *desk);
void desk_free(struct desk *desk);

/* A token of these claims in JSON; to be freed. Quotes are written as `'`. */
char *desk_token(const struct desk *desk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `target` with such a token as the query's first value; in `text`. */
const char *with_token(char *text, size_t size, const char *target, const char *token);
/* A peer that has opened with a token of these claims; gives its id. */
uint64_t desk_join(struct desk *desk, struct ws *ws, const char *target, const char *claims);
/* The status of the answer to a request with this token (NULL for none) and these headers. */
int desk_status(const struct desk *desk, const char *token, const char *headers);

/* Seconds since 1970. */
uint64_t seconds_now(void);

#endif
