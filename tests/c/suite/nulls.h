/* Every function with NULL, nonsense and stale numbers: NULLS(function) { ... } for each function
 * of the header; `run` compares the list with the header's. All use one world, on one thread. */
#ifndef NULLS_H
#define NULLS_H

#include "host.h"

struct world {
    roomcast_config *config;
    roomcast_engine *engine;  /* told by the queue */
    roomcast_engine *called;  /* told by a callback */
    roomcast_engine *turned;  /* no threads of its own, and a queue */
    uint16_t port;            /* of `engine` */
    struct ws peer;           /* open there as `connection` */
    uint64_t connection;
    uint64_t room;            /* held */
    roomcast_event asked;     /* the connecting event */
    const roomcast_request *request;
    roomcast_upgrade *upgrade;   /* status 101 */
    roomcast_upgrade *unwanted;  /* another status */
};

void nulls_add(const char *name, void (*run)(struct world *world));

#define NULLS(function)                                                                          \
    static void nulls_##function(struct world *w);                                               \
    __attribute__((constructor)) static void add_##function(void) {                              \
        nulls_add(#function, nulls_##function);                                                  \
    }                                                                                            \
    static void nulls_##function(struct world *w)

/* A place for a result, and the check that nothing was written into it. */
#define PLACE(type, name)                                                                        \
    type name;                                                                                   \
    memset(&(name), 0xA5, sizeof(name))
#define UNTOUCHED(name)                                                                          \
    do {                                                                                         \
        for (size_t byte_ = 0; byte_ < sizeof(name); byte_++)                                    \
            EQ(0xA5, ((const unsigned char *)&(name))[byte_]);                                   \
    } while (0)

/* Texts that are none, bytes that are none, numbers that nothing has, numbers of no enum. */
extern const roomcast_str bad_texts[6];
extern const roomcast_bytes bad_bytes[3];
extern uint64_t stale_ids[6]; /* the last two: another engine's connection and room */
extern const uint32_t bad_enums[4];

#define EACH(item, array, type) for (const type *item = array; item < array + LENGTH(array); item++)

#endif
