/**
 * @file roomcast.h
 * Real-time rooms inside your program.
 *
 * An engine opens a port; thousands of browsers and devices join rooms over WebSocket; the program
 * publishes to a room from any thread with one call, which never waits for a peer.
 *
 *     roomcast_config *config;
 *     roomcast_engine *engine;
 *     char why[256];
 *     roomcast_config_new(ROOMCAST_VERSION, &config);
 *     roomcast_config_add_listener(config, roomcast_str_of("127.0.0.1:8080"));
 *     roomcast_config_set_callback(config, NULL, on_event, NULL);
 *     if (roomcast_engine_new(config, &engine, why, sizeof why) != ROOMCAST_STATUS_OK)
 *         return fail(why);
 *     roomcast_config_free(config);
 *     ...
 *     roomcast_engine_publish(engine, roomcast_str_of("lobby"), ROOMCAST_KIND_TEXT,
 *                             roomcast_bytes_of(text, length), NULL);
 *     ...
 *     roomcast_engine_free(engine);
 *
 * CONVENTIONS, which hold for everything below
 *
 * Names. Everything begins with `roomcast_` or `ROOMCAST_`; a function is
 * `roomcast_<thing>_<verb>`.
 *
 * Results. What can fail returns a `roomcast_status`, 0 for success. There is no global state and
 * no "last error". Inputs stand before outputs; an output is written on success only, and may be
 * NULL where its documentation says so. The one exception is `why`: a buffer for a sentence that
 * says what is wrong, written on failure.
 *
 * Ownership. An opaque handle is made by a `_new` (or by a call that says so) and let go of by its
 * `_free`; `_free(NULL)` does nothing. Using a handle after its `_free`, or freeing it twice, is
 * undefined behaviour. What a call is given it copies, unless it is handed over with a finalizer;
 * then it is the library's if, and only if, the call returns `ROOMCAST_STATUS_OK`.
 *
 * Numbers instead of pointers. Connections and held rooms are `uint64_t`, never 0 and never used
 * again in their engine's life. A stale one, whatever it is, gives `ROOMCAST_STATUS_GONE`.
 *
 * Texts are a pointer and a length, in UTF-8, without a zero at the end (`roomcast_str`). Where
 * it is not UTF-8, the call answers `ROOMCAST_STATUS_INVALID_ARGUMENT`. NULL with length 0 is
 * the empty text, or none where the documentation says so.
 *
 * Enumerations come in as `uint32_t` and are checked. Numbers may be added in later versions.
 *
 * Growing structs begin with `struct_size`, which the host sets to the `sizeof` that it was
 * compiled with, and whose other fields it sets to zero where they are not needed. Of
 * `roomcast_event`, which comes in arrays, the size is an argument instead, and
 * `roomcast_delivery` is the library's to make. Other structs never grow.
 *
 * Callbacks come as user data, function and finalizer; the user data is their first argument.
 * Their types say on which thread they are called, how long pointers live, what they may do, and
 * what comes after the stop.
 *
 * Threads. Functions that take a `const roomcast_engine *` may be called from any thread, at the
 * same time, also in callbacks, and none of them waits for a peer. Some wait for something else
 * and say so: `roomcast_engine_stop`, `_stop_within` and `_free` for the end, `_wait` and `_turn`
 * for something to do, and `roomcast_engine_connections`, `roomcast_engine_members` and
 * `roomcast_connection_rooms` for an answer of the shards, about a turn. Without threads of its own
 * an engine answers these three in a turn that another thread makes; on the thread that turned it
 * last, and before the first turn, they give `ROOMCAST_STATUS_ON_SHARD`.
 *
 * NULL for a handle that must be there gives `ROOMCAST_STATUS_INVALID_ARGUMENT`, or the value
 * that its function names.
 *
 * Internal errors never unwind into the host. After one the engine is broken: it begins to stop,
 * calls answer `ROOMCAST_STATUS_BROKEN`, and `roomcast_engine_stop` and `_free` still work.
 *
 * Signals. The library installs no handler and changes no mask. Its writes raise no SIGPIPE.
 *
 * After fork, a child may use nothing of an engine, not even free it.
 *
 * FOUR WAYS to be told what happens, of which a configuration chooses one
 *
 * 1. A callback on the engine's threads: `roomcast_config_set_callback`. The quickest.
 * 2. A queue and a descriptor for a host with a loop of its own (epoll, libuv, Qt, Asio):
 *    `roomcast_engine_fd`, `roomcast_engine_drain`. The default, without a callback.
 * 3. The same queue, waited for by a thread of the host's: `roomcast_engine_wait`.
 * 4. No thread of ours: `roomcast_config_set_own_threads(config, false)`, and the host calls
 *    `roomcast_engine_turn`, with the callback or the queue. For game loops.
 *
 * This file is generated from the sources of the library; do not edit it.
 */
#ifndef ROOMCAST_H
#define ROOMCAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------
 * Handles
 * ------------------------------------------------------------------------------------------ */

/**
 * The labels of a publication: its event, its key, its tags. Given to predicates
 * (`roomcast_filter_new_native`), and valid until these return, with all texts that the functions
 * below give.
 */
typedef struct roomcast_labels roomcast_labels;

/**
 * What a peer asked for in its HTTP head. Everything in it but its claims was chosen by the peer:
 * a cookie or a query value is to be verified before it is believed.
 *
 * Found in an event or in the call of a page function, and valid as long as that is, together
 * with all texts that the functions below give. They are read on any thread. Where there is no
 * such text, `data` is NULL.
 */
typedef struct roomcast_request roomcast_request;

/**
 * What a token says of its bearer.
 *
 * Those of a request or an event are the library's: valid as long as that is, with the texts that
 * the functions below give, and read on any thread. A host may make its own, for
 * `roomcast_accept`, by `roomcast_claims_new`, filled by `roomcast_claims_set_...` and `_allow`,
 * one thread at a time, let go of by `roomcast_claims_free`.
 */
typedef struct roomcast_claims roomcast_claims;

/**
 * The answer to a plain GET request, filled by `roomcast_page_set` inside a page function.
 */
typedef struct roomcast_page roomcast_page;

/**
 * Everything that a host may choose before an engine starts. One thread at a time.
 *
 * Made by `roomcast_config_new`, filled by `roomcast_config_set_...` and `_add_...`, read by
 * `roomcast_engine_new` (which copies it, so it may start several engines), let go of by
 * `roomcast_config_free`. Without a listener an engine only takes adopted sockets.
 */
typedef struct roomcast_config roomcast_config;

/**
 * Keys that JWTs are signed with, and what these must say. One thread at a time.
 *
 * Made by `roomcast_keys_new`, filled by `roomcast_keys_add_...` and `_set_...`, read by
 * `roomcast_auth_new` (which copies them), let go of by `roomcast_keys_free`.
 *
 * A JWT says by `sub` who it is, by `exp`, `nbf` and `iat` when that holds, by `jti` its own name,
 * by `info` what others in a room with presence are told, and by `rooms` what is allowed:
 * `{"lobby": "join", "team:7:*": "join publish"}`. Where there is an object `roomcast`, `rooms`
 * and `info` are looked for in that alone.
 */
typedef struct roomcast_keys roomcast_keys;

/**
 * How peers prove who they are: who checks their tokens, and where these are looked for. One
 * thread at a time.
 *
 * Made by `roomcast_auth_new` or `_new_native`, filled by `roomcast_auth_set_...`, read by
 * `roomcast_config_set_auth` and `roomcast_engine_reload_auth` (which copy it), let go of by
 * `roomcast_auth_free`.
 *
 * A token is looked for in the order of header, query, cookie, first message; the first that is
 * there counts. With none of them set, it is the header `Authorization: Bearer ...` and the query
 * value `token`.
 */
typedef struct roomcast_auth roomcast_auth;

/**
 * Certificates with their keys, and the versions of TLS that are spoken: 1.2 and 1.3. One thread
 * at a time.
 *
 * Made by `roomcast_tls_new`, filled by `roomcast_tls_add_...` and `_set_...`, read by
 * `roomcast_config_set_tls` and `roomcast_engine_reload_tls` (which copy it), let go of by
 * `roomcast_tls_free`.
 *
 * Of several certificates a peer is shown the first that has the name which it asks for (a
 * wildcard stands for one label) with a key that it can check; the very first where it asks for
 * none, or for a name that none has.
 */
typedef struct roomcast_tls roomcast_tls;

/**
 * A running engine. Its functions may be called from any thread at any time, callbacks included,
 * until `roomcast_engine_free`; hence all of them take it as const.
 *
 * Made by `roomcast_engine_new`; ended by `roomcast_engine_stop`; let go of by
 * `roomcast_engine_free`.
 */
typedef struct roomcast_engine roomcast_engine;

/**
 * Which publications of a room a member is sent, decided by their labels. It never changes, and
 * may be used from any thread, at the same time, for any engine.
 *
 * Made by the `roomcast_filter_new...` functions, used in `roomcast_join`, let go of by
 * `roomcast_filter_free`, whoever joined with it. Filters with the same text
 * (`roomcast_filter_text`) are one: a publication is decided once for all members of a room that
 * have it, so it does not matter whether each has its own.
 */
typedef struct roomcast_filter roomcast_filter;

/**
 * What a peer wants in a room and the host decides on: found in `ROOMCAST_EVENT_PERMISSION`, and
 * valid as long as that event. Answered by `roomcast_wish_allow` or `_deny`, from any thread. To
 * answer later keep it by `roomcast_wish_keep`; let go of by `roomcast_wish_free`, also after its
 * engine. When nobody has it any more it is denied, and after `verdict_timeout_ms` in any case.
 */
typedef struct roomcast_wish roomcast_wish;

/**
 * Some members of a room with presence, in the order in which they joined. Made by
 * `roomcast_engine_present` and `roomcast_room_present`, let go of by `roomcast_present_free`.
 */
typedef struct roomcast_present roomcast_present;

/**
 * Ids of connections. Made by `roomcast_engine_connections` and `_members`, let go of by
 * `roomcast_ids_free`.
 */
typedef struct roomcast_ids roomcast_ids;

/**
 * Names of rooms, with how many members each has. Made by `roomcast_engine_rooms` and
 * `roomcast_connection_rooms`, let go of by `roomcast_names_free`.
 */
typedef struct roomcast_names roomcast_names;

/**
 * A text that a call has made. Let go of by `roomcast_text_free`.
 */
typedef struct roomcast_text roomcast_text;

/**
 * A request that the host's own HTTP server has read: checked, with the response to send.
 *
 * Made by `roomcast_upgrade_new`; `roomcast_upgrade_response` is to be sent by the host, whatever
 * it is; where its status is 101, `roomcast_upgrade_adopt` then takes the socket over; let go of
 * by `roomcast_upgrade_free`. One thread at a time, any thread. Do not keep it beyond its engine.
 */
typedef struct roomcast_upgrade roomcast_upgrade;

/* ------------------------------------------------------------------------------------------
 * Versions
 * ------------------------------------------------------------------------------------------ */

/**
 * The header's version, first part: another one is another interface.
 */
#define ROOMCAST_VERSION_MAJOR 0

/**
 * The header's version, second part: while the first is 0, another one is another interface.
 */
#define ROOMCAST_VERSION_MINOR 1

/**
 * The header's version, third part.
 */
#define ROOMCAST_VERSION_PATCH 0

/**
 * The header's version in one number: major * 1,000,000 + minor * 1,000 + patch.
 */
#define ROOMCAST_VERSION 1000

/**
 * The library's version, as `ROOMCAST_VERSION` is the header's.
 */
uint32_t roomcast_version(void);

/**
 * The library's version as text, such as "0.1.0"; valid for ever.
 */
const char *roomcast_version_text(void);

/* ------------------------------------------------------------------------------------------
 * Statuses
 * ------------------------------------------------------------------------------------------ */

/**
 * What became of a call. The numbers are stable and never reused; groups of ten belong together. A
 * number that a program does not know is an error.
 */
typedef enum roomcast_status {
    /**
     * Ok.
     */
    ROOMCAST_STATUS_OK = 0,
    /**
     * A setting has a value that cannot work.
     */
    ROOMCAST_STATUS_CONFIG = 1,
    /**
     * The operating system refused.
     */
    ROOMCAST_STATUS_IO = 2,
    /**
     * The engine is stopping or has stopped.
     */
    ROOMCAST_STATUS_STOPPED = 3,
    /**
     * This call waits for a shard and cannot be made on a shard's thread.
     */
    ROOMCAST_STATUS_ON_SHARD = 4,
    /**
     * The room is behind its publishers (room_ahead_bytes_max).
     */
    ROOMCAST_STATUS_BEHIND = 10,
    /**
     * Overloaded (inbox_bytes_max, shard_tape_bytes_max or memory_bytes_max).
     */
    ROOMCAST_STATUS_OVERLOADED = 11,
    /**
     * The payload and its labels are larger than publication_bytes_max.
     */
    ROOMCAST_STATUS_PAYLOAD_TOO_LARGE = 12,
    /**
     * The room name is empty or longer than room_name_bytes_max.
     */
    ROOMCAST_STATUS_ROOM_NAME = 13,
    /**
     * The key is longer than key_bytes_max.
     */
    ROOMCAST_STATUS_KEY = 14,
    /**
     * The filter is not valid.
     */
    ROOMCAST_STATUS_FILTER = 15,
    /**
     * No such connection.
     */
    ROOMCAST_STATUS_GONE = 20,
    /**
     * Close codes are 1000, 1001, 1003, 1007 to 1014 and 3000 to 4999.
     */
    ROOMCAST_STATUS_CLOSE_CODE = 21,
    /**
     * The request is not a WebSocket upgrade.
     */
    ROOMCAST_STATUS_NOT_UPGRADE = 30,
    /**
     * The connection waits for a verdict no longer.
     */
    ROOMCAST_STATUS_ANSWERED = 31,
    /**
     * An argument is null, out of range or not UTF-8.
     */
    ROOMCAST_STATUS_INVALID_ARGUMENT = 40,
    /**
     * The header and the library are of different versions.
     */
    ROOMCAST_STATUS_VERSION_MISMATCH = 41,
    /**
     * The engine was not started for this call.
     */
    ROOMCAST_STATUS_WRONG_MODE = 42,
    /**
     * Nothing came in time.
     */
    ROOMCAST_STATUS_TIMED_OUT = 43,
    /**
     * The engine is broken by an internal error and can only be stopped.
     */
    ROOMCAST_STATUS_BROKEN = 44,
    /**
     * The library was built without this feature.
     */
    ROOMCAST_STATUS_NOT_BUILT = 45,
    /**
     * A certificate or its key cannot be used.
     */
    ROOMCAST_STATUS_CERTIFICATE = 50,
    /**
     * A key for tokens cannot be used.
     */
    ROOMCAST_STATUS_TOKEN_KEY = 51,
    /**
     * The token is not valid.
     */
    ROOMCAST_STATUS_TOKEN = 52,
    /**
     * The token has expired.
     */
    ROOMCAST_STATUS_TOKEN_EXPIRED = 53,
    /**
     * The token has been revoked.
     */
    ROOMCAST_STATUS_TOKEN_REVOKED = 54,
} roomcast_status;

/**
 * One sentence for a log, valid for ever; "unknown status" for a number that is none.
 *
 * @param status one of `roomcast_status`
 */
const char *roomcast_status_text(uint32_t status);

/* ------------------------------------------------------------------------------------------
 * Texts, bytes and finalizers
 * ------------------------------------------------------------------------------------------ */

/**
 * Text in UTF-8: a pointer and a length in bytes, with no zero at the end.
 *
 * As an argument it is read during the call only, and NULL with length 0 is the empty text. As a
 * result it points into something else, whose documentation says for how long; `data` is NULL
 * where there is no such text, which is not the same as an empty one. This struct never grows.
 */
typedef struct roomcast_str {
    /**
     * The first byte.
     */
    const char *data;
    /**
     * Bytes, not characters.
     */
    size_t len;
} roomcast_str;

/**
 * Bytes: a pointer and a length.
 *
 * As an argument it is read during the call only, and NULL with length 0 is no bytes. As a result
 * it points into something else, whose documentation says for how long. This struct never grows.
 */
typedef struct roomcast_bytes {
    /**
     * The first byte.
     */
    const void *data;
    /**
     * How many.
     */
    size_t len;
} roomcast_bytes;

/**
 * Lets go of data of the host's. Called once, when the library needs it no longer; on which
 * thread depends on who lets go last, so it must not assume one. It may call every function of
 * this header but those that wait.
 *
 * @param data what the host gave together with this function
 */
typedef void (*roomcast_free_fn)(void *data);

/* ------------------------------------------------------------------------------------------
 * Limits
 * ------------------------------------------------------------------------------------------ */

/**
 * What bounds an engine (`roomcast_config_set_limit`); each in the unit that its name ends with.
 * The numbers are stable and never reused.
 */
