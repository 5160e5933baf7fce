/* A host for tests: an engine told by a callback that writes down every event; what it does with
 * them is by default to let everybody in, into the room that the path names, as the user that
 * the query names. Events are recorded on the engine's threads and read on the test's. */
#ifndef HOST_H
#define HOST_H

#include "suite.h"
#include "ws.h"

/* A copy of an event, its texts ended by a zero. */
struct seen {
    uint32_t kind, message_kind;
    uint64_t connection;
    void *data;
    char user[64];
    char text[200];
    char path[200];
    char *message;
    size_t message_len;
    uint64_t missed, missed_first, missed_last;
    roomcast_delivery delivery;
    uint32_t reason, code;
    bool high, missed_replaced, has_user, has_text, has_delivery;
};

struct host {
    roomcast_config *config; /* until host_start */
    roomcast_engine *engine;
    uint16_t port;
    /* Called for each event before it is recorded, if set; true where it did all. */
    bool (*hook)(struct host *host, const roomcast_engine *engine, const roomcast_event *event);
    void *hook_data;
    pthread_mutex_t lock;
    struct seen *seen;
    size_t count, place;
};

/* A configuration on a free port: two shards, a short spread at the stop. */
roomcast_config *host_config(void);
/* The same for `host`, with its callback; then change host->config, then start. */
void host_prepare(struct host *host);
/* One that soon sees that a peer does not read. */
void host_prepare_slow(struct host *host);
void host_start(struct host *host);
/* Both. */
void host_open(struct host *host);
/* Frees the engine (unless it is NULL) and what was recorded. */
void host_free(struct host *host);

roomcast_engine *engine_of(const roomcast_config *config);
uint16_t port_of(const roomcast_engine *engine);

/* The callback; user data is the host. */
void host_on_event(void *user_data, const roomcast_engine *engine, const roomcast_event *event);
/* Accepts as the default does. */
roomcast_status host_accept(const roomcast_engine *engine, const roomcast_event *event);

/* How many events of a kind, of a connection or (0) of all, were recorded by now. */
size_t host_count(struct host *host, uint32_t kind, uint64_t connection);
/* Waits for the nth (from 0) event of a kind; the copy is the host's until host_free. */
struct seen host_wait(struct host *host, uint32_t kind, uint64_t connection, size_t nth);
/* A peer that has opened; gives its id. */
uint64_t host_join(struct host *host, struct ws *ws, const char *target);

/* What the engine says of itself now. */
roomcast_snapshot host_figures(const struct host *host);

/* A filter of its text; one that is none fails the test. */
roomcast_filter *filter_of(const char *text);
/* With this filter, or for NULL with nothing said. */
roomcast_join join_of(const roomcast_filter *filter);

bool text_is(roomcast_str text, const char *wanted);
/* A zero-ended copy, cut to its place. */
void text_copy(char *into, size_t size, roomcast_str text);

struct seen *seen_new(const roomcast_event *event, struct seen *into);

#endif
