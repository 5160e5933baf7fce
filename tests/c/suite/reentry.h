/* Calls of every function of the header from inside a callback. */
#ifndef REENTRY_H
#define REENTRY_H

#include "host.h"

enum reentry_end { REENTRY_GO_ON, REENTRY_STOP, REENTRY_FREE };

struct reentry {
    const roomcast_engine *engine;
    const roomcast_request *request;
    uint64_t connection;
    bool on_shard; /* certain to be on a thread of the engine's, or in its turn */
    bool turned;   /* no threads of its own */
};

/* All but those that end an engine. */
void reentry_calls(const struct reentry *from);
/* Of these, those of tokens, TLS and presence. */
void reentry_edge(const struct reentry *from);
/* Stops, in each way: begun on a shard. */
void reentry_stop(const struct reentry *from);

#endif