typedef enum roomcast_limit {
    /**
     * Connections that the engine holds at once, handshakes included; one more is answered with
     * 503. Default 100,000.
     */
    ROOMCAST_LIMIT_CONNECTIONS_MAX = 1,
    /**
     * Bytes of an HTTP request head; one larger is answered with 431. Default 16 KiB.
     */
    ROOMCAST_LIMIT_HEAD_BYTES_MAX = 2,
    /**
     * Milliseconds from accepting a socket to its complete request head, then 408, or just the end
     * where nothing was said. Default 10 s.
     */
    ROOMCAST_LIMIT_HANDSHAKE_TIMEOUT_MS = 3,
    /**
     * Milliseconds that the host has to answer a connecting event, then 503. Default 10 s.
     */
    ROOMCAST_LIMIT_VERDICT_TIMEOUT_MS = 4,
    /**
     * Bytes of one inbound message, all fragments together; a larger one closes the connection
     * with 1009. Default 1 MiB.
     */
    ROOMCAST_LIMIT_MESSAGE_BYTES_MAX = 5,
    /**
     * Fragments of one inbound message, else 1009. Default 4,096.
     */
    ROOMCAST_LIMIT_MESSAGE_FRAGMENTS_MAX = 6,
    /**
     * Payload bytes of one publication, at most a quarter of `tape_bytes_max`. Default 1 MiB.
     */
    ROOMCAST_LIMIT_PUBLICATION_BYTES_MAX = 7,
    /**
     * Bytes that a room keeps on one shard for members who have not got them yet; beyond that the
     * slowest meet their slow policy. Default 4 MiB.
     */
    ROOMCAST_LIMIT_TAPE_BYTES_MAX = 8,
    /**
     * Bytes that all tapes of one shard keep together. Default 256 MiB.
     */
    ROOMCAST_LIMIT_SHARD_TAPE_BYTES_MAX = 9,
    /**
     * Bytes waiting for one connection alone (private messages, half-sent frames, what it
     * watches), 64 more for each frame than it has; a message beyond that closes it with 4008. One
     * larger message is taken when nothing waits. Default 1 MiB.
     */
    ROOMCAST_LIMIT_OUTBOX_BYTES_MAX = 10,
    /**
     * Waiting bytes of a connection above which the host is told (backpressure high) and the
     * connection is not read from; low again below half of it. Default 256 KiB.
     */
    ROOMCAST_LIMIT_OUTBOX_HIGH_BYTES = 11,
    /**
     * Bytes published to a room but not yet offered to its members, per shard; above it publishing
     * answers `ROOMCAST_STATUS_BEHIND`. Default 1 MiB.
     */
    ROOMCAST_LIMIT_ROOM_AHEAD_BYTES_MAX = 12,
    /**
     * Bytes of commands waiting for one shard, some 300 more for each publication than its data;
     * above it publishing and sending answer `ROOMCAST_STATUS_OVERLOADED`. Default 64 MiB.
     */
    ROOMCAST_LIMIT_INBOX_BYTES_MAX = 13,
    /**
     * Bytes of a room's name in UTF-8. Default 255.
     */
    ROOMCAST_LIMIT_ROOM_NAME_BYTES_MAX = 14,
    /**
     * Rooms that one connection may be in. Default 1,024.
     */
    ROOMCAST_LIMIT_CONNECTION_ROOMS_MAX = 15,
    /**
     * Microseconds that one turn of a shard spends writing before it looks at its sockets and its
     * inbox again. Default 1,000.
     */
    ROOMCAST_LIMIT_TURN_BUDGET_US = 16,
    /**
     * Milliseconds of silence from a peer after which it is pinged; 0 never pings. Default 25 s.
     */
    ROOMCAST_LIMIT_PING_INTERVAL_MS = 17,
    /**
     * Milliseconds that a pinged peer has to send anything, else it is closed. Default 20 s.
     */
    ROOMCAST_LIMIT_PING_TIMEOUT_MS = 18,
    /**
     * Milliseconds without a message from a peer (pongs do not count) after which it is closed; 0
     * never. Default 0.
     */
    ROOMCAST_LIMIT_IDLE_TIMEOUT_MS = 19,
    /**
     * Milliseconds that a peer has to answer a close frame and take what it is owed, before its
     * socket is closed all the same. Default 2 s.
     */
    ROOMCAST_LIMIT_CLOSE_TIMEOUT_MS = 20,
    /**
     * Milliseconds over which `roomcast_engine_stop` spreads the close frames, so that clients do
     * not come back all at once; at most ten for each connection of a shard. Default 500.
     */
    ROOMCAST_LIMIT_STOP_SPREAD_MS = 21,
    /**
     * Milliseconds in which `roomcast_engine_stop` ends, whatever peers do. Default 5 s.
     */
    ROOMCAST_LIMIT_STOP_TIMEOUT_MS = 22,
    /**
     * Events of one connection that may wait in the event queue; a connection with more is not
     * read from until the host catches up. Default 64.
     */
    ROOMCAST_LIMIT_CONNECTION_EVENTS_MAX = 23,
    /**
     * Events of all connections that may wait in the event queue; above it each connection may
     * have just one, and new ones are answered with 503. Default 65,536.
     */
    ROOMCAST_LIMIT_EVENTS_MAX = 24,
    /**
     * Bytes of unsent data that the kernel accepts for one socket (TCP_NOTSENT_LOWAT), 0 for the
     * kernel's own choice. Default 64 KiB.
     */
    ROOMCAST_LIMIT_NOTSENT_LOWAT_BYTES = 25,
    /**
     * Sockets waiting to be accepted. Default 4,096.
     */
    ROOMCAST_LIMIT_LISTEN_BACKLOG = 26,
    /**
     * Milliseconds of silence after which the kernel probes a TCP peer (SO_KEEPALIVE, rounded up
     * to whole seconds), 0 for never; pings of the engine do more. Default 0.
     */
    ROOMCAST_LIMIT_KEEPALIVE_MS = 27,
    /**
     * Milliseconds that sent bytes may stay unacknowledged before the kernel gives a TCP peer up
     * (TCP_USER_TIMEOUT), 0 for the kernel's own choice. Default 0.
     */
    ROOMCAST_LIMIT_USER_TIMEOUT_MS = 28,
    /**
     * Connections from one IP address, handshakes included, 0 for no such limit; one more is
     * answered with 429. Those of `trusted_proxies` count for the peer's own address, once that is
     * known; behind any other proxy all come from the proxy's. Default 0.
     */
    ROOMCAST_LIMIT_ADDRESS_CONNECTIONS_MAX = 29,
    /**
     * Handshakes in flight, the host's verdict included; while there are so many, the others wait
     * in the listeners' backlogs (`listen_backlog`). Default 10,000.
     */
    ROOMCAST_LIMIT_HANDSHAKES_MAX = 30,
    /**
     * Connections of one user, as the host named it in its verdict, on all shards, 0 for no such
     * limit; one more is answered with 429. Default 0.
     */
    ROOMCAST_LIMIT_USER_CONNECTIONS_MAX = 31,
    /**
     * Connections that the listeners take a second, on average, and in one go; 0 for no such
     * limit. Above it the others wait in the backlogs (`listen_backlog`). Default 0.
     */
    ROOMCAST_LIMIT_ACCEPT_RATE_MAX = 32,
    /**
     * Messages that a peer may send a second, on average, its pings and pongs among them, 0 for no
     * such limit; what is beyond meets the `roomcast_message_rate_policy`. Default 0.
     */
    ROOMCAST_LIMIT_MESSAGE_RATE_MAX = 33,
    /**
     * Messages that a peer which was silent may send at once; 0 for as many as `message_rate_max`.
     * Default 0.
     */
    ROOMCAST_LIMIT_MESSAGE_BURST_MAX = 34,
    /**
     * How hard messages are compressed for peers that offer permessage-deflate, from 1 (quick) to
     * 9 (small), 0 for not at all. Compressing costs the shard; 1 is right for most. Default 0.
     */
    ROOMCAST_LIMIT_DEFLATE_LEVEL = 35,
    /**
     * Payload bytes from which a message is compressed; shorter ones go as they are. Default 256.
     */
    ROOMCAST_LIMIT_DEFLATE_BYTES_MIN = 36,
    /**
     * Milliseconds within which publications of a room wait for each other, to leave together,
     * where neither the room's options nor the member's say otherwise; 0 for each turn. Default 0.
     */
    ROOMCAST_LIMIT_FLUSH_INTERVAL_MS = 37,
    /**
     * Milliseconds up to which flush intervals widen while a shard is under pressure
     * (`pressure_us`) or near its memory budget. Default 1 s.
     */
    ROOMCAST_LIMIT_FLUSH_INTERVAL_MAX_MS = 38,
    /**
     * Microseconds that publications may be late, in all turns of a tenth of a second, before
     * flush intervals widen by a step; they narrow again below half of it. 0 for never, as it is
     * where the host turns the engine, since then lateness is the host's. Default 50 ms.
     */
    ROOMCAST_LIMIT_PRESSURE_US = 39,
    /**
     * Bytes of a publication's key, and of a key that a member watches. Default 255.
     */
    ROOMCAST_LIMIT_KEY_BYTES_MAX = 40,
    /**
     * Keys of all rooms that one connection may watch. Default 4,096.
     */
    ROOMCAST_LIMIT_CONNECTION_KEYS_MAX = 41,
    /**
     * Distinct filters that the members of one room may have on a shard; a join with one more has
     * no effect. Default 1,000.
     */
    ROOMCAST_LIMIT_ROOM_FILTERS_MAX = 42,
    /**
     * Rooms that one connection may be in with a filter. Default 64.
     */
    ROOMCAST_LIMIT_CONNECTION_FILTERS_MAX = 43,
    /**
     * Bytes that the whole engine may hold for tapes, histories, outboxes, inboxes, untaken events
     * and messages in the making, 0 for no such budget. Near it the engine degrades step by step;
     * at it publishing answers `ROOMCAST_STATUS_OVERLOADED`. Default 1 GiB.
     */
    ROOMCAST_LIMIT_MEMORY_BYTES_MAX = 44,
    /**
     * Bytes of a room's history, where it has one (`roomcast_room_options`). Default 1 MiB.
     */
    ROOMCAST_LIMIT_HISTORY_BYTES_MAX = 45,
    /**
     * Microseconds that a turn spends on TLS handshakes before it goes on with its other work; the
     * other handshakes wait for the next turn. Default 1,000.
     */
    ROOMCAST_LIMIT_TLS_BUDGET_US = 46,
    /**
     * Bytes of a token; a longer one is not valid. Default 8 KiB.
     */
    ROOMCAST_LIMIT_TOKEN_BYTES_MAX = 47,
    /**
     * Tokens that are not valid which one address (of IPv6 the first 64 bits) may bring a minute,
     * 0 for no such limit; beyond it requests from there are answered with 429, their tokens
     * unread. Default 60.
     */
    ROOMCAST_LIMIT_TOKEN_FAILURES_MAX = 48,
    /**
     * Milliseconds before its token expires that a connection is told so, 0 for not at all.
     * Default 30 s.
     */
    ROOMCAST_LIMIT_TOKEN_NOTICE_MS = 49,
    /**
     * Users and tokens that are remembered as revoked; the oldest are forgotten first. Default
     * 100,000.
     */
    ROOMCAST_LIMIT_REVOCATIONS_MAX = 50,
    /**
     * Members of a room on one page of who is there. Default 1,000.
     */
    ROOMCAST_LIMIT_PRESENCE_PAGE_MAX = 51,
    /**
     * Members of a room above which no notices of who came and went are made. Default 1,000.
     */
    ROOMCAST_LIMIT_PRESENCE_NOTICE_MEMBERS_MAX = 52,
    /**
     * Members that one notice names as having come, or gone; of more than that only their number
     * is told. Default 100.
     */
    ROOMCAST_LIMIT_PRESENCE_NOTICE_NAMES_MAX = 53,
} roomcast_limit;

/**
 * The name of a limit, such as "connections_max", valid for ever; NULL for a number that is none.
 *
 * @param limit one of `roomcast_limit`
 */
const char *roomcast_limit_name(uint32_t limit);

/* ------------------------------------------------------------------------------------------
 * Claims
 * ------------------------------------------------------------------------------------------ */

/**
 * What a peer may ask for in a room.
 */
typedef enum roomcast_verb {
    /**
     * To be a member: to be sent what is published.
     */
    ROOMCAST_VERB_JOIN = 1,
    /**
     * To publish.
     */
    ROOMCAST_VERB_PUBLISH = 2,
    /**
     * To see who is there.
     */
    ROOMCAST_VERB_PRESENCE = 3,
} roomcast_verb;

/**
 * Makes claims of nobody, for ever, without any right.
 *
 * @param claims gets them
 */
roomcast_status roomcast_claims_new(roomcast_claims **claims);

/**
 * Lets go of claims; connections that were accepted with them keep them. NULL does nothing.
 */
void roomcast_claims_free(roomcast_claims *claims);

/**
 * Sets who it is.
 *
 * @param user as in `roomcast_accept`; empty for nobody
 */
roomcast_status roomcast_claims_set_user(roomcast_claims *claims,
                                         roomcast_str user);

/**
 * Sets when they end to hold.
 *
 * @param seconds since 1970; 0 for never
 */
roomcast_status roomcast_claims_set_expires_at(roomcast_claims *claims,
                                               uint64_t seconds);

/**
 * Sets when the token was made, which decides whether a revocation of its user meets it.
 *
 * @param seconds since 1970; 0 for not known: then every revocation of the user does
 */
roomcast_status roomcast_claims_set_issued_at(roomcast_claims *claims,
                                              uint64_t seconds);

/**
 * Sets the token's own name, by which it can be revoked (`roomcast_token_revoke`).
 *
 * @param token_id empty for none
 */
roomcast_status roomcast_claims_set_token_id(roomcast_claims *claims,
                                             roomcast_str token_id);

/**
 * Sets what others in a room with presence are told of the bearer.
 *
 * @param json a value in JSON; empty for none
 */
roomcast_status roomcast_claims_set_info(roomcast_claims *claims,
                                         roomcast_str json);

/**
 * Allows the bearer something in a room, or in all rooms whose names begin alike; adds to what was
 * allowed before.
 *
 * @param rooms a room's name; where it ends in `*`, all that begin with what stands before it;
 *        `*` alone is every room
 * @param verbs the sum of `1 << verb` of each `roomcast_verb`; other bits mean nothing
 */
roomcast_status roomcast_claims_allow(roomcast_claims *claims,
                                      roomcast_str rooms,
                                      uint32_t verbs);

/**
 * Who it is (`sub`); `data` is NULL where they do not say, and for NULL.
 */
roomcast_str roomcast_claims_user(const roomcast_claims *claims);

/**
 * Seconds since 1970 at which they end to hold (`exp`, and the leeway of the keys); 0 for never,
 * and for NULL.
 */
uint64_t roomcast_claims_expires_at(const roomcast_claims *claims);

/**
 * Seconds since 1970 at which the token was made (`iat`); 0 where they do not say, and for NULL.
 */
uint64_t roomcast_claims_issued_at(const roomcast_claims *claims);

/**
 * The token's own name (`jti`); `data` is NULL where it has none, and for NULL.
 */
roomcast_str roomcast_claims_token_id(const roomcast_claims *claims);

/**
 * What others in a room with presence are told of the bearer (`info`), in JSON; `data` is NULL
 * where that is nothing, and for NULL.
 */
roomcast_str roomcast_claims_info(const roomcast_claims *claims);

/**
 * Whether they allow something in a room (`rooms`); false for NULL, and for what is no verb or no
 * text.
 *
 * @param verb one of `roomcast_verb`
 * @param room the room's name
 */
bool roomcast_claims_may(const roomcast_claims *claims,
                         uint32_t verb,
                         roomcast_str room);

/* ------------------------------------------------------------------------------------------
 * Requests
 * ------------------------------------------------------------------------------------------ */

/**
 * "GET" for every WebSocket; "GET" or "HEAD" for a page.
 */
roomcast_str roomcast_request_method(const roomcast_request *request);

/**
 * The path as sent, percent signs and all, without the query: "/room/42".
 */
roomcast_str roomcast_request_path(const roomcast_request *request);

/**
 * What follows the question mark, as sent.
 */
roomcast_str roomcast_request_query(const roomcast_request *request);

/**
 * The first query value of this name, decoded as a browser's `URLSearchParams` would: percent
 * escapes, and `+` for a space. Of `?a` it is the empty text.
 */
roomcast_str roomcast_request_query_value(const roomcast_request *request,
                                          roomcast_str name);

/**
 * The first header field of this name (in any case), if it is visible ASCII.
 */
roomcast_str roomcast_request_header(const roomcast_request *request,
                                     roomcast_str name);

/**
 * One header field after the other, for hosts that want all.
 *
 * @param index from 0; a field of several lines has several
 * @param name gets its name in lower case
 * @param value gets its value; bytes that are not visible ASCII are possible
 * @return false behind the last one, and then nothing was written
 */
bool roomcast_request_header_at(const roomcast_request *request,
                                size_t index,
                                roomcast_str *name,
                                roomcast_bytes *value);

/**
 * The first cookie of this name (which is case-sensitive), as sent, quotes included.
 */
roomcast_str roomcast_request_cookie(const roomcast_request *request,
                                     roomcast_str name);

/**
 * One of the subprotocols that the peer offers, the one that it likes best first.
 *
 * @param index from 0; behind the last one there is no text
 */
roomcast_str roomcast_request_subprotocol(const roomcast_request *request,
                                          size_t index);

/**
 * The web page's origin ("https://app.example"); none from what is not a browser.
 */
roomcast_str roomcast_request_origin(const roomcast_request *request);

/**
 * The host, and the port when it is not the default one, that the peer meant to reach.
 */
roomcast_str roomcast_request_host(const roomcast_request *request);

