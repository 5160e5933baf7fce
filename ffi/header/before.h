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
