/* The suite's own test runner: tests register themselves, each runs in a child process of its
 * own with a deadline. Checks end the child at once, on any thread. */
#ifndef SUITE_H
#define SUITE_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "roomcast.h"

/* What a test is besides ordinary; `suite --with` and `--without` choose by these. */
enum suite_tag {
    PLAIN = 0,
    THREADS = 1, /* several threads of the host's: what TSan is for */
    HEAVY = 2,   /* too much for an interpreter such as Valgrind */
    MEASURES = 4 /* looks at its own process, which instrumentation changes */
};

typedef void (*suite_fn)(void);

void suite_add(const char *file, const char *name, unsigned tags, unsigned seconds, suite_fn run);

/* A test: TEST(name, tags, seconds until its deadline) { ... } */
#define TEST(name, tags, seconds)                                                                \
    static void name(void);                                                                      \
    __attribute__((constructor)) static void register_##name(void) {                             \
        suite_add(__FILE__, #name, tags, seconds, name);                                         \
    }                                                                                            \
    static void name(void)

/* Fewer rounds where everything is slow: SUITE_SLOW in the environment divides, 1 by default. */
int suite_rounds(int rounds);
unsigned suite_slow(void);

/* Where the test is, for the message of the deadline. */
void suite_at(const char *file, int line, const char *what);
void suite_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void suite_nap(void);
uint64_t suite_now_ms(void);

void check_status(const char *file, int line, const char *what, int wanted, int got);
void check_number(const char *file, int line, const char *what, uint64_t wanted, uint64_t got);
void check_text(const char *file, int line, const char *what, const char *wanted,
                roomcast_str got);
void check_has(const char *file, int line, const char *part, const char *whole);

#define CHECK(what)                                                                              \
    do {                                                                                         \
        if (!(what)) suite_fail(__FILE__, __LINE__, "not so: %s", #what);                        \
    } while (0)
/* IS(GONE, roomcast_...(...)): the call gives that status. */
#define IS(status, call) check_status(__FILE__, __LINE__, #call, ROOMCAST_STATUS_##status, call)
#define OK(call) IS(OK, call)
#define EQ(wanted, got)                                                                          \
    check_number(__FILE__, __LINE__, #got, (uint64_t)(wanted), (uint64_t)(got))
#define TEXT(wanted, got) check_text(__FILE__, __LINE__, #got, wanted, got)
#define HAS(part, whole) check_has(__FILE__, __LINE__, part, whole)
/* Polls until it is so; the deadline of the test says where it waited in vain. */
#define UNTIL(what)                                                                              \
    do {                                                                                         \
        suite_at(__FILE__, __LINE__, #what);                                                     \
        while (!(what)) suite_nap();                                                             \
    } while (0)

#define LOAD(place) __atomic_load_n(&(place), __ATOMIC_SEQ_CST)
#define STORE(place, value) __atomic_store_n(&(place), value, __ATOMIC_SEQ_CST)
#define COUNT_UP(place) __atomic_add_fetch(&(place), 1, __ATOMIC_SEQ_CST)

#define S(text) roomcast_str_of(text)
#define B(text) roomcast_bytes_of(text, strlen(text))
#define TEXT_KIND ROOMCAST_KIND_TEXT
#define BINARY_KIND ROOMCAST_KIND_BINARY
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#endif