/**
 * The other end of the connection, such as "127.0.0.1:50123"; none on a unix socket. Behind a
 * proxy this is the proxy, unless that sends a PROXY header (`roomcast_listen_options`): then it
 * is the peer that the header names. For logs that tell one connection from another; who the peer
 * is, as far as that can be known, says `roomcast_request_peer_ip`.
 */
roomcast_str roomcast_request_peer(const roomcast_request *request);

/**
 * The address of the peer itself, without a port: what to count, to limit and to ban by. An IPv4
 * address within IPv6 is given as IPv4.
 *
 * It is that of `roomcast_request_peer` where this is none of
 * `roomcast_config_set_trusted_proxies`. Where it is, it is the address nearest to us in its
 * forwarded header that is not trusted itself; where all of them are, the first; where one cannot
 * be read, the one to the right of it. So a peer can choose it only as far as a trusted proxy lets
 * it. None on a unix socket of which nothing else is known.
 */
roomcast_str roomcast_request_peer_ip(const roomcast_request *request);

/**
 * What the peer's token says, which was checked (`roomcast_config_set_auth`); valid as long as the
 * request. NULL where no token is asked for, or it is optional and was not there, and for NULL.
 */
const roomcast_claims *roomcast_request_claims(const roomcast_request *request);

/* ------------------------------------------------------------------------------------------
 * Events
 * ------------------------------------------------------------------------------------------ */

/**
 * What became of a tracked publication by the time that all members in step had been offered it.
 * The members that the room had when its shards came to the publication are each counted once.
 *
 * Found in an event, and the library's; later versions may add counts at its end.
 */
typedef struct roomcast_delivery {
    /**
     * The number that `roomcast_engine_publish_tracked` or `roomcast_room_publish_tracked` gave.
     */
    uint64_t token;
    /**
     * Its number in the room; 0 where the room did not exist.
     */
    uint64_t offset;
    /**
     * Members whose sockets took it.
     */
    size_t reached;
    /**
     * Members that did not ask for it, by their filters or their keys.
     */
    size_t filtered;
    /**
     * Members that were left out: excluded by the publisher, or volatile and not writable.
     */
    size_t skipped;
    /**
     * Members for whom a newer publication of its key took its place within the interval.
     */
    size_t conflated;
    /**
     * Members whose sockets are behind: they get it later, or meet their policy.
     */
    size_t lagging;
} roomcast_delivery;

/**
 * The kinds of events.
 */
typedef enum roomcast_event_kind {
    /**
     * Somebody asks for a WebSocket: answer with `roomcast_connection_accept` or `_refuse`, now or
     * later. Has `connection` and `request`.
     */
    ROOMCAST_EVENT_CONNECTING = 1,
    /**
     * A connection is open, and in the rooms that it was accepted into.
     */
    ROOMCAST_EVENT_OPENED = 2,
    /**
     * A message came. Has `message` and `message_kind`.
     */
    ROOMCAST_EVENT_MESSAGE = 3,
    /**
     * A connection that had opened has ended: the last event about it. Has `close_reason`,
     * `close_code` and `text`.
     */
    ROOMCAST_EVENT_CLOSED = 4,
    /**
     * More than `outbox_high_bytes` wait for it (`high` is true), or less than half of that again
     * (false). Between the two it is not read from.
     */
    ROOMCAST_EVENT_BACKPRESSURE = 5,
    /**
     * It was too slow to be sent `missed` publications of the room `text`, and by its policy
     * (`roomcast_slow_policy`) goes on without them. Has `missed_first`, `missed_last` and
     * `missed_replaced`.
     */
    ROOMCAST_EVENT_LAGGED = 6,
    /**
     * What became of a publication that was tracked (`roomcast_engine_publish_tracked`). Comes
     * once for each; has the room `text` and `delivery`, but no connection. In a queue in which
     * `events_max` events wait it is dropped, and counted (`reports_dropped`).
     */
    ROOMCAST_EVENT_DELIVERED = 7,
    /**
     * Its token expires in `token_notice_ms`; then it is closed with 4003, unless it has brought a
     * new one (`roomcast_connection_refresh`). `roomcast_event_claims` says when.
     */
    ROOMCAST_EVENT_EXPIRING = 8,
    /**
     * The peer wants something in the room `text` that its token does not allow by itself
     * (`roomcast_connection_request_join` and `_request_publish`): answer by
     * `roomcast_wish_allow` or `_deny`. Has `wish` and `verb`, and `message` and `message_kind`
     * of what it wants to publish.
     */
    ROOMCAST_EVENT_PERMISSION = 9,
} roomcast_event_kind;

/**
 * Whether a payload is text or binary, on the wire as here.
 */
typedef enum roomcast_kind {
    /**
     * UTF-8 text. Of what is received that was checked; what is sent is checked as well.
     */
    ROOMCAST_KIND_TEXT = 1,
    /**
     * Any bytes.
     */
    ROOMCAST_KIND_BINARY = 2,
} roomcast_kind;

/**
 * Why a connection ended.
 */
typedef enum roomcast_close_reason {
    /**
     * The peer sent a close frame.
     */
    ROOMCAST_CLOSE_REASON_PEER = 0,
    /**
     * The host closed it.
     */
    ROOMCAST_CLOSE_REASON_HOST = 1,
    /**
     * The engine stopped (1001).
     */
    ROOMCAST_CLOSE_REASON_STOPPING = 2,
    /**
     * The peer went without a close frame (end of file, reset).
     */
    ROOMCAST_CLOSE_REASON_VANISHED = 3,
    /**
     * The peer broke RFC 6455; the code was sent to it.
     */
    ROOMCAST_CLOSE_REASON_PROTOCOL = 4,
    /**
     * Too slow for its rooms or its own messages (4008).
     */
    ROOMCAST_CLOSE_REASON_TOO_SLOW = 5,
    /**
     * No sign of life after a ping (`ping_timeout_ms`).
     */
    ROOMCAST_CLOSE_REASON_PING_TIMEOUT = 6,
    /**
     * No message for `idle_timeout_ms` (4001).
     */
    ROOMCAST_CLOSE_REASON_IDLE_TIMEOUT = 7,
    /**
     * Its head or the verdict on it did not come in time.
     */
    ROOMCAST_CLOSE_REASON_HANDSHAKE_TIMEOUT = 8,
    /**
     * It ended as an HTTP request.
     */
    ROOMCAST_CLOSE_REASON_HTTP = 9,
    /**
     * Beyond a limit that the host has set for its peers (1008); the text is its name.
     */
    ROOMCAST_CLOSE_REASON_LIMIT = 10,
    /**
     * Its token expired and it brought no new one (4003).
     */
    ROOMCAST_CLOSE_REASON_TOKEN_EXPIRED = 11,
    /**
     * It, its token or its user was revoked (4004).
     */
    ROOMCAST_CLOSE_REASON_REVOKED = 12,
    /**
     * Its first message, or a new token in a later one, was no valid token (4401).
     */
    ROOMCAST_CLOSE_REASON_UNAUTHORIZED = 13,
    /**
     * A reason that is newer than this header.
     */
    ROOMCAST_CLOSE_REASON_OTHER = 255,
} roomcast_close_reason;

/**
 * What happened. Fields that an event of its kind does not have are zero.
 *
 * In a callback it is the library's, valid until the callback returns. Taken from the queue it is
 * the host's until `roomcast_events_free`, and so is all that it points to.
 */
typedef struct roomcast_event {
    /**
     * One of `roomcast_event_kind`. One that the host does not know is to be left alone.
     */
    uint32_t kind;
    /**
     * Of a message and of permission to publish: one of `roomcast_kind`.
     */
    uint32_t message_kind;
    /**
     * The connection: never reused in the engine's life, and 0 in an event about none. While it is
     * connecting, what to answer with, and the id that it will have.
     */
    uint64_t connection;
    /**
     * What it was accepted with.
     */
    void *connection_data;
    /**
     * The user that it was accepted as; `data` is NULL where it is anonymous.
     */
    roomcast_str user;
    /**
     * Of a message and of permission to publish: the payload.
     */
    roomcast_bytes message;
    /**
     * Of connecting: what is asked for.
     */
    const roomcast_request *request;
    /**
     * Of lagged, delivered and permission: the room's name. Of closed: the peer's text or the rule
     * that it broke, or NULL.
     */
    roomcast_str text;
    /**
     * Of lagged: how many publications were missed.
     */
    uint64_t missed;
    /**
     * Of lagged: the number of the first of them in the room.
     */
    uint64_t missed_first;
    /**
     * Of lagged: the number of the last of them.
     */
    uint64_t missed_last;
    /**
     * Of delivered: what became of the publication.
     */
    const roomcast_delivery *delivery;
    /**
     * Of permission: to be answered, now or, if it is kept, later.
     */
    const roomcast_wish *wish;
    /**
     * Of permission: one of `roomcast_verb`, to join or to publish.
     */
    uint32_t verb;
    /**
     * Of closed: one of `roomcast_close_reason`.
     */
    uint32_t close_reason;
    /**
     * Of closed: the WebSocket close code (RFC 6455 section 7.4); 1006 where no close frame
     * passed.
     */
    uint32_t close_code;
    /**
     * Of backpressure: whether it is above the mark.
     */
    bool high;
    /**
     * Of lagged: whether it was sent, or is owed, a newer publication for the key of each that it
     * missed, so that these are old news (`ROOMCAST_SLOW_POLICY_LATEST`).
     */
    bool missed_replaced;
    /**
     * The library's: what a callback is lent.
     */
    const void *lent;
    /**
     * The library's: what `roomcast_events_free` lets go of.
     */
    void *held;
} roomcast_event;

/**
 * What the token of an event's connection says; the newest, if it has brought several. NULL where
 * it has none, and for NULL. Of connecting ask `roomcast_request_claims`.
 *
 * @param event one that is the library's, or was taken and not given back
 */
const roomcast_claims *roomcast_event_claims(const roomcast_event *event);

/**
 * Whether the token of an event's connection allows something in a room, by now; false where it
 * has none, for NULL, and for what is no verb or no text.
 *
 * @param event as for `roomcast_event_claims`
 * @param verb one of `roomcast_verb`
 * @param room the room's name
 */
bool roomcast_event_may(const roomcast_event *event,
                        uint32_t verb,
                        roomcast_str room);

/* ------------------------------------------------------------------------------------------
 * Pages
 * ------------------------------------------------------------------------------------------ */

/**
 * Answers a plain GET request (`roomcast_config_set_pages`).
 *
 * - Thread, blocking, calls, what may leave it: as in `roomcast_event_fn`.
 * - Pointers: all are valid until it returns.
 * - After the stop: none.
 *
 * @param user_data what `roomcast_config_set_pages` was given
 * @param request what is asked for
 * @param page to be filled by `roomcast_page_set`; left alone, the answer is 404
 */
typedef void (*roomcast_page_fn)(void *user_data,
                                 const roomcast_request *request,
                                 roomcast_page *page);

/**
 * Fills in the answer; a second call replaces the first.
 *
 * @param page what the page function was given
 * @param http_status 200 to 599
 * @param content_type such as "text/html; charset=utf-8"
 * @param body copied
 */
roomcast_status roomcast_page_set(roomcast_page *page,
                                  uint32_t http_status,
                                  roomcast_str content_type,
                                  roomcast_bytes body);

/* ------------------------------------------------------------------------------------------
 * Configuration
 * ------------------------------------------------------------------------------------------ */

/**
 * Tells of one event: the first way of being told (`roomcast_config_set_callback`).
 *
 * - Thread: one of the engine's own, where `roomcast_config_set_own_threads` was not turned off;
 *   else the one that is in `roomcast_engine_turn`. Events of one connection come one after the
 *   other; those of different connections at the same time, where there are several shards.
 * - Pointers: `event` and all that it points to are valid until this function returns.
 * - Blocking: no. While it runs, the connections of its shard wait.
 * - Calls: every function of this header is allowed. Those that would wait for a shard answer
 *   `ROOMCAST_STATUS_ON_SHARD`; `roomcast_engine_stop` then has begun to stop. What is published
 *   or sent here leaves when the shard's turn goes on.
 * - After the stop: none. `roomcast_engine_stop` and `_free` return when the last one has.
 * - It must return: no C++ exception and no longjmp may leave it.
 *
 * @param user_data what `roomcast_config_set_callback` was given
 * @param engine the engine, also before `roomcast_engine_new` has returned it
 * @param event what happened
 */
typedef void (*roomcast_event_fn)(void *user_data,
                                  const roomcast_engine *engine,
                                  const roomcast_event *event);

/**
 * Tells one line of the engine's log, without a line feed.
 *
 * - Thread: the one that wrote the line, often one of the engine's own; several at a time.
 * - Pointers: `line` is valid until this function returns.
 * - Blocking: no.
 * - Calls: as in `roomcast_event_fn`; what these log is not told.
 * - After the stop: none, but for calls that are made after it.
 *
 * @param user_data what `roomcast_config_set_log` was given
 * @param level one of `roomcast_log_level`
 * @param line what the engine says
 */
typedef void (*roomcast_log_fn)(void *user_data, uint32_t level, roomcast_str line);

/**
 * How much a line of the log matters.
 */
typedef enum roomcast_log_level {
    /**
     * Of use to whoever develops the host.
     */
    ROOMCAST_LOG_LEVEL_DEBUG = 0,
    /**
     * The ordinary course.
     */
    ROOMCAST_LOG_LEVEL_INFO = 1,
    /**
     * Something was left out or put off.
     */
    ROOMCAST_LOG_LEVEL_WARN = 2,
    /**
     * Something has ended that should not have.
     */
    ROOMCAST_LOG_LEVEL_ERROR = 3,
} roomcast_log_level;

/**
 * What happens to what a peer says beyond `message_rate_max`.
 */
typedef enum roomcast_message_rate_policy {
    /**
     * It is dropped before the host is told, and counted. A ping gets no pong. The default.
     */
    ROOMCAST_MESSAGE_RATE_POLICY_REFUSE = 0,
    /**
     * Its connection is closed with 1008 and the limit's name.
     */
    ROOMCAST_MESSAGE_RATE_POLICY_CLOSE = 1,
} roomcast_message_rate_policy;

/**
 * The header by which trusted proxies say for whom they speak.
 */
typedef enum roomcast_forwarded_header {
    /**
     * `X-Forwarded-For: 192.0.2.1, 10.0.0.7`: what nearly every proxy writes. The default.
     */
    ROOMCAST_FORWARDED_HEADER_X_FORWARDED_FOR = 0,
    /**
     * `Forwarded: for=192.0.2.1, for="[2001:db8::7]:4711"` (RFC 7239), of which the `for`
     * parameters are read.
     */
    ROOMCAST_FORWARDED_HEADER_FORWARDED = 1,
} roomcast_forwarded_header;

/**
 * Makes a configuration with all defaults.
 *
 * @param header_version always `ROOMCAST_VERSION`: what the program was compiled with
 * @param config gets the new configuration
 * @return `ROOMCAST_STATUS_VERSION_MISMATCH` where the library does not serve that header
 */
roomcast_status roomcast_config_new(uint32_t header_version,
                                    roomcast_config **config);

/**
 * Lets go of a configuration; engines that were started from it go on. NULL does nothing.
 */
void roomcast_config_free(roomcast_config *config);

/**
 * Adds a TCP listener.
 *
 * @param address `host:port`; port 0 for a free one, which `roomcast_engine_address` tells
 */
roomcast_status roomcast_config_add_listener(roomcast_config *config,
                                             roomcast_str address);

/**
 * Adds a unix socket. A stale socket file (nobody accepts on it) is replaced; the file is removed
 * when the engine stops.
 */
roomcast_status roomcast_config_add_unix_listener(roomcast_config *config,
                                                  roomcast_str path);

/**
 * How many threads serve connections; 0 (the default) is one per core, at most 255.
 */
roomcast_status roomcast_config_set_shards(roomcast_config *config, size_t shards);

/**
 * With false the engine starts no thread: it has one shard, and the host calls
 * `roomcast_engine_turn` on a thread of its own. Default true.
 */
roomcast_status roomcast_config_set_own_threads(roomcast_config *config,
                                                bool own_threads);

/**
 * Lets several processes share a port (SO_REUSEPORT). Default false, so that a second start of
 * the same program fails instead of silently taking half of the connections.
 */
roomcast_status roomcast_config_set_reuse_port(roomcast_config *config,
                                               bool reuse_port);

/**
 * What happens to what a peer says beyond `message_rate_max`. Default
 * `ROOMCAST_MESSAGE_RATE_POLICY_REFUSE`.
 *
 * @param policy one of `roomcast_message_rate_policy`
 */
roomcast_status roomcast_config_set_message_rate_policy(roomcast_config *config,
                                                        uint32_t policy);

/**
 * Names the proxies whose word is taken for the address of a peer, in the header of
 * `roomcast_config_set_forwarded_header` and in PROXY headers (`roomcast_listen_options`). Default
 * none: such headers are what anybody may write, and are ignored.
 *
 * Name no more than what stands in front of the engine. A network where peers live themselves lets
 * each of them choose its address. An IPv4 address within IPv6 counts as IPv4.
 *
 * @param proxies an array of `count` networks ("10.0.0.0/8", "2001:db8::/32"), single addresses
 *        ("::1"), and "unix" for whoever connects to a unix socket; it replaces what was said
 *        before. One that cannot be read is told by `roomcast_config_check`.
 */
roomcast_status roomcast_config_set_trusted_proxies(roomcast_config *config,
                                                    const roomcast_str *proxies,
                                                    size_t count);

/**
 * The header by which trusted proxies say for whom they speak. Just this one is believed. Default
 * `ROOMCAST_FORWARDED_HEADER_X_FORWARDED_FOR`.
 *
 * @param header one of `roomcast_forwarded_header`
 */
roomcast_status roomcast_config_set_forwarded_header(roomcast_config *config,
                                                     uint32_t header);

/**
 * Says which web pages may connect: those of these origins, written as browsers send them
 * (`https://app.example`). Pages of the engine's own host, and clients that are no browsers, may
 * always; by default nobody else.
 *
 * @param origins an array of `count` origins; it replaces what was said before
 */
roomcast_status roomcast_config_set_origins(roomcast_config *config,
                                            const roomcast_str *origins,
                                            size_t count);

/**
 * Lets every web page connect: for services whose clients prove who they are by other means than
 * cookies.
 */
roomcast_status roomcast_config_allow_any_origin(roomcast_config *config);

/**
 * The path that answers GET with 200 while the engine runs and 503 while it stops; the empty text
 * for none. Default `/health`.
 */
roomcast_status roomcast_config_set_health_path(roomcast_config *config,
                                                roomcast_str path);

/**
 * The path that answers GET with the engine's figures, as `roomcast_engine_metrics` gives them;
 * the empty text, the default, for none. Whoever reaches the listener may read them: keep the
 * path from the outside in your proxy.
 */
roomcast_status roomcast_config_set_metrics_path(roomcast_config *config,
                                                 roomcast_str path);

/**
 * Has the figures for Prometheus say some things a second time, under the names that many
 * dashboards of WebSocket servers have: `websocket_connections_total` (connections now, a gauge),
 * `websocket_messages_total` by `event_type` (`in`, `out`, `publish`, `send`) and
 * `websocket_message_duration_seconds` (from publishing until the members in step had been offered
 * it). Default false.
 */
roomcast_status roomcast_config_set_websocket_metrics(roomcast_config *config,
                                                      bool also);

/**
 * Sets a limit. Whether the limits fit together is checked when an engine starts.
 *
 * @param limit one of `roomcast_limit`
 * @param value in the unit that the limit's name ends with
 */
roomcast_status roomcast_config_set_limit(roomcast_config *config,
                                          uint32_t limit,
                                          uint64_t value);

/**
 * Sets limits from the environment: `ROOMCAST_` and a limit's name in upper case, such as
 * `ROOMCAST_CONNECTIONS_MAX=5000`. Variables that are not set change nothing. No other thread may
 * change the environment meanwhile.
 *
 * @param why if not NULL, gets a sentence that names the variable which cannot be read
 * @param why_size bytes that `why` has place for
 * @return `ROOMCAST_STATUS_CONFIG`, and then nothing was changed
 */
roomcast_status roomcast_config_read_environment(roomcast_config *config,
                                                 char *why,
                                                 size_t why_size);

/**
 * Has events told by a function. Without one they wait in a queue, for `roomcast_engine_drain`
 * and `roomcast_engine_wait`.
 *
 * @param user_data given to `call`; the library never looks at it, and may pass it on any thread
 * @param call the function; NULL goes back to the queue
 * @param free called once with `user_data` when neither this configuration nor an engine needs it
 *        any more; may be NULL. Where this function fails, it is not called.
 */
roomcast_status roomcast_config_set_callback(roomcast_config *config,
                                             void *user_data,
                                             roomcast_event_fn call,
                                             roomcast_free_fn free);

/**
 * Which kinds of events are told or queued at all. The default is all of them. Where
 * `ROOMCAST_EVENT_CONNECTING` is not among them, everybody is accepted, into no room.
 *
 * @param kinds the sum of `1 << kind` of each wanted `roomcast_event_kind`; other bits mean
 *        nothing
 */
roomcast_status roomcast_config_set_events(roomcast_config *config, uint32_t kinds);

/**
 * Answers plain GET requests (a page, a script) from memory.
 *
 * @param user_data given to `call`
 * @param call the function; NULL for no pages
 * @param free called once with `user_data` when it is needed no more; may be NULL
 */
roomcast_status roomcast_config_set_pages(roomcast_config *config,
                                          void *user_data,
                                          roomcast_page_fn call,
                                          roomcast_free_fn free);

/**
 * Has the log of each engine told by a function. Without one the engine says nothing.
 *
 * @param user_data given to `call`
 * @param call the function
 * @param free called once with `user_data` when it is needed no more; may be NULL
 */
roomcast_status roomcast_config_set_log(roomcast_config *config,
                                        void *user_data,
                                        roomcast_log_fn call,
                                        roomcast_free_fn free);

/**
 * Whether an engine could run on this configuration; `roomcast_engine_new` asks the same.
 *
 * @param why if not NULL, gets a sentence that names the setting, what it is and what it may be
 * @param why_size bytes that `why` has place for
 */
roomcast_status roomcast_config_check(const roomcast_config *config,
                                      char *why,
                                      size_t why_size);

/**
 * The value of a limit by now.
 *
 * @param limit one of `roomcast_limit`
 * @param value gets it
 */
roomcast_status roomcast_config_limit(const roomcast_config *config,
                                      uint32_t limit,
                                      uint64_t *value);

/* ------------------------------------------------------------------------------------------
 * Options of rooms and listeners
 * ------------------------------------------------------------------------------------------ */

/**
 * What happens to a member that takes no bytes until its room's tape has no place left.
 */
typedef enum roomcast_slow_policy {
    /**
     * What holds otherwise: of a member the room's policy, of a room the engine's, of the engine
     * `ROOMCAST_SLOW_POLICY_DISCONNECT`.
     */
    ROOMCAST_SLOW_POLICY_DEFAULT = 0,
    /**
     * Its connection is closed with 4008, which invites the client to come back.
     */
    ROOMCAST_SLOW_POLICY_DISCONNECT = 1,
    /**
     * It jumps ahead to the newest publication, and an event tells what it missed.
     */
    ROOMCAST_SLOW_POLICY_SKIP = 2,
    /**
     * Of what it has not got, it is sent the newest publication of each key and those without one;
     * an event tells what it missed. Whom the newest one excludes is sent none. Where the tape has
     * no place for all, it jumps ahead.
     */
    ROOMCAST_SLOW_POLICY_LATEST = 3,
    /**
     * What is published while its socket takes no bytes is dropped at once and counted
     * (`volatile_dropped`), without an event: for news that is worthless when it is late.
     */
    ROOMCAST_SLOW_POLICY_VOLATILE = 4,
    /**
     * It catches up from the room's history (`history` of `roomcast_room_options`) when its socket
     * takes bytes again; an event tells what the history does not have any more, whether or not
     * its filter would match. Without a history, and for a member with a watch-list, it is as
     * `ROOMCAST_SLOW_POLICY_SKIP`. Its order is kept within the room, but not with other rooms
     * while it catches up.
     */
    ROOMCAST_SLOW_POLICY_REPLAY = 5,
} roomcast_slow_policy;

/**
 * As a flush interval: none, so that publications leave with each turn.
 */
#define ROOMCAST_EACH_TURN UINT32_MAX

/**
 * What holds for the rooms whose names begin alike. Set `struct_size`, and the rest to zero where
 * it is not needed.
 */
typedef struct roomcast_room_options {
    /**
     * `sizeof(roomcast_room_options)`.
     */
    size_t struct_size;
    /**
     * Milliseconds within which publications of a room wait for each other, to leave together in
     * one write to each member, at most an hour; `ROOMCAST_EACH_TURN` for none; 0 for the engine's
     * (`ROOMCAST_LIMIT_FLUSH_INTERVAL_MS`).
     */
    uint32_t flush_interval_ms;
    /**
     * One of `roomcast_slow_policy`; 0 for the engine's.
     */
    uint32_t slow_policy;
    /**
     * How many publications a room keeps while it exists, within `history_bytes_max`, for members
     * with the policy `ROOMCAST_SLOW_POLICY_REPLAY`.
     */
    uint32_t history;
    /**
     * Of publications with one key only the newest of each interval leaves, in its own place of
     * the order; whom that one excludes is sent neither. Those without a key all leave. Needs a
     * flush interval.
     */
    bool conflate;
    /**
     * Publications are sent as they are, also to members that agreed on compression: where they
     * are dense already.
     */
    bool deflate_off;
    /**
     * The engine knows of the room's members who they are: users are counted
     * (`roomcast_engine_presence`), members listed page by page (`roomcast_engine_present`).
     */
    bool presence;
    /**
     * Has the room's members told who came and who went: so many milliseconds after the first
     * change one notice tells all that has changed by then; 0 for no notices. Needs `presence`.
     *
     * A notice is a publication to the room like any other, also for those whom it names. Its
     * event is `presence`, so that a filter can leave it out. It is text, in JSON:
     *
     *     {"presence": {"room": "lobby", "members": 12, "users": 10,
     *      "came": [{"id": "72057594054705154", "user": "ada", "info": {"name": "Ada"}}],
     *      "came_count": 1,
     *      "gone": [{"id": "72057594054705153", "user": "bob"}],
     *      "gone_count": 1}}
     *
     * `came_count` and `gone_count` count also those who are not named, beyond
     * `presence_notice_names_max` of either. Above `presence_notice_members_max` members there are
     * no notices, and what changes then is not told later: whoever keeps a list from notices
     * compares its length with `members`, and asks for the pages where it differs.
     */
    uint32_t presence_interval_ms;
} roomcast_room_options;

/**
 * What holds for one listener. Set `struct_size`, and the rest to zero where it is not needed.
 */
typedef struct roomcast_listen_options {
    /**
     * `sizeof(roomcast_listen_options)`.
     */
    size_t struct_size;
    /**
     * Compression is not agreed on with peers that come through it: for a listener on a fast
     * network of your own.
     */
    bool deflate_off;
    /**
     * Peers speak TLS here, with the certificates of `roomcast_config_set_tls`. Plain HTTP is
     * ended with an alert and counted (`tls_failed`).
     */
    bool tls;
    /**
     * Each connection begins with a PROXY header, of version 1 or 2, by which a proxy says whose
     * connection it is (`roomcast_request_peer` and `_peer_ip`). Only those of
     * `roomcast_config_set_trusted_proxies` are believed, so at least one must be set. A
     * connection of anybody else is dropped, and so is one that begins otherwise
     * (`rejected_proxy` counts them).
     */
    bool proxy_protocol;
    /**
     * Permissions of the file of a unix socket, such as 0660: whoever may write to it may connect.
     * They hold before the first connection is taken. 0 for what the process's umask leaves. Of no
     * effect for TCP.
     */
    uint32_t unix_mode;
} roomcast_listen_options;

/**
 * What happens to members that are too slow, where neither their room's options nor their own say
 * otherwise. Default `ROOMCAST_SLOW_POLICY_DISCONNECT`.
 *
 * @param policy one of `roomcast_slow_policy`
 */
roomcast_status roomcast_config_set_slow_policy(roomcast_config *config,
                                                uint32_t policy);

/**
 * Sets options of all rooms whose names begin with a prefix; of several prefixes that fit the
 * longest counts. They are looked at when a room comes to be. Whether they can work is checked
 * when an engine starts.
 *
 * @param prefix such as "ticker:"; empty for all rooms. One that was named before gets these
 *        options.
 * @param options what holds; NULL for all defaults
 */
roomcast_status roomcast_config_set_room_options(roomcast_config *config,
                                                 roomcast_str prefix,
                                                 const roomcast_room_options *options);

/**
 * Adds a TCP listener, as `roomcast_config_add_listener`, with options of its own.
 *
 * @param address `host:port`
 * @param options what holds; NULL for all defaults
 */
roomcast_status roomcast_config_add_listener_with(roomcast_config *config,
                                                  roomcast_str address,
                                                  const roomcast_listen_options *options);

/**
 * Adds a unix socket, as `roomcast_config_add_unix_listener`, with options of its own.
 *
 * @param path where the socket is
 * @param options what holds; NULL for all defaults
 */
roomcast_status roomcast_config_add_unix_listener_with(roomcast_config *config,
                                                       roomcast_str path,
                                                       const roomcast_listen_options *options);

/* ------------------------------------------------------------------------------------------
 * Tokens
 * ------------------------------------------------------------------------------------------ */

/**
 * How a JWT is signed, and so what its key is.
 */
typedef enum roomcast_algorithm {
    /**
     * A secret of at least 32 bytes that is shared with whoever makes the tokens. Let it be
     * random: whoever has seen a token may guess at it for ever.
     */
    ROOMCAST_ALGORITHM_HS256 = 1,
    /**
     * An RSA key of 2048 to 8192 bits: a public key in PEM.
     */
    ROOMCAST_ALGORITHM_RS256 = 2,
    /**
     * A key on the curve P-256: a public key in PEM.
     */
    ROOMCAST_ALGORITHM_ES256 = 3,
    /**
     * An Ed25519 key: a public key in PEM.
     */
    ROOMCAST_ALGORITHM_EDDSA = 4,
} roomcast_algorithm;

/**
 * Checks a token of the host's own kind (`roomcast_auth_new_native`).
 *
 * - Thread: one of the engine's own, or the one in `roomcast_engine_turn`; that of the call, in
 *   `roomcast_connection_refresh` and `roomcast_upgrade_new`. Several at a time, where there are
 *   several shards.
 * - Pointers: `claims` is valid until it returns.
 * - Blocking: no. Meanwhile the connections of its shard wait.
 * - Calls: as in `roomcast_event_fn`.
 * - After the stop: none.
 * - It must return: no C++ exception and no longjmp may leave it.
 *
 * @param user_data what `roomcast_auth_new_native` was given
 * @param token what the peer has sent, at most `token_bytes_max` bytes
 * @param now_s seconds since 1970
 * @param claims to be filled by `roomcast_claims_set_...` and `_allow` with what it says
 * @return `ROOMCAST_STATUS_OK` for a genuine token; `ROOMCAST_STATUS_TOKEN_EXPIRED` where its time
 *         is over; any other number where it is not valid
 */
typedef uint32_t (*roomcast_verify_fn)(void *user_data,
                                       roomcast_str token,
                                       uint64_t now_s,
                                       roomcast_claims *claims);

/**
 * Makes keys without any, which find no token valid; 5 seconds of leeway.
 *
 * @param keys gets them
 * @return `ROOMCAST_STATUS_NOT_BUILT` where the library knows no JWT
 */
roomcast_status roomcast_keys_new(roomcast_keys **keys);

/**
 * Lets go of keys; what they were given to keeps them. NULL does nothing.
 */
void roomcast_keys_free(roomcast_keys *keys);

/**
 * Adds a key; there may be 256.
 *
 * @param algorithm one of `roomcast_algorithm`
 * @param id by which tokens name it (`kid`), at most 255 bytes: tokens that name another are not
 *        tried with it; empty for none
 * @param key the secret, or the PEM
 * @param why if not NULL, gets a sentence that says what is wrong with it
 * @param why_size bytes that `why` has place for
 * @return `ROOMCAST_STATUS_TOKEN_KEY` for a key that cannot be used
 */
roomcast_status roomcast_keys_add(roomcast_keys *keys,
                                  uint32_t algorithm,
                                  roomcast_str id,
                                  roomcast_bytes key,
                                  char *why,
                                  size_t why_size);

/**
 * Adds the keys of a JWK Set (RFC 7517), with the ids that they have there. Those that are of no
 * use here are passed over: of another kind or algorithm, for encryption, too small, or malformed.
 *
 * @param set the JSON
 * @param why as in `roomcast_keys_add`
 * @param why_size bytes that `why` has place for
 * @return `ROOMCAST_STATUS_TOKEN_KEY` for what is no JWK Set, or has no key that can be used
 */
roomcast_status roomcast_keys_add_jwks(roomcast_keys *keys,
                                       roomcast_str set,
                                       char *why,
                                       size_t why_size);

/**
 * Tokens must be made by this issuer, or by another that is added so: their `iss` is compared as
 * text. Without any, `iss` does not count.
 *
 * @param issuer such as "https://login.example"
 */
roomcast_status roomcast_keys_add_issuer(roomcast_keys *keys,
                                         roomcast_str issuer);

/**
 * Tokens must be meant for this audience, or for another that is added so: it is, or is in, their
 * `aud`. Without any, tokens with an `aud` are refused, since they are meant for others.
 *
 * @param audience such as "board"
 */
roomcast_status roomcast_keys_add_audience(roomcast_keys *keys,
                                           roomcast_str audience);

/**
 * Seconds by which the clock of whoever makes the tokens may differ from ours: a token is valid so
 * much before its `nbf` and so much beyond its `exp`, and so is the connection that it opened.
 * Default 5.
 */
roomcast_status roomcast_keys_set_leeway(roomcast_keys *keys,
                                         uint64_t seconds);

/**
 * Every WebSocket needs a token that is a JWT, signed with one of these keys.
 *
 * @param keys copied, as they are now
 * @param auth gets the new value
 */
roomcast_status roomcast_auth_new(const roomcast_keys *keys,
                                  roomcast_auth **auth);

/**
 * Every WebSocket needs a token that a function of the host's finds valid.
 *
 * @param user_data given to `call`
 * @param call the function
 * @param free called once with `user_data` when neither this, a configuration nor an engine needs
 *        it any more; may be NULL. Where this function fails, it is not called.
 * @param auth gets the new value
 */
roomcast_status roomcast_auth_new_native(void *user_data,
                                         roomcast_verify_fn call,
                                         roomcast_free_fn free,
                                         roomcast_auth **auth);

/**
 * Lets go of it; configurations and engines that it was given to go on. NULL does nothing.
 */
void roomcast_auth_free(roomcast_auth *auth);

/**
 * Looks for tokens in this header field: alone, or behind `Bearer `.
 *
 * @param name such as "Authorization", in any case
 */
roomcast_status roomcast_auth_set_header(roomcast_auth *auth,
                                         roomcast_str name);

/**
 * Looks for tokens in this query value. Proxies write queries to their logs, so let such tokens
 * be short-lived.
 *
 * @param name such as "token"
 */
roomcast_status roomcast_auth_set_query(roomcast_auth *auth,
                                        roomcast_str name);

/**
 * Looks for tokens in this cookie. Browsers send cookies with requests of any page, so mind
 * `roomcast_config_set_origins`.
 *
 * @param name the cookie's name
 */
roomcast_status roomcast_auth_set_cookie(roomcast_auth *auth,
                                         roomcast_str name);

/**
 * Looks for a token in the first message: a browser can set no header, and a message is in
 * nobody's log. The WebSocket is opened at once, but the host hears of it only when the token has
 * come, within `handshake_timeout_ms`; else it is closed with 4401.
 * Later messages that begin so are new tokens, as for `roomcast_connection_refresh`, and are not
 * told to the host.
 *
 * @param begins the text that stands before the token, such as "token "
 */
roomcast_status roomcast_auth_set_message(roomcast_auth *auth,
                                          roomcast_str begins);

/**
 * Sets what a connection is sent as a text message when its token is about to expire, in
 * `token_notice_ms`. Default: nothing; the host is told in any case (`ROOMCAST_EVENT_EXPIRING`).
 *
 * @param text the message
 */
roomcast_status roomcast_auth_set_notice(roomcast_auth *auth,
                                         roomcast_str text);

/**
 * Whether a WebSocket without any token is let through to the host, as nobody. One with a token
 * that is not valid is turned away in any case. Default false.
 */
roomcast_status roomcast_auth_set_optional(roomcast_auth *auth, bool optional);

/**
 * Sets how peers prove who they are. Default: they do not, and the host decides by itself.
 *
 * A WebSocket without a valid token is turned away with 401 before the host hears of it, and an
 * address that has brought `token_failures_max` bad ones within a minute with 429.
 *
 * @param auth copied
 */
roomcast_status roomcast_config_set_auth(roomcast_config *config,
                                         const roomcast_auth *auth);

/**
 * Has tokens checked by the keys or the function of this from now on, in place of what
 * `roomcast_config_set_auth` was given: after keys have changed. Where tokens are looked for stays
 * as it was, and live connections keep what theirs said.
 *
 * @param auth copied
 * @return `ROOMCAST_STATUS_CONFIG` for an engine that was started without any
 */
roomcast_status roomcast_engine_reload_auth(const roomcast_engine *engine,
                                            const roomcast_auth *auth);

/**
 * Gives a connection a new token in place of the one it has, or of none. Its user stays: a token
 * of another user changes nothing, and is counted (`tokens_refused`). The token is checked on this
 * thread; what it says counts within a turn.
 *
 * @param token what the peer has sent
 * @return `ROOMCAST_STATUS_TOKEN`, `_TOKEN_EXPIRED` or `_TOKEN_REVOKED`, and then the connection
 *         goes on as before; `_CONFIG` for an engine without `roomcast_config_set_auth`; `_GONE`;
 *         `_STOPPED`
 */
roomcast_status roomcast_connection_refresh(const roomcast_engine *engine,
                                            uint64_t connection,
                                            roomcast_str token);

/**
 * The same for a host that finds out by itself who a peer is (claims in `roomcast_accept`): from
 * now on these hold of the connection, within a turn. Claims of another user change nothing.
 *
 * @param claims copied
 * @return `ROOMCAST_STATUS_GONE`; `_STOPPED`
 */
roomcast_status roomcast_connection_refresh_claims(const roomcast_engine *engine,
                                                   uint64_t connection,
                                                   const roomcast_claims *claims);

/**
 * Closes a connection with 4004, at once. It may come back, even with the same token.
 *
 * @return `ROOMCAST_STATUS_GONE`; `_STOPPED`
 */
roomcast_status roomcast_connection_revoke(const roomcast_engine *engine,
                                           uint64_t connection);

/**
 * Closes all connections of a user with 4004, at once, and keeps out its tokens that were made by
 * now (`iat` of this second or before, or none), for the life of the engine and within
 * `revocations_max`. What other processes have to know, tell them too.
 *
 * @param user as tokens and accepts have it
 */
roomcast_status roomcast_user_revoke(const roomcast_engine *engine,
                                     roomcast_str user);

/**
 * Closes the connections with the token of this id (`jti`) with 4004, at once, and keeps that
 * token out, as `roomcast_user_revoke`.
 *
 * @param token_id the token's own name
 */
roomcast_status roomcast_token_revoke(const roomcast_engine *engine,
                                      roomcast_str token_id);

/* ------------------------------------------------------------------------------------------
 * TLS
 * ------------------------------------------------------------------------------------------ */

/**
 * Makes it without any certificate: one at least is to be added.
 *
 * @param tls gets the new value
 * @return `ROOMCAST_STATUS_NOT_BUILT` where the library speaks no TLS
 */
roomcast_status roomcast_tls_new(roomcast_tls **tls);

/**
 * Lets go of it; what it was given to keeps the certificates. NULL does nothing.
 */
void roomcast_tls_free(roomcast_tls *tls);

/**
 * Adds a certificate, with those that certify it behind it, and its private key, both in PEM; they
 * may stand in one text. Keys are PKCS#8, SEC 1 or PKCS#1; ECDSA P-256 costs a tenth of what RSA
 * does.
 *
 * @param certificate PEM
 * @param key PEM
 * @param why if not NULL, gets a sentence that says what is wrong with which of the two
 * @param why_size bytes that `why` has place for
 * @return `ROOMCAST_STATUS_CERTIFICATE` for what cannot be used
 */
roomcast_status roomcast_tls_add_pair(roomcast_tls *tls,
                                      roomcast_bytes certificate,
                                      roomcast_bytes key,
                                      char *why,
                                      size_t why_size);

/**
 * Adds a certificate and its private key, as `roomcast_tls_add_pair`, from two files, or twice the
 * same one. They are read now.
 *
 * @param certificate the file's path
 * @param key the file's path
 * @param why if not NULL, gets a sentence that names the file, and says what is wrong
 * @param why_size bytes that `why` has place for; 512 are enough for most paths
 * @return also `ROOMCAST_STATUS_IO` for a file that cannot be read
 */
roomcast_status roomcast_tls_add_files(roomcast_tls *tls,
                                       roomcast_str certificate,
                                       roomcast_str key,
                                       char *why,
                                       size_t why_size);

/**
 * With true TLS 1.2 is refused. Default false.
 */
roomcast_status roomcast_tls_set_tls13_only(roomcast_tls *tls, bool only);

/**
 * Sets the certificates of the listeners with `tls` in their `roomcast_listen_options`.
 *
 * @param tls copied
 */
roomcast_status roomcast_config_set_tls(roomcast_config *config,
                                        const roomcast_tls *tls);

/**
 * Serves new TLS handshakes with these certificates from now on. No connection is dropped: those
 * that are there go on under the keys that they have, handshakes on their way under the
 * certificate that they were shown, and tickets that were given out stay good.
 *
 * @param tls copied
 * @param why if not NULL, gets a sentence that says what is wrong
 * @param why_size bytes that `why` has place for
 * @return `ROOMCAST_STATUS_CERTIFICATE` where it has none; `_CONFIG` for an engine that was
 *         started without any; `_STOPPED`. What was served before goes on being served then.
 */
roomcast_status roomcast_engine_reload_tls(const roomcast_engine *engine,
                                           const roomcast_tls *tls,
                                           char *why,
                                           size_t why_size);

/* ------------------------------------------------------------------------------------------
 * The engine
 * ------------------------------------------------------------------------------------------ */

/**
 * How stopping went.
 */
typedef struct roomcast_stop_report {
    /**
     * Connections that were open when the stop began.
     */
    size_t connections;
    /**
     * Of these, how many were still there when `stop_timeout_ms` was over and were cut.
     */
    size_t cut;
    /**
     * Milliseconds that it took.
     */
    uint64_t took_ms;
} roomcast_stop_report;

/**
 * Starts an engine: opens the listeners, starts the threads, and returns. Callbacks may come
 * before it has returned.
 *
 * @param config what it runs on; copied
 * @param engine gets the engine
 * @param why if not NULL, gets a sentence that says what is wrong: which setting or address
 * @param why_size bytes that `why` has place for; 256 are enough
 * @return `ROOMCAST_STATUS_CONFIG` or `ROOMCAST_STATUS_IO`, and then nothing is left running
 */
roomcast_status roomcast_engine_new(const roomcast_config *config,
                                    roomcast_engine **engine,
                                    char *why,
                                    size_t why_size);

/**
 * Stops an engine that has not been stopped (as `roomcast_engine_stop`) and lets go of it. NULL
 * does nothing.
 *
 * When it returns, no callback runs any more (but one that the stop gave up on), and what was
 * given with finalizers has been let go of, but for what a configuration or an event that was
 * taken still holds. In a callback it returns at once instead: the engine stops in its own time
 * (without threads of its own, before the `roomcast_engine_turn` around it returns), callbacks may
 * come until then, and their finalizer tells that the last one has been.
 * `engine` came from `roomcast_engine_new`, and after this call nobody uses it; in a callback the
 * argument `engine` of later callbacks stays usable.
 */
void roomcast_engine_free(roomcast_engine *engine);

/**
 * Stops: no new connections, peers are told (1001, spread over `stop_spread_ms`), what they are
 * owed is sent, and after `stop_timeout_ms` whoever is left is cut. Returns when that is done and
 * the last callback has returned; calling it again returns the same report.
 *
 * Waits, but not for ever: a callback that never returns is given up after five seconds more.
 *
 * @param report gets how it went; may be NULL
 * @return `ROOMCAST_STATUS_ON_SHARD` in a callback: the stop has begun, and ends when the
 *         callback has returned. `ROOMCAST_STATUS_TIMED_OUT` where a callback was given up. It
 *         works on a broken engine too.
 */
roomcast_status roomcast_engine_stop(const roomcast_engine *engine,
                                     roomcast_stop_report *report);

/**
 * As `roomcast_engine_stop`, with another timeout than `stop_timeout_ms`.
 *
 * @param timeout_ms milliseconds after which connections are cut
 * @param report gets how it went; may be NULL
 */
roomcast_status roomcast_engine_stop_within(const roomcast_engine *engine,
                                            uint64_t timeout_ms,
                                            roomcast_stop_report *report);

/**
 * Begins to stop and returns at once, anywhere; `roomcast_engine_stop` waits for the end. Without
 * threads of its own the host goes on calling `roomcast_engine_turn`.
 */
roomcast_status roomcast_engine_begin_stop(const roomcast_engine *engine);

/**
 * Whether the engine is stopping or has stopped; true for NULL.
 */
bool roomcast_engine_is_stopping(const roomcast_engine *engine);

/**
 * Whether an internal error has happened, in a call or on a thread of the engine. It stops by
 * itself then; calls answer `ROOMCAST_STATUS_BROKEN`, and stopping and letting go still work.
 */
bool roomcast_engine_is_broken(const roomcast_engine *engine);

/**
 * How many TCP listeners there are; 0 for NULL.
 */
size_t roomcast_engine_address_count(const roomcast_engine *engine);

/**
 * Where a TCP listener listens.
 *
 * @param index of the listener among the TCP listeners, in the order of the configuration
 * @param address gets text such as "127.0.0.1:8080" or "[::1]:8080", valid while the engine is;
 *        may be NULL
 * @param port gets the port; may be NULL
 * @return `ROOMCAST_STATUS_INVALID_ARGUMENT` where there is no such listener
 */
roomcast_status roomcast_engine_address(const roomcast_engine *engine,
                                        size_t index,
                                        roomcast_str *address,
                                        uint16_t *port);

/**
 * The value of a limit that the engine runs on.
 *
 * @param limit one of `roomcast_limit`
 * @param value gets it
 */
roomcast_status roomcast_engine_limit(const roomcast_engine *engine,
                                      uint32_t limit,
                                      uint64_t *value);

/**
 * The descriptor to watch for readability in the host's own loop; never read it, never close it.
 * It stays the same and open until `roomcast_engine_free`.
 *
 * - Of an engine without threads of its own: when it is readable, or the time is over that
 *   `roomcast_engine_next_turn_ms` gave, call `roomcast_engine_turn`.
 * - Of one with threads and no callback: while it is readable, `roomcast_engine_drain` has
 *   something to give, or the end.
 *
 * @param fd gets the descriptor
 * @return `ROOMCAST_STATUS_WRONG_MODE` for an engine with threads and a callback
 */
roomcast_status roomcast_engine_fd(const roomcast_engine *engine,
                                   int32_t *fd);

/**
 * One turn of an engine without threads of its own: waits, then does what there is to do, and
 * calls the callback from inside, on this thread.
 *
 * @param timeout_ms milliseconds to wait at most, 0 for none; negative until there is something
 * @return `ROOMCAST_STATUS_STOPPED` once the engine has stopped, `ROOMCAST_STATUS_ON_SHARD` in a
 *         callback or while another thread turns it, `ROOMCAST_STATUS_WRONG_MODE` for an engine
 *         with threads of its own
 */
roomcast_status roomcast_engine_turn(const roomcast_engine *engine,
                                     int64_t timeout_ms);

/**
 * How long a host that turns the engine may sleep on its descriptor.
 *
 * @param ms gets milliseconds until the next turn is due: 0 while work is left over, -1 for as
 *        long as the descriptor is not readable, and in a callback
 * @return `ROOMCAST_STATUS_STOPPED` or `ROOMCAST_STATUS_WRONG_MODE`, as `roomcast_engine_turn`
 */
roomcast_status roomcast_engine_next_turn_ms(const roomcast_engine *engine,
                                             int64_t *ms);

/* ------------------------------------------------------------------------------------------
 * Taking events
 * ------------------------------------------------------------------------------------------ */

/**
 * Takes events that wait, without waiting: for a host with a loop of its own, that watches
 * `roomcast_engine_fd`. Several threads may take from one engine; each event goes to one of them.
 *
 * Each event counts against `connection_events_max` until it is given back, so a connection whose
 * events the host does not get through is not read from; the others are.
 *
 * @param struct_size `sizeof(roomcast_event)`
 * @param capacity how many events the array has place for; at least 1
 * @param events gets up to `capacity` events, to be given to `roomcast_events_free`
 * @param count gets how many; 0 where none wait
 * @return `ROOMCAST_STATUS_STOPPED` once the engine has stopped and all events are taken,
 *         `ROOMCAST_STATUS_WRONG_MODE` for an engine with a callback
 */
roomcast_status roomcast_engine_drain(const roomcast_engine *engine,
                                      size_t struct_size,
                                      size_t capacity,
                                      roomcast_event *events,
                                      size_t *count);

/**
 * Waits until an event can be taken, then takes as `roomcast_engine_drain`: for a host that has a
 * thread for it.
 *
 * @param timeout_ms milliseconds to wait at most; negative for as long as it takes
 * @param struct_size `sizeof(roomcast_event)`
 * @param capacity how many events the array has place for; at least 1
 * @param events gets up to `capacity` events, to be given to `roomcast_events_free`
 * @param count gets how many, at least 1
 * @return `ROOMCAST_STATUS_TIMED_OUT` when none came; `ROOMCAST_STATUS_STOPPED` once the engine
 *         has stopped and all events are taken; `ROOMCAST_STATUS_WRONG_MODE` for an engine with a
 *         callback, or without threads of its own
 */
roomcast_status roomcast_engine_wait(const roomcast_engine *engine,
                                     int64_t timeout_ms,
                                     size_t struct_size,
                                     size_t capacity,
                                     roomcast_event *events,
                                     size_t *count);

/**
 * Gives events back that `roomcast_engine_drain` or `_wait` gave: what they point to is gone then,
 * and their connections may send more. From any thread, in any order, also after
 * `roomcast_engine_free`. Each event is set to zero, so giving it back twice does nothing.
 *
 * An event that is not given back keeps its memory, and its connection is soon not read from.
 *
 * @param struct_size `sizeof(roomcast_event)`
 * @param count how many
 * @param events the first of them; NULL does nothing
 */
void roomcast_events_free(size_t struct_size,
                          size_t count,
                          roomcast_event *events);

/* ------------------------------------------------------------------------------------------
 * Ways to be a member
 * ------------------------------------------------------------------------------------------ */

/**
 * How a connection is a member of a room: what it is sent, and when. Set `struct_size`, and the
 * rest to zero where it is not needed; all zero is everything, as the room's options say.
 */
typedef struct roomcast_join {
    /**
     * `sizeof(roomcast_join)`.
     */
    size_t struct_size;
    /**
     * Only what it matches, which stays the host's; NULL for everything.
     */
    const roomcast_filter *filter;
    /**
     * Only what has one of these keys, an array of `key_count`: a watch-list, which
     * `roomcast_connection_watch` and `_unwatch` change.
     */
    const roomcast_str *keys;
    /**
     * How many keys.
     */
    size_t key_count;
    /**
     * Instead of the room's flush interval, in milliseconds; `ROOMCAST_EACH_TURN` for none; 0 for
     * the room's.
     */
    uint32_t flush_interval_ms;
    /**
     * Instead of the room's policy, one of `roomcast_slow_policy`; 0 for the room's.
     */
    uint32_t slow_policy;
    /**
     * There is a watch-list, though it is empty: nothing is sent until keys are watched. Where
     * `key_count` is not 0 there is one anyway.
     */
    bool watches;
} roomcast_join;

/* ------------------------------------------------------------------------------------------
 * Verdicts
 * ------------------------------------------------------------------------------------------ */

/**
 * How a connection is accepted. Set `struct_size`, and the rest to zero where it is not needed.
 */
typedef struct roomcast_accept {
    /**
     * `sizeof(roomcast_accept)`.
     */
    size_t struct_size;
    /**
     * Who it is, for `roomcast_user_send`; one user may have many connections. Empty: who its
     * token says that it is, and anonymous where there is none.
     */
    roomcast_str user;
    /**
     * Rooms to be in from the first moment: an array of `room_count` names. One that is empty or
     * longer than `room_name_bytes_max` is left out and logged.
     */
    const roomcast_str *rooms;
    /**
     * How many rooms.
     */
    size_t room_count;
    /**
     * How it is a member of each, an array of `room_count` pointers; NULL among them, or instead
     * of the array, is `roomcast_connection_join`. A room with a key that is too long is left out
     * and logged.
     */
    const roomcast_join *const *joins;
    /**
     * The subprotocol, one of those offered; another is left out of the answer. May be empty.
     */
    roomcast_str subprotocol;
    /**
     * Data of the host's, found again in every event of the connection.
     */
    void *data;
    /**
     * Called once with `data` after the last event of the connection; may be NULL. The engine may
     * be used in it, unless the event that was last is given back after `roomcast_engine_free`.
     */
    roomcast_free_fn data_free;
    /**
     * What a token would have said, for hosts that find out by themselves who a peer is: its user
     * (where `user` is empty), when that ends to hold, what it may do. Instead of what its token
     * says, if it had one. Stays the host's; NULL for none.
     */
    const roomcast_claims *claims;
    /**
     * What others are told of it in rooms with presence (`roomcast_room_options`): a value in
     * JSON, best a small one. What is no JSON is left out and logged. Empty: what its claims say.
     */
    roomcast_str info;
} roomcast_accept;

/**
 * Lets a connection in that `ROOMCAST_EVENT_CONNECTING` told of: in the callback or later, from
 * any thread, within `verdict_timeout_ms`. From the return of this call on it is sent what is
 * published to its rooms.
 *
 * @param connection the event's `connection`
 * @param accept as whom and where to; NULL for whom its token says, and nowhere. Its `data` is the
 *        engine's when this call returns `ROOMCAST_STATUS_OK`; else it stays the host's.
 * @return `ROOMCAST_STATUS_ANSWERED` for a second answer; `ROOMCAST_STATUS_GONE` when the peer is
 *         known to have gone, its time is over, or there never was a connection of this id
 */
roomcast_status roomcast_connection_accept(const roomcast_engine *engine,
                                           uint64_t connection,
                                           const roomcast_accept *accept);

/**
 * Turns a connection away, as `roomcast_connection_accept` lets it in.
 *
 * @param connection the event's `connection`
 * @param http_status 400 to 599
 * @param text a line for the client; may be empty
 * @return as `roomcast_connection_accept`
 */
roomcast_status roomcast_connection_refuse(const roomcast_engine *engine,
                                           uint64_t connection,
                                           uint32_t http_status,
                                           roomcast_str text);

/* ------------------------------------------------------------------------------------------
 * Publishing
 * ------------------------------------------------------------------------------------------ */

/**
 * What became of a publication. This struct never grows.
 */
typedef struct roomcast_published {
    /**
     * Its number in the room, counted from 1 in each epoch; of the first room of several. 0 when
     * the room did not exist, and so had no members.
     */
    uint64_t offset;
    /**
     * Members of the room when it was numbered, exclusions not subtracted; of several rooms the
     * sum, which is an upper bound.
     */
    size_t members;
} roomcast_published;

/**
 * A tag of a publication. This struct never grows.
 */
typedef struct roomcast_tag {
    /**
     * Its name.
     */
    roomcast_str name;
    /**
     * Its value.
     */
    roomcast_str value;
} roomcast_tag;

/**
 * A publication with all that can be said of it. Set `struct_size`, and the rest to zero where it
 * is not needed.
 */
typedef struct roomcast_publication {
    /**
     * `sizeof(roomcast_publication)`.
     */
    size_t struct_size;
    /**
     * One of `roomcast_kind`.
     */
    uint32_t kind;
    /**
     * The payload.
     */
    roomcast_bytes data;
    /**
     * To the members of these rooms, an array of `room_count` names; a member of several is sent
     * it once. `roomcast_room_publish_with` wants none.
     */
    const roomcast_str *rooms;
    /**
     * How many rooms.
     */
    size_t room_count;
    /**
     * But not to these connections, an array of `except_count` ids: for instance the sender.
     */
    const uint64_t *except;
    /**
     * How many connections.
     */
    size_t except_count;
    /**
     * And not to members of these rooms, an array of `except_room_count` names.
     */
    const roomcast_str *except_rooms;
    /**
     * How many rooms.
     */
    size_t except_room_count;
    /**
     * What kind of event it is, for filters; none where `data` is NULL, which is not the same as
     * the empty text. Like key and tags it is not on the wire.
     */
    roomcast_str event;
    /**
     * What it is about, at most `key_bytes_max` bytes; none where `data` is NULL. Newer news of
     * the same key takes its place where a room conflates, and for members whose policy is
     * `ROOMCAST_SLOW_POLICY_LATEST`; members may watch keys (`roomcast_join`).
     */
    roomcast_str key;
    /**
     * Names and values for filters, an array of `tag_count`. Of two with one name the first
     * counts. With event, key and payload they count for `publication_bytes_max`.
     */
    const roomcast_tag *tags;
    /**
     * How many tags.
     */
    size_t tag_count;
} roomcast_publication;

/**
 * Does something (`roomcast_engine_corked`), on the thread and before the return of that call.
 *
 * @param user_data what that call was given
 */
typedef void (*roomcast_work_fn)(void *user_data);

/**
 * Publishes to all members of a room. Never blocks on a peer. Publishing to a room that nobody is
 * in is no error: it has 0 members and, where it does not even exist, no offset.
 *
 * @param room the room's name
 * @param kind one of `roomcast_kind`
 * @param data the payload, copied
 * @param published gets what became of it; may be NULL
 * @return `ROOMCAST_STATUS_BEHIND` and `ROOMCAST_STATUS_OVERLOADED` pass with time; also
 *         `_PAYLOAD_TOO_LARGE`, `_ROOM_NAME`, `_STOPPED`. Nobody was sent it then.
 */
roomcast_status roomcast_engine_publish(const roomcast_engine *engine,
                                        roomcast_str room,
                                        uint32_t kind,
                                        roomcast_bytes data,
                                        roomcast_published *published);

/**
 * Publishes to one or several rooms, with exclusions and labels. It is numbered in each room, or
 * refused in all.
 *
 * @param publication what, where, and who is left out
 * @param published gets what became of it; may be NULL
 * @return as `roomcast_engine_publish`; `ROOMCAST_STATUS_KEY`
 */
roomcast_status roomcast_engine_publish_with(const roomcast_engine *engine,
                                             const roomcast_publication *publication,
                                             roomcast_published *published);

/**
 * Publishes to one room, as `roomcast_engine_publish_with`, and tells later what became of it:
 * when all members in step have been offered it, `ROOMCAST_EVENT_DELIVERED` comes with its token.
 * That may be before this call returns, on another thread. It costs a walk over the members, so
 * track what matters.
 *
 * @param publication what, where (`room_count` is 1), and who is left out
 * @param token gets the number by which the event is known, never used twice in the engine's life
 * @param published gets what became of it; may be NULL
 * @return as `roomcast_engine_publish_with`; then there is no event
 */
roomcast_status roomcast_engine_publish_tracked(const roomcast_engine *engine,
                                                const roomcast_publication *publication,
                                                uint64_t *token,
                                                roomcast_published *published);

/**
 * Sends a message to every open connection.
 *
 * @param kind one of `roomcast_kind`
 * @param data the payload, copied
 * @return as `roomcast_engine_publish`
 */
roomcast_status roomcast_engine_send_all(const roomcast_engine *engine,
                                         uint32_t kind,
                                         roomcast_bytes data);

/**
 * Sends a message to all connections of a user; none is no error.
 *
 * @param user as connections were accepted
 * @param kind one of `roomcast_kind`
 * @param data the payload, copied
 * @return as `roomcast_engine_publish`
 */
roomcast_status roomcast_user_send(const roomcast_engine *engine,
                                   roomcast_str user,
                                   uint32_t kind,
                                   roomcast_bytes data);

/**
 * Calls a function, and has what it publishes and sends on this thread leave together, in one
 * write to each member: for a host that works off a batch of events. Nothing is held back for
 * longer than a millisecond, and calls that wait for a shard are not held back.
 *
 * @param user_data given to `work`
 * @param work called once, before this returns, if it returns `ROOMCAST_STATUS_OK`
 */
roomcast_status roomcast_engine_corked(const roomcast_engine *engine,
                                       void *user_data,
                                       roomcast_work_fn work);

/* ------------------------------------------------------------------------------------------
 * Filters
 * ------------------------------------------------------------------------------------------ */

/**
 * What of a publication a filter looks at.
 */
typedef enum roomcast_field {
    /**
     * The tag of a name.
     */
    ROOMCAST_FIELD_TAG = 1,
    /**
     * Its event.
     */
    ROOMCAST_FIELD_EVENT = 2,
    /**
     * Its key.
     */
    ROOMCAST_FIELD_KEY = 3,
} roomcast_field;

/**
 * What a filter asks of a value.
 */
typedef enum roomcast_question {
    /**
     * Is it one of these? Of none it never is.
     */
    ROOMCAST_QUESTION_ONE_OF = 1,
    /**
     * Is there one, whatever it is? Takes no values.
     */
    ROOMCAST_QUESTION_EXISTS = 2,
    /**
     * Does it begin with one of these?
     */
    ROOMCAST_QUESTION_STARTS_WITH = 3,
    /**
     * Does it end with one of these?
     */
    ROOMCAST_QUESTION_ENDS_WITH = 4,
    /**
     * Is one of these somewhere in it?
     */
    ROOMCAST_QUESTION_CONTAINS = 5,
} roomcast_question;

/**
 * How a filter compares a value, which must be a number, with a bound.
 */
typedef enum roomcast_comparison {
    /**
     * It is less.
     */
    ROOMCAST_COMPARISON_LESS = 1,
    /**
     * It is less, or the same.
     */
    ROOMCAST_COMPARISON_LESS_OR_EQUAL = 2,
    /**
     * It is greater.
     */
    ROOMCAST_COMPARISON_GREATER = 3,
    /**
     * It is greater, or the same.
     */
    ROOMCAST_COMPARISON_GREATER_OR_EQUAL = 4,
} roomcast_comparison;

/**
 * Decides about a publication (`roomcast_filter_new_native`).
 *
 * - Thread: one of the engine's own, or the one in `roomcast_engine_turn`; that of the call, in
 *   `roomcast_filter_matches`. Several at a time, where there are several shards.
 * - Pointers: all are valid until it returns.
 * - Blocking: no. Meanwhile the connections of its shard wait.
 * - Calls: as in `roomcast_event_fn`. Asked about one publication it must always answer the same:
 *   it is asked once for all members that have the filter.
 * - After the stop: none.
 * - It must return: no C++ exception and no longjmp may leave it.
 *
 * @param user_data what `roomcast_filter_new_native` was given
 * @param labels what the publication says of itself
 * @param data its payload
 * @return whether members with this filter are sent it
 */
typedef bool (*roomcast_predicate_fn)(void *user_data,
                                      const roomcast_labels *labels,
                                      roomcast_bytes data);

/**
 * What kind of event it is; none for NULL.
 */
roomcast_str roomcast_labels_event(const roomcast_labels *labels);

/**
 * What it is about; none for NULL.
 */
roomcast_str roomcast_labels_key(const roomcast_labels *labels);

/**
 * The value of the first tag of this name; none where there is none.
 */
roomcast_str roomcast_labels_tag(const roomcast_labels *labels,
                                 roomcast_str name);

/**
 * One of the tags, in the order of the publication.
 *
 * @param index from 0 on
 * @param name gets its name; may be NULL
 * @param value gets its value; may be NULL
 * @return whether there is such a tag
 */
bool roomcast_labels_tag_at(const roomcast_labels *labels,
                            size_t index,
                            roomcast_str *name,
                            roomcast_str *value);

/**
 * Makes a filter from its text, in the syntax of CEL: `tags.side == "ask"`,
 * `double(tags.price) > 100.5 && key in ["BTC", "ETH"]`, `has(tags.side)`,
 * `event.startsWith("trade.")`. What a comparison asks of a label that is missing is unknown, also
 * negated, and a filter that is unknown as a whole does not match.
 *
 * Of values that the host did not choose itself make a filter by `roomcast_filter_new_ask`, so
 * that they cannot be read as syntax.
 *
 * @param text at most 16 KiB
 * @param filter gets the filter
 * @param why if not NULL, gets a sentence that says at which byte of the text it is wrong
 * @param why_size bytes that `why` has place for
 * @return `ROOMCAST_STATUS_FILTER` for a text that is no filter
 */
roomcast_status roomcast_filter_new(roomcast_str text,
                                    roomcast_filter **filter,
                                    char *why,
                                    size_t why_size);

/**
 * Makes a filter of a function. It may be part of other filters, which ask it only where the rest
 * has not decided.
 *
 * @param name says which predicate it is: two of one name are taken for the same
 * @param user_data given to `call`
 * @param call the function
 * @param free called once with `user_data` when neither a filter that it is part of nor a member
 *        needs it any more; may be NULL. Where this function fails, it is not called.
 * @param filter gets the filter
 * @return `ROOMCAST_STATUS_FILTER` for a name of more than 16 KiB
 */
roomcast_status roomcast_filter_new_native(roomcast_str name,
                                           void *user_data,
                                           roomcast_predicate_fn call,
                                           roomcast_free_fn free,
                                           roomcast_filter **filter);

/**
 * Makes a filter that matches what all of these match; everything, of none.
 *
 * @param filters an array of `count` filters, which stay the host's
 * @param filter gets the filter
 * @return `ROOMCAST_STATUS_FILTER` where it would be too large (256 questions) or too deep (32)
 */
roomcast_status roomcast_filter_new_all(const roomcast_filter *const *filters,
                                        size_t count,
                                        roomcast_filter **filter);

/**
 * Makes a filter that matches what one of these matches; nothing, of none.
 *
 * @param filters an array of `count` filters, which stay the host's
 * @param filter gets the filter
 * @return as `roomcast_filter_new_all`
 */
roomcast_status roomcast_filter_new_any(const roomcast_filter *const *filters,
                                        size_t count,
                                        roomcast_filter **filter);

/**
 * Makes the opposite of a filter. What is unknown to that is unknown to this, so neither matches.
 *
 * @param of stays the host's
 * @param filter gets the filter
 * @return as `roomcast_filter_new_all`
 */
roomcast_status roomcast_filter_new_not(const roomcast_filter *of,
                                        roomcast_filter **filter);

/**
 * Makes a filter of a question.
 *
 * @param field one of `roomcast_field`
 * @param tag the tag's name; of other fields it means nothing
 * @param question one of `roomcast_question`
 * @param values an array of `count` values
 * @param filter gets the filter
 * @return as `roomcast_filter_new_all`
 */
roomcast_status roomcast_filter_new_ask(uint32_t field,
                                        roomcast_str tag,
                                        uint32_t question,
                                        const roomcast_str *values,
                                        size_t count,
                                        roomcast_filter **filter);

/**
 * Makes a filter that compares a value with a number. Of a value that is no number the answer is
 * unknown.
 *
 * @param field one of `roomcast_field`
 * @param tag the tag's name; of other fields it means nothing
 * @param comparison one of `roomcast_comparison`
 * @param bound what is compared with
 * @param filter gets the filter
 * @return `ROOMCAST_STATUS_FILTER` for an infinite bound and one that is no number
 */
roomcast_status roomcast_filter_new_compare(uint32_t field,
                                            roomcast_str tag,
                                            uint32_t comparison,
                                            double bound,
                                            roomcast_filter **filter);

/**
 * A filter's text in its canonical form, by which filters are compared; valid as long as the
 * filter. `roomcast_filter_new` makes the same filter of it, unless a native predicate is in it.
 * None for NULL.
 */
roomcast_str roomcast_filter_text(const roomcast_filter *filter);

/**
 * Whether a filter matches a publication. Rooms and exclusions mean nothing here.
 *
 * @param publication its labels and data
 * @param matches gets the answer
 */
roomcast_status roomcast_filter_matches(const roomcast_filter *filter,
                                        const roomcast_publication *publication,
                                        bool *matches);

/**
 * Lets go of a filter; members that joined with it keep it. NULL does nothing.
 */
void roomcast_filter_free(roomcast_filter *filter);

/* ------------------------------------------------------------------------------------------
 * Connections
 * ------------------------------------------------------------------------------------------ */

/**
 * A place in a room's sequence of publications. This struct never grows.
 */
typedef struct roomcast_position {
    /**
     * Which life of the room: a room that emptied and came back has another.
     */
    uint64_t epoch;
    /**
     * The number of the newest publication before this place; 0 before the first.
     */
    uint64_t offset;
} roomcast_position;

/**
 * Whether a connection is there: it is open, or waits for a verdict. At once; a connection that
 * is there now may close at any moment.
 */
bool roomcast_connection_is_open(const roomcast_engine *engine, uint64_t connection);

/**
 * Sends a message to one connection, in its place among the publications of its rooms. One that
 * still waits for a verdict is there, but is sent nothing before it is accepted.
 *
 * @param kind one of `roomcast_kind`
 * @param data the payload, copied
 * @return `ROOMCAST_STATUS_GONE` for a connection that has closed; else as
 *         `roomcast_engine_publish`
 */
roomcast_status roomcast_connection_send(const roomcast_engine *engine,
                                         uint64_t connection,
                                         uint32_t kind,
                                         roomcast_bytes data);

/**
 * Makes a connection a member of a room: it is sent everything that is published after this call,
 * and nothing that was published before. Joining twice is joining once.
 *
 * @param room the room's name
 * @param position gets where in the room's sequence it begins; may be NULL
 * @return `ROOMCAST_STATUS_GONE`, `_ROOM_NAME` or `_STOPPED`. A connection that is in
 *         `connection_rooms_max` rooms is not reported here.
 */
roomcast_status roomcast_connection_join(const roomcast_engine *engine,
                                         uint64_t connection,
                                         roomcast_str room,
                                         roomcast_position *position);

/**
 * Makes a connection a member of a room, as `roomcast_connection_join`, with a filter, a
 * watch-list, or another pace or policy than the room's. Of a member already it changes how it is
 * one, between two publications.
 *
 * @param room the room's name
 * @param join how; NULL for everything, as the room's options say
 * @param position gets where in the room's sequence it begins; may be NULL
 * @return also `ROOMCAST_STATUS_KEY`. A join beyond `room_filters_max` or `connection_filters_max`
 *         has no effect and is counted (`joins_refused_filters`), keys beyond
 *         `connection_keys_max` are not watched and counted (`watches_refused`).
 */
roomcast_status roomcast_connection_join_with(const roomcast_engine *engine,
                                              uint64_t connection,
                                              roomcast_str room,
                                              const roomcast_join *join,
                                              roomcast_position *position);

/**
 * Adds keys to the watch-list of a member that joined with one: it is sent what is published of
 * them after this call. For others it does nothing.
 *
 * @param room the room's name
 * @param keys an array of `count` keys
 * @return `ROOMCAST_STATUS_GONE`, `_ROOM_NAME` or `_STOPPED`; `_KEY` for one that is longer than
 *         `key_bytes_max`, and then none is added
 */
roomcast_status roomcast_connection_watch(const roomcast_engine *engine,
                                          uint64_t connection,
                                          roomcast_str room,
                                          const roomcast_str *keys,
                                          size_t count);

/**
 * Takes keys off the watch-list of a member: it is sent nothing that is published of them after
 * this call.
 *
 * @param room the room's name
 * @param keys an array of `count` keys
 * @return as `roomcast_connection_watch`
 */
roomcast_status roomcast_connection_unwatch(const roomcast_engine *engine,
                                            uint64_t connection,
                                            roomcast_str room,
                                            const roomcast_str *keys,
                                            size_t count);

/**
 * Ends a membership: what is published after this call is not sent to the connection. Not being a
 * member is no error. Until its shard has seen to it, about a turn, counts and lists of members
 * may still have it.
 *
 * @return `ROOMCAST_STATUS_GONE`, `_ROOM_NAME` or `_STOPPED`
 */
roomcast_status roomcast_connection_leave(const roomcast_engine *engine,
                                          uint64_t connection,
                                          roomcast_str room);

/**
 * Closes a connection, after what it is owed. What it has sent and the host was not told of by
 * then is dropped.
 *
 * @param code 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455 section 7.4)
 * @param text a line for the client, cut at 123 bytes; may be empty
 * @return `ROOMCAST_STATUS_GONE`, `_CLOSE_CODE` or `_STOPPED`
 */
roomcast_status roomcast_connection_close(const roomcast_engine *engine,
                                          uint64_t connection,
                                          uint32_t code,
                                          roomcast_str text);

/**
 * Names of the rooms that a connection is in. Waits for its shard, about a turn.
 *
 * @param rooms gets the names, in no order, to be let go of by `roomcast_names_free`
 * @return `ROOMCAST_STATUS_GONE`; `_ON_SHARD` in a callback, and as the head of this file says;
 *         `_STOPPED`
 */
roomcast_status roomcast_connection_rooms(const roomcast_engine *engine,
                                          uint64_t connection,
                                          roomcast_names **rooms);

/**
 * All open connections. Waits for the shards, about a turn.
 *
 * @param connections gets their ids, in no order, to be let go of by `roomcast_ids_free`
 * @return `ROOMCAST_STATUS_ON_SHARD` as in `roomcast_connection_rooms`; `_STOPPED`
 */
roomcast_status roomcast_engine_connections(const roomcast_engine *engine,
                                            roomcast_ids **connections);

/* ------------------------------------------------------------------------------------------
 * Permission
 * ------------------------------------------------------------------------------------------ */

/**
 * Allows it: from the return of this call on the peer is a member, or what it said is published.
 *
 * @return `ROOMCAST_STATUS_ANSWERED` for a second answer. `ROOMCAST_STATUS_GONE` where nothing has
 *         come of it, and it is denied: the peer has gone, its time is over, or the room or the
 *         engine takes no more for now. `ROOMCAST_STATUS_STOPPED`.
 */
roomcast_status roomcast_wish_allow(const roomcast_wish *wish);

/**
 * Does not allow it. The peer is not told: say so in words that it knows.
 *
 * @return `ROOMCAST_STATUS_ANSWERED` for a second answer
 */
roomcast_status roomcast_wish_deny(const roomcast_wish *wish);

/**
 * Keeps a wish beyond its event, to be answered later.
 *
 * @param wish an event's, or one that was kept
 * @param kept gets it, to be let go of by `roomcast_wish_free`
 */
roomcast_status roomcast_wish_keep(const roomcast_wish *wish,
                                   roomcast_wish **kept);

/**
 * Whose wish it is; 0 for NULL.
 */
uint64_t roomcast_wish_connection(const roomcast_wish *wish);

/**
 * One of `roomcast_verb`; 0 for NULL.
 */
uint32_t roomcast_wish_verb(const roomcast_wish *wish);

/**
 * The room's name, valid as long as the wish; none for NULL.
 */
roomcast_str roomcast_wish_room(const roomcast_wish *wish);

/**
 * Lets go of a wish that was kept. NULL does nothing.
 */
void roomcast_wish_free(roomcast_wish *wish);

/**
 * A peer asks to join a room: call this for what peers say, and `roomcast_connection_join` for
 * what the host itself wants. If its token allows that it joins; else the host decides
 * (`ROOMCAST_EVENT_PERMISSION`), within `verdict_timeout_ms`.
 *
 * @param room the room's name
 * @param join how; NULL for everything, as the room's options say
 * @return as `roomcast_connection_join_with`; that it is not allowed is not reported here
 */
roomcast_status roomcast_connection_request_join(const roomcast_engine *engine,
                                                 uint64_t connection,
                                                 roomcast_str room,
                                                 const roomcast_join *join);

/**
 * A peer asks to publish to a room, as `roomcast_connection_request_join`. Name its own connection
 * in `except` if it shall not be sent what it said.
 *
 * @param publication what, where (`room_count` is 1), and who is left out
 * @return `ROOMCAST_STATUS_GONE`; else as `roomcast_engine_publish_with`, for what nobody could
 *         publish. What is refused later, when it was allowed, is counted (`refused`).
 */
roomcast_status roomcast_connection_request_publish(const roomcast_engine *engine,
                                                    uint64_t connection,
                                                    const roomcast_publication *publication);

/* ------------------------------------------------------------------------------------------
 * Rooms
 * ------------------------------------------------------------------------------------------ */

/**
 * Members of a room, 0 for one that does not exist.
 *
 * @param room the room's name
 * @param members gets how many
 */
roomcast_status roomcast_engine_count(const roomcast_engine *engine,
                                      roomcast_str room,
                                      size_t *members);

/**
 * Names and member counts of all rooms.
 *
 * @param rooms gets them, in no order, to be let go of by `roomcast_names_free`
 */
roomcast_status roomcast_engine_rooms(const roomcast_engine *engine,
                                      roomcast_names **rooms);

/**
 * The members of a room. Waits for the shards, about a turn.
 *
 * @param room the room's name
 * @param members gets their ids, in no order, to be let go of by `roomcast_ids_free`
 * @return `ROOMCAST_STATUS_ON_SHARD` as in `roomcast_connection_rooms`, unless the room does not
 *         exist; `_STOPPED`
 */
roomcast_status roomcast_engine_members(const roomcast_engine *engine,
                                        roomcast_str room,
                                        roomcast_ids **members);

/**
 * Holds a room: publishing through its number looks no name up, and while it is held it exists,
 * with its numbering.
 *
 * @param name the room's name
 * @param room gets its number, never 0, to be let go of by `roomcast_room_release`
 * @return `ROOMCAST_STATUS_ROOM_NAME`
 */
roomcast_status roomcast_room_hold(const roomcast_engine *engine,
                                   roomcast_str name,
                                   uint64_t *room);

/**
 * Lets go of a held room; its number is stale from then on. What is still held goes with the
 * engine.
 *
 * @return `ROOMCAST_STATUS_GONE` for a number that is not held
 */
roomcast_status roomcast_room_release(const roomcast_engine *engine, uint64_t room);

/**
 * Publishes to all members of a held room, as `roomcast_engine_publish`.
 *
 * @param kind one of `roomcast_kind`
 * @param data the payload, copied
 * @param published gets what became of it; may be NULL
 * @return `ROOMCAST_STATUS_GONE` for a number that is not held; else as `roomcast_engine_publish`
 */
roomcast_status roomcast_room_publish(const roomcast_engine *engine,
                                      uint64_t room,
                                      uint32_t kind,
                                      roomcast_bytes data,
                                      roomcast_published *published);

/**
 * Publishes to all members of a held room, with exclusions and labels.
 *
 * @param publication what, and who is left out; its `room_count` is 0
 * @param published gets what became of it; may be NULL
 * @return as `roomcast_room_publish`; `ROOMCAST_STATUS_KEY`
 */
roomcast_status roomcast_room_publish_with(const roomcast_engine *engine,
                                           uint64_t room,
                                           const roomcast_publication *publication,
                                           roomcast_published *published);

/**
 * Publishes to all members of a held room, and tells later what became of it, as
 * `roomcast_engine_publish_tracked`.
 *
 * @param publication what, and who is left out; its `room_count` is 0
 * @param token gets the number by which the event is known
 * @param published gets what became of it; may be NULL
 * @return as `roomcast_room_publish_with`; then there is no event
 */
roomcast_status roomcast_room_publish_tracked(const roomcast_engine *engine,
                                              uint64_t room,
                                              const roomcast_publication *publication,
                                              uint64_t *token,
                                              roomcast_published *published);

/**
 * Members of a held room now.
 *
 * @param members gets how many
 */
roomcast_status roomcast_room_members(const roomcast_engine *engine,
                                      uint64_t room,
                                      size_t *members);

/**
 * Epoch and offset of a held room now.
 *
 * @param position gets them
 */
roomcast_status roomcast_room_position(const roomcast_engine *engine,
                                       uint64_t room,
                                       roomcast_position *position);

/**
 * The name of a held room.
 *
 * @param name gets it, valid until the room is released
 */
roomcast_status roomcast_room_name(const roomcast_engine *engine,
                                   uint64_t room,
                                   roomcast_str *name);

/* ------------------------------------------------------------------------------------------
 * Presence
 * ------------------------------------------------------------------------------------------ */

/**
 * How many are in a room. This struct never grows.
 */
typedef struct roomcast_presence {
    /**
     * Connections that are members.
     */
    size_t members;
    /**
     * Users that these were accepted as; of one with several connections one, of anonymous
     * connections none.
     */
    size_t users;
    /**
     * Whether users are counted: in rooms with `presence` in their `roomcast_room_options`. In
     * others `users` is 0.
     */
    bool counts_users;
} roomcast_presence;

/**
 * How many are in a room, at once, however many they are; nobody in one that does not exist.
 *
 * @param room the room's name
 * @param presence gets the counts
 */
roomcast_status roomcast_engine_presence(const roomcast_engine *engine,
                                         roomcast_str room,
                                         roomcast_presence *presence);

/**
 * Who is in a room with `presence` in its `roomcast_room_options`, page by page, without a wait
 * for shards. While pages are taken others may come and go; whoever is there all the time is on
 * exactly one of them. In a room without presence nobody is: ask `roomcast_engine_members` there.
 *
 * @param room the room's name
 * @param after 0 for the first page; then what `roomcast_present_next` gave of the one before
 * @param limit how many at most, within `presence_page_max`; 0 for as many as that
 * @param present gets them, to be let go of by `roomcast_present_free`
 */
roomcast_status roomcast_engine_present(const roomcast_engine *engine,
                                        roomcast_str room,
                                        uint64_t after,
                                        size_t limit,
                                        roomcast_present **present);

/**
 * How many are in a held room, as `roomcast_engine_presence`.
 *
 * @param presence gets the counts
 * @return `ROOMCAST_STATUS_GONE` for a number that is not held
 */
roomcast_status roomcast_room_presence(const roomcast_engine *engine,
                                       uint64_t room,
                                       roomcast_presence *presence);

/**
 * Who is in a held room, as `roomcast_engine_present`.
 *
 * @param after as there
 * @param limit as there
 * @param present gets them, to be let go of by `roomcast_present_free`
 * @return `ROOMCAST_STATUS_GONE` for a number that is not held
 */
roomcast_status roomcast_room_present(const roomcast_engine *engine,
                                      uint64_t room,
                                      uint64_t after,
                                      size_t limit,
                                      roomcast_present **present);

/**
 * How many are on the page; 0 for NULL.
 */
size_t roomcast_present_count(const roomcast_present *present);

/**
 * One of them.
 *
 * @param index below `roomcast_present_count`
 * @param connection gets the connection; may be NULL
 * @param user gets the user that it was accepted as, valid as long as the page; `data` is NULL
 *        where it is anonymous; may be NULL
 * @param info gets what it was accepted with for others to see, JSON, likewise; may be NULL
 */
roomcast_status roomcast_present_at(const roomcast_present *present,
                                    size_t index,
                                    uint64_t *connection,
                                    roomcast_str *user,
                                    roomcast_str *info);

/**
 * Where the next page begins; 0 when this is the last one, and for NULL.
 */
uint64_t roomcast_present_next(const roomcast_present *present);

/**
 * Lets go of a page. NULL does nothing.
 */
void roomcast_present_free(roomcast_present *present);

/* ------------------------------------------------------------------------------------------
 * Lists and texts
 * ------------------------------------------------------------------------------------------ */

/**
 * How many; 0 for NULL.
 */
size_t roomcast_ids_count(const roomcast_ids *ids);

/**
 * The array of them, valid as long as the list; NULL for NULL.
 */
const uint64_t *roomcast_ids_data(const roomcast_ids *ids);

/**
 * Lets go of a list. NULL does nothing.
 */
void roomcast_ids_free(roomcast_ids *ids);

/**
 * How many; 0 for NULL.
 */
size_t roomcast_names_count(const roomcast_names *names);

/**
 * One of them.
 *
 * @param index below `roomcast_names_count`
 * @param name gets its name, valid as long as the list; may be NULL
 * @param members gets how many members it had; may be NULL
 */
roomcast_status roomcast_names_at(const roomcast_names *names,
                                  size_t index,
                                  roomcast_str *name,
                                  size_t *members);

/**
 * Lets go of a list. NULL does nothing.
 */
void roomcast_names_free(roomcast_names *names);

/**
 * Its bytes, valid as long as it is; none for NULL.
 */
roomcast_str roomcast_text_str(const roomcast_text *text);

/**
 * Lets go of a text. NULL does nothing.
 */
void roomcast_text_free(roomcast_text *text);

/* ------------------------------------------------------------------------------------------
 * Sockets of your own HTTP server
 * ------------------------------------------------------------------------------------------ */

/**
 * A header field of a request.
 */
typedef struct roomcast_header {
    /**
     * Its name, in any case.
     */
    roomcast_str name;
    /**
     * Its value.
     */
    roomcast_bytes value;
} roomcast_header;

/**
 * Takes over a connected socket whose request is not read, or not fully: the engine reads, checks
 * and answers it, as for a connection of its own listeners.
 *
 * @param fd a connected TCP or unix stream socket. The engine's when this call returns
 *        `ROOMCAST_STATUS_OK`; else it stays the host's, perhaps in non-blocking mode.
 * @param head what the host has read of it already
 * @return `ROOMCAST_STATUS_OVERLOADED` when `connections_max` connections are open; `_IO`;
 *         `_STOPPED`; `_INVALID_ARGUMENT` for what is no such socket
 */
roomcast_status roomcast_engine_adopt(const roomcast_engine *engine,
                                      int32_t fd,
                                      roomcast_bytes head);

/**
 * Checks a request that came to the host's own HTTP server. There is no connecting event for it:
 * the host decides itself.
 *
 * @param method such as "GET"
 * @param target path and query as sent: "/ws?room=7"
 * @param headers an array of `count` header fields
 * @param upgrade gets the checked request, also where it is none that can be upgraded
 * @return `ROOMCAST_STATUS_INVALID_ARGUMENT` for what is no HTTP at all
 */
roomcast_status roomcast_upgrade_new(const roomcast_engine *engine,
                                     roomcast_str method,
                                     roomcast_str target,
                                     const roomcast_header *headers,
                                     size_t count,
                                     roomcast_upgrade **upgrade);

/**
 * The HTTP status of the response: 101 where the socket can be handed over, else 400, 401 (no
 * valid token: `roomcast_config_set_auth`), 403, 405 or 426; 0 for NULL.
 */
uint32_t roomcast_upgrade_status(const roomcast_upgrade *upgrade);

/**
 * What the token of the request says, which was checked (`roomcast_config_set_auth`); valid until
 * the next call about this upgrade. NULL where no token is asked for, or it is optional and was
 * not there, where the status is not 101, and for NULL.
 */
const roomcast_claims *roomcast_upgrade_claims(const roomcast_upgrade *upgrade);

/**
 * Says how the connection is accepted. Before sending the response, which names the subprotocol.
 *
 * @param accept as in `roomcast_connection_accept`
 * @return `ROOMCAST_STATUS_NOT_UPGRADE` where the status is not 101
 */
roomcast_status roomcast_upgrade_accept(roomcast_upgrade *upgrade,
                                        const roomcast_accept *accept);

/**
 * The response to send, head and body, valid until the next call about this upgrade.
 */
roomcast_str roomcast_upgrade_response(const roomcast_upgrade *upgrade);

/**
 * Takes the socket over, once the response was sent. It is sent what is published to its rooms
 * from when its shard has it, about a turn later, though its peer has seen the response before;
 * its opened event says so.
 *
 * @param fd as in `roomcast_engine_adopt`
 * @param leftover what the host has read behind the request's head
 * @return `ROOMCAST_STATUS_NOT_UPGRADE` where the status is not 101, or it was handed over
 *         before; else as `roomcast_engine_adopt`. But for `_INVALID_ARGUMENT` it is spent, and
 *         its data let go of.
 */
roomcast_status roomcast_upgrade_adopt(roomcast_upgrade *upgrade,
                                       int32_t fd,
                                       roomcast_bytes leftover);

/**
 * Lets go of an upgrade. The connection, if it was handed over, goes on. NULL does nothing.
 */
void roomcast_upgrade_free(roomcast_upgrade *upgrade);

/* ------------------------------------------------------------------------------------------
 * Figures
 * ------------------------------------------------------------------------------------------ */

/**
 * How long something took, in nanoseconds: upper bounds of shares of all that were recorded since
 * the start. This struct never grows.
 */
typedef struct roomcast_durations {
    /**
     * How many were recorded.
     */
    uint64_t count;
    /**
     * Half of them took at most so long.
     */
    uint64_t p50_ns;
    /**
     * Nine of ten.
     */
    uint64_t p90_ns;
    /**
     * 99 of 100.
     */
    uint64_t p99_ns;
    /**
     * All of them.
     */
    uint64_t max_ns;
} roomcast_durations;

/**
 * The engine's figures at one moment; counters count from the start.
 */
typedef struct roomcast_snapshot {
    /**
     * `sizeof(roomcast_snapshot)`, set by the host before the call.
     */
    size_t struct_size;
    /**
     * Connections now, handshakes included.
     */
    uint64_t connections;
    /**
     * Sockets accepted or adopted.
     */
    uint64_t accepted;
    /**
     * WebSockets opened.
     */
    uint64_t opened;
    /**
     * Sockets answered with 503, or dropped, because of `connections_max`.
     */
    uint64_t rejected_full;
    /**
     * Sockets answered with 429 because of `address_connections_max`.
     */
    uint64_t rejected_address;
    /**
     * Connections turned away with 429 (or, adopted when they were open, closed with 1008) because
     * of `user_connections_max`.
     */
    uint64_t rejected_user;
    /**
     * Requests answered with 503 because of `events_max`.
     */
    uint64_t rejected_events;
    /**
     * Upgrades that the host's verdict refused, or that it gave no answer to.
     */
    uint64_t rejected_host;
    /**
     * Requests answered with 503 because no verdict came within `verdict_timeout_ms`.
     */
    uint64_t rejected_verdict_timeout;
    /**
     * Connections that had to begin with a PROXY header and did not, or came from an address that
     * may not send one: dropped.
     */
    uint64_t rejected_proxy;
    /**
     * Upgrades without a valid token: answered with 401, or closed with 4401 after their first
     * message.
     */
    uint64_t rejected_token;
    /**
     * Upgrades answered with 429 because of `token_failures_max`.
     */
    uint64_t rejected_guessing;
    /**
     * Upgrades answered with 403: pages of an origin that may not connect.
     */
    uint64_t rejected_origin;
    /**
     * Requests answered with 431: a head of more than `head_bytes_max`, or too many fields.
     */
    uint64_t rejected_head_size;
    /**
     * Connections without a complete head within `handshake_timeout_ms`: answered with 408, or
     * just closed where they had said nothing.
     */
    uint64_t rejected_head_timeout;
    /**
     * Requests that are malformed or ask for what is not spoken here (400, 405, 413, 426, 505).
     */
    uint64_t rejected_invalid;
    /**
     * Requests answered with 404: there is no such page.
     */
    uint64_t rejected_path;
    /**
     * Requests answered with 503 because `memory_bytes_max` was nearly used up.
     */
    uint64_t rejected_memory;
    /**
     * Requests answered with 503 because the engine was stopping.
     */
    uint64_t rejected_stopping;
    /**
     * Requests answered with an error status by the engine, or by the host's verdict, for
     * whichever of these reasons.
     */
    uint64_t rejected_http;
    /**
     * TLS connections now, handshakes included.
     */
    uint64_t tls_connections;
    /**
     * TLS handshakes that were completed.
     */
    uint64_t tls_handshakes;
    /**
     * Of these, the ones that went on with an earlier session.
     */
    uint64_t tls_resumed;
    /**
     * TLS connections that ended because of what the peer sent: no TLS, no common version, a
     * broken record.
     */
    uint64_t tls_failed;
    /**
     * Times that a TLS handshake was put off to the next turn because of `tls_budget_us`.
     */
    uint64_t tls_put_off;
    /**
     * Tokens that were found valid, of new connections and of live ones.
     */
    uint64_t tokens_accepted;
    /**
     * Tokens that were not, of new connections and of live ones.
     */
    uint64_t tokens_refused;
    /**
     * What peers asked for in rooms and was allowed, by their grants or by the host.
     */
    uint64_t permissions_granted;
    /**
     * What peers asked for in rooms and was not allowed, or not within `verdict_timeout_ms`.
     */
    uint64_t permissions_denied;
    /**
     * Notices of who came and who went, made for rooms with presence.
     */
    uint64_t presence_notices;
    /**
     * Times that a room's interval ended without a notice because it has more members than
     * `presence_notice_members_max`.
     */
    uint64_t presence_passed;
    /**
     * Times that the process had no file descriptor for a waiting connection.
     */
    uint64_t accept_exhausted;
    /**
     * Times that accepting was put off because `handshakes_max` were in flight.
     */
    uint64_t accept_paused;
    /**
     * Times that accepting was put off because of `accept_rate_max`.
     */
    uint64_t accept_paced;
    /**
     * Messages received.
     */
    uint64_t messages_in;
    /**
     * Messages, pings and pongs beyond `message_rate_max`: nobody was told of them.
     */
    uint64_t messages_refused;
    /**
     * Peers closed with 1002: a frame that the protocol does not allow.
     */
    uint64_t violations_frame;
    /**
     * Peers closed with 1007: text that is not UTF-8.
     */
    uint64_t violations_text;
    /**
     * Peers closed with 1007: a compressed message that does not inflate.
     */
    uint64_t violations_deflate;
    /**
     * Peers closed with 1009: a message larger than `message_bytes_max`, as it came or inflated.
     */
    uint64_t violations_size;
    /**
     * Peers closed with 1009: a message in more than `message_fragments_max` fragments.
     */
    uint64_t violations_fragments;
    /**
     * Pings of peers.
     */
    uint64_t pings_in;
    /**
     * Pongs dropped because their peer does not read: of those that wait, the newest is sent.
     */
    uint64_t pongs_dropped;
    /**
     * Bytes read from sockets.
     */
    uint64_t bytes_in;
    /**
     * Bytes written to sockets.
     */
    uint64_t bytes_out;
    /**
     * Publications handed to delivery groups.
     */
    uint64_t publications;
    /**
     * Messages sent to single connections, users or all.
     */
    uint64_t sends;
    /**
     * Frames written: one for each publication and member, each private message, and what ends a
     * connection (a close frame, an HTTP response).
     */
    uint64_t deliveries;
    /**
     * Writes; `deliveries / writes` is what batching gains.
     */
    uint64_t writes;
    /**
     * Messages compressed for peers: once for all of them with the same window.
     */
    uint64_t deflated;
    /**
     * Payload bytes of those before.
     */
    uint64_t deflate_bytes_in;
    /**
     * Payload bytes of those after.
     */
    uint64_t deflate_bytes_out;
    /**
     * Nanoseconds that compressing took.
     */
    uint64_t deflate_ns;
    /**
     * Publications that went as they are because those of their room do not shrink.
     */
    uint64_t deflate_passed;
    /**
     * Times that a room's publications were found not to shrink, so that the next ones pass.
     */
    uint64_t deflate_switched_off;
    /**
     * Messages of peers inflated, those given up included.
     */
    uint64_t inflated;
    /**
     * Payload bytes of those before.
     */
    uint64_t inflate_bytes_in;
    /**
     * Payload bytes of those after; one that is given up counts as `message_bytes_max`.
     */
    uint64_t inflate_bytes_out;
    /**
     * Times that reading went on in the next turn: this one had read (or inflated) its share.
     */
    uint64_t intake_paused;
    /**
     * Memberships that began.
     */
    uint64_t joins;
    /**
     * Joins without effect: the connection was in `connection_rooms_max` rooms.
     */
    uint64_t joins_refused;
    /**
     * Joins without effect: `room_filters_max` or `connection_filters_max` filters are there.
     */
    uint64_t joins_refused_filters;
    /**
     * Keys not watched: their connections watch `connection_keys_max`.
     */
    uint64_t watches_refused;
    /**
     * Memberships that ended.
     */
    uint64_t leaves;
    /**
     * Publications times members that were not sent them, by their filters or their keys.
     */
    uint64_t filtered;
    /**
     * Times that a filter decided; once for each publication and distinct filter of a shard.
     */
    uint64_t filters_asked;
    /**
     * Publications that a newer one of the same key took the place of within an interval, once for
     * each delivery group.
     */
    uint64_t conflated;
    /**
     * Publications that slow members were not sent, each told to the host.
     */
    uint64_t lagged;
    /**
     * Those of them for which the member was sent a newer one of the same key
     * (`ROOMCAST_SLOW_POLICY_LATEST`).
     */
    uint64_t replaced;
    /**
     * Publications that volatile members were not sent, because their sockets took nothing or to
     * save memory.
     */
    uint64_t volatile_dropped;
    /**
     * Connections given up as too slow.
     */
    uint64_t too_slow;
    /**
     * Publications that slow members were sent from the history of their room
     * (`ROOMCAST_SLOW_POLICY_REPLAY`).
     */
    uint64_t replayed;
    /**
     * Bytes that tapes hold now.
     */
    uint64_t tape_bytes;
    /**
     * Bytes that wait for single connections now.
     */
    uint64_t outbox_bytes;
    /**
     * Bytes of commands that wait for shards now.
     */
    uint64_t inbox_bytes;
    /**
     * Bytes of messages of peers that have not arrived whole.
     */
    uint64_t assembly_bytes;
    /**
     * Bytes that `memory_bytes_max` is for: tapes, outboxes, inboxes, messages in the making and,
     * of the whole engine, untaken events, histories and presence.
     */
    uint64_t memory_bytes;
    /**
     * Connections closed with 1013 in the middle of a message, since `memory_bytes_max` was used
     * up.
     */
    uint64_t memory_cut;
    /**
     * Times that a shard went up the ladder of saving memory.
     */
    uint64_t memory_rungs_entered;
    /**
     * Times that a shard went down the ladder of saving memory.
     */
    uint64_t memory_rungs_left;
    /**
     * Shards that save memory by wider flush intervals.
     */
    uint64_t memory_widen;
    /**
     * Shards that send volatile members nothing, to save memory.
     */
    uint64_t memory_volatile_off;
    /**
     * Shards whose tapes may hold a quarter of `tape_bytes_max` only, to save memory.
     */
    uint64_t memory_short_tapes;
    /**
     * Shards that turn new connections away, to save memory.
     */
    uint64_t memory_no_connections;
    /**
     * Shards that take no publications, because `memory_bytes_max` is used up.
     */
    uint64_t memory_full;
    /**
     * Steps by which flush intervals are widened now, of all shards together.
     */
    uint64_t interval_steps;
    /**
     * Times that flush intervals were widened by a step because publications were late.
     */
    uint64_t intervals_widened;
    /**
     * Times that flush intervals were narrowed by a step.
     */
    uint64_t intervals_narrowed;
    /**
     * Bytes of the tables that hold connections now: sockets, readers, timers, addresses, rates,
     * and two memberships of each, free places included. Neither what waits (`tape_bytes`,
     * `outbox_bytes`), further memberships and the members of rooms, messages in the making, nor
     * what the kernel keeps.
     */
    uint64_t connection_bytes;
    /**
     * Turns of the shards.
     */
    uint64_t turns;
    /**
     * Nanoseconds in which shards were in a turn, without the wait.
     */
    uint64_t busy_ns;
    /**
     * Nanoseconds of CPU that the shards' own threads took, a few milliseconds late; 0 where the
     * host turns the engine.
     */
    uint64_t cpu_ns;
    /**
     * Failures inside: a socket that could not be registered, a poller that failed, a callback
     * that panicked. The log says which.
     */
    uint64_t errors;
    /**
     * Reads put off because the host did not take its events or a peer its messages.
     */
    uint64_t reads_paused;
    /**
     * Rooms that exist.
     */
    uint64_t rooms;
    /**
     * Publications and messages that were refused, by any handle.
     */
    uint64_t refused;
    /**
     * Reports of tracked publications that were dropped because `events_max` events waited.
     */
    uint64_t reports_dropped;
    /**
     * Bytes of events that wait for the host.
     */
    uint64_t event_bytes;
    /**
     * Bytes of the histories of rooms.
     */
    uint64_t history_bytes;
    /**
     * Connections that ended, by `roomcast_close_reason`.
     */
    uint64_t closed[16];
    /**
     * How long turns took, without the wait.
     */
    roomcast_durations turn;
    /**
     * From publishing until a turn took the publication from its shard's inbox, behind the reading
     * and the callbacks of that turn; one sample a turn, of the oldest publication that it took.
     */
    roomcast_durations turn_lag;
    /**
     * From publishing until the last member in step had been offered the publication; one sample a
     * sweep, of its oldest publication.
     */
    roomcast_durations publish_to_flush;
    /**
     * The same, of rooms with at most 64 members on their shard only.
     */
    roomcast_durations publish_to_flush_small;
} roomcast_snapshot;

/**
 * The engine's figures at one moment.
 *
 * @param figures with `struct_size` set; gets the figures
 */
roomcast_status roomcast_engine_snapshot(const roomcast_engine *engine,
                                         roomcast_snapshot *figures);

/**
 * The figures of one shard alone, to see which one is hot. `rooms`, `refused`, `reports_dropped`,
 * `event_bytes` and `history_bytes` are the engine's and 0 here.
 *
 * @param shard from 0 on
 * @param figures with `struct_size` set; gets the figures
 * @return `ROOMCAST_STATUS_INVALID_ARGUMENT` also where there is no such shard
 */
roomcast_status roomcast_engine_shard_snapshot(const roomcast_engine *engine,
                                               size_t shard,
                                               roomcast_snapshot *figures);

/**
 * The engine's figures as Prometheus reads them (`text/plain; version=0.0.4`), with what each is.
 *
 * @param text gets them, to be let go of by `roomcast_text_free`
 */
roomcast_status roomcast_engine_metrics(const roomcast_engine *engine,
                                        roomcast_text **text);

/* ------------------------------------------------------------------------------------------
 * Shorthands
 * ------------------------------------------------------------------------------------------ */

/**
 * The text of a string that ends with a zero; no text for NULL. It points to the string.
 */
static inline roomcast_str roomcast_str_of(const char *string) {
    roomcast_str text;
    text.data = string;
    text.len = string ? strlen(string) : 0;
    return text;
}

/**
 * So many bytes from here on. It points to them.
 */
static inline roomcast_bytes roomcast_bytes_of(const void *data, size_t len) {
    roomcast_bytes bytes;
    bytes.data = data;
    bytes.len = len;
    return bytes;
}

#ifdef __cplusplus
}
#endif

#endif
