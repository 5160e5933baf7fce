/* NULLS of filters, labels and ways to be a member; see nulls.h. */
#include <math.h>

#include "nulls.h"

#define BAD_SIZES(type) {0, 1, sizeof(size_t), sizeof(type) - 8}

NULLS(roomcast_filter_new) {
    PLACE(roomcast_filter *, filter);
    char why[128] = "", small[4] = "abc";
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_filter_new(S("true"), NULL, why, sizeof why));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_filter_new(*bad, &filter, why, sizeof why));
    static const char *const wrong[] = {"",  "tags.", "tags.a ==", "tags.a == \"x",
                                        "1", "((((",  "&&"};
    EACH(text, wrong, char *const) {
        IS(FILTER, roomcast_filter_new(S(*text), &filter, why, sizeof why));
        HAS("byte", why);
        IS(FILTER, roomcast_filter_new(S(*text), &filter, small, sizeof small));
        EQ(3, strlen(small));
        IS(FILTER, roomcast_filter_new(S(*text), &filter, NULL, SIZE_MAX));
    }
    IS(FILTER, roomcast_filter_new(S("tags.side = \"ask\""), &filter, why, sizeof why));
    HAS("at byte 10 ", why);
    size_t size = 17000;
    char *large = malloc(size);
    CHECK(large);
    memset(large, ' ', size);
    IS(FILTER, roomcast_filter_new((roomcast_str){large, size}, &filter, why, sizeof why));
    HAS("too large", why);
    memset(large, '(', size);
    IS(FILTER, roomcast_filter_new((roomcast_str){large, 100}, &filter, why, sizeof why));
    free(large);
    UNTOUCHED(filter);
}

static bool yes(void *data, const roomcast_labels *labels, roomcast_bytes bytes) {
    (void)data, (void)labels, (void)bytes;
    return true;
}

static int freed;

static void on_free(void *data) {
    CHECK(data == &freed);
    freed++;
}

NULLS(roomcast_filter_new_native) {
    PLACE(roomcast_filter *, filter);
    char long_name[17000];
    (void)w;
    freed = 0;
    IS(INVALID_ARGUMENT, roomcast_filter_new_native(S("n"), &freed, yes, on_free, NULL));
    IS(INVALID_ARGUMENT, roomcast_filter_new_native(S("n"), &freed, NULL, on_free, &filter));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_filter_new_native(*bad, &freed, yes, on_free, &filter));
    memset(long_name, 'n', sizeof long_name);
    roomcast_str name = {long_name, sizeof long_name};
    IS(FILTER, roomcast_filter_new_native(name, &freed, yes, on_free, &filter));
    UNTOUCHED(filter);
    EQ(0, freed);
    OK(roomcast_filter_new_native(S(""), &freed, yes, on_free, &filter));
    EQ(0, freed);
    roomcast_filter_free(filter);
    EQ(1, freed);
    OK(roomcast_filter_new_native(S("n"), &freed, yes, NULL, &filter));
    roomcast_filter_free(filter);
    EQ(1, freed);
}

static void bad_lists(roomcast_status (*make)(const roomcast_filter *const *, size_t,
                                              roomcast_filter **)) {
    roomcast_filter *one = filter_of("has(publication.key)"), *many = NULL;
    PLACE(roomcast_filter *, filter);
    const roomcast_filter *list[] = {one, NULL, one};
    IS(INVALID_ARGUMENT, make(list, 1, NULL));
    IS(INVALID_ARGUMENT, make(NULL, 1, &filter));
    IS(INVALID_ARGUMENT, make(list, 2, &filter));
    IS(INVALID_ARGUMENT, make(list, SIZE_MAX, &filter));
    IS(INVALID_ARGUMENT, make(list, SIZE_MAX / 8, &filter));
    /* Of one question there are never many. */
    const roomcast_filter *hundred[300];
    for (size_t i = 0; i < LENGTH(hundred); i++) hundred[i] = one;
    OK(make(hundred, LENGTH(hundred), &many));
    TEXT("has(publication.key)", roomcast_filter_text(many));
    roomcast_filter_free(many);
    UNTOUCHED(filter);
    roomcast_filter_free(one);
}

NULLS(roomcast_filter_new_all) {
    roomcast_filter *filter = NULL;
    (void)w;
    bad_lists(roomcast_filter_new_all);
    OK(roomcast_filter_new_all(NULL, 0, &filter));
    TEXT("true", roomcast_filter_text(filter));
    roomcast_filter_free(filter);
}

NULLS(roomcast_filter_new_any) {
    roomcast_filter *filter = NULL, *parts[300];
    PLACE(roomcast_filter *, none);
    (void)w;
    bad_lists(roomcast_filter_new_any);
    OK(roomcast_filter_new_any(NULL, 0, &filter));
    TEXT("false", roomcast_filter_text(filter));
    roomcast_filter_free(filter);
    for (size_t i = 0; i < LENGTH(parts); i++) {
        char text[32];
        snprintf(text, sizeof text, "has(tags.t%zu)", i);
        parts[i] = filter_of(text);
    }
    const roomcast_filter *const *list = (const roomcast_filter *const *)parts;
    IS(FILTER, roomcast_filter_new_any(list, LENGTH(parts), &none));
    UNTOUCHED(none);
    for (size_t i = 0; i < LENGTH(parts); i++) roomcast_filter_free(parts[i]);
}

NULLS(roomcast_filter_new_not) {
    roomcast_filter *one = filter_of("has(publication.key)");
    PLACE(roomcast_filter *, filter);
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_filter_new_not(NULL, &filter));
    IS(INVALID_ARGUMENT, roomcast_filter_new_not(one, NULL));
    UNTOUCHED(filter);
    roomcast_filter_free(one);
}

NULLS(roomcast_filter_new_ask) {
    const uint32_t tag = ROOMCAST_FIELD_TAG, one_of = ROOMCAST_QUESTION_ONE_OF;
    const roomcast_str good = S("v");
    PLACE(roomcast_filter *, filter);
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_filter_new_ask(tag, S("t"), one_of, &good, 1, NULL));
    IS(INVALID_ARGUMENT, roomcast_filter_new_ask(0, S("t"), one_of, &good, 1, &filter));
    IS(INVALID_ARGUMENT, roomcast_filter_new_ask(tag, S("t"), 0, &good, 1, &filter));
    IS(INVALID_ARGUMENT, roomcast_filter_new_ask(tag, S("t"), one_of, NULL, 1, &filter));
    IS(INVALID_ARGUMENT, roomcast_filter_new_ask(tag, S("t"), one_of, &good, SIZE_MAX, &filter));
    IS(INVALID_ARGUMENT,
       roomcast_filter_new_ask(tag, S("t"), ROOMCAST_QUESTION_EXISTS, &good, 1, &filter));
    EACH(bad, bad_enums, uint32_t) {
        IS(INVALID_ARGUMENT, roomcast_filter_new_ask(*bad, S("t"), one_of, &good, 1, &filter));
        IS(INVALID_ARGUMENT, roomcast_filter_new_ask(tag, S("t"), *bad, &good, 1, &filter));
    }
    EACH(bad, bad_texts, roomcast_str) {
        IS(INVALID_ARGUMENT, roomcast_filter_new_ask(tag, *bad, one_of, &good, 1, &filter));
        IS(INVALID_ARGUMENT, roomcast_filter_new_ask(tag, S("t"), one_of, bad, 1, &filter));
    }
    UNTOUCHED(filter);
}

NULLS(roomcast_filter_new_compare) {
    const uint32_t tag = ROOMCAST_FIELD_TAG, less = ROOMCAST_COMPARISON_LESS;
    PLACE(roomcast_filter *, filter);
    (void)w;
    IS(INVALID_ARGUMENT, roomcast_filter_new_compare(tag, S("t"), less, 1, NULL));
    IS(INVALID_ARGUMENT, roomcast_filter_new_compare(0, S("t"), less, 1, &filter));
    IS(INVALID_ARGUMENT, roomcast_filter_new_compare(tag, S("t"), 0, 1, &filter));
    EACH(bad, bad_enums, uint32_t) {
        IS(INVALID_ARGUMENT, roomcast_filter_new_compare(*bad, S("t"), less, 1, &filter));
        IS(INVALID_ARGUMENT, roomcast_filter_new_compare(tag, S("t"), *bad, 1, &filter));
    }
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT, roomcast_filter_new_compare(tag, *bad, less, 1, &filter));
    static const double numbers[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    EACH(bad, numbers, double)
        IS(FILTER, roomcast_filter_new_compare(tag, S("t"), less, *bad, &filter));
    UNTOUCHED(filter);
}

NULLS(roomcast_filter_text) {
    (void)w;
    TEXT(NULL, roomcast_filter_text(NULL));
}

NULLS(roomcast_filter_matches) {
    roomcast_filter *filter = filter_of("true");
    roomcast_publication p = {0};
    PLACE(bool, matches);
    (void)w;
    p.struct_size = sizeof p;
    p.kind = TEXT_KIND;
    IS(INVALID_ARGUMENT, roomcast_filter_matches(NULL, &p, &matches));
    IS(INVALID_ARGUMENT, roomcast_filter_matches(filter, NULL, &matches));
    IS(INVALID_ARGUMENT, roomcast_filter_matches(filter, &p, NULL));
    static const size_t sizes[] = BAD_SIZES(roomcast_publication);
    EACH(bad, sizes, size_t) {
        p.struct_size = *bad;
        IS(INVALID_ARGUMENT, roomcast_filter_matches(filter, &p, &matches));
    }
    p.struct_size = sizeof p;
    EACH(bad, bad_texts, roomcast_str) {
        p.key = *bad;
        IS(INVALID_ARGUMENT, roomcast_filter_matches(filter, &p, &matches));
    }
    p.key = S("k");
    UNTOUCHED(matches);
    OK(roomcast_filter_matches(filter, &p, &matches));
    CHECK(matches);
    roomcast_filter_free(filter);
}

/* Labels: of NULL nothing; of those that a predicate is given, where the name is none. */
#define LABEL(what)                                                                              \
    NULLS(roomcast_labels_##what) {                                                              \
        (void)w;                                                                                 \
        TEXT(NULL, roomcast_labels_##what(NULL));                                                \
    }
LABEL(event)
LABEL(key)

static bool look_at_labels(void *data, const roomcast_labels *labels, roomcast_bytes bytes) {
    PLACE(roomcast_str, name);
    PLACE(roomcast_str, value);
    (void)bytes;
    EACH(bad, bad_texts, roomcast_str) TEXT(NULL, roomcast_labels_tag(labels, *bad));
    TEXT(NULL, roomcast_labels_tag(labels, S(NULL)));
    CHECK(!roomcast_labels_tag_at(labels, 1, &name, &value));
    CHECK(!roomcast_labels_tag_at(labels, SIZE_MAX, &name, &value));
    UNTOUCHED(name);
    UNTOUCHED(value);
    CHECK(roomcast_labels_tag_at(labels, 0, NULL, NULL));
    ++*(int *)data;
    return true;
}

NULLS(roomcast_labels_tag) {
    roomcast_filter *filter = NULL;
    const roomcast_tag tag = {S("n"), S("v")};
    roomcast_publication p = {0};
    int looked = 0;
    bool matches = false;
    (void)w;
    TEXT(NULL, roomcast_labels_tag(NULL, S("n")));
    EACH(bad, bad_texts, roomcast_str) TEXT(NULL, roomcast_labels_tag(NULL, *bad));
    OK(roomcast_filter_new_native(S("look"), &looked, look_at_labels, NULL, &filter));
    p.struct_size = sizeof p;
    p.kind = BINARY_KIND;
    p.tags = &tag;
    p.tag_count = 1;
    OK(roomcast_filter_matches(filter, &p, &matches));
    CHECK(matches && looked == 1);
    roomcast_filter_free(filter);
}

NULLS(roomcast_labels_tag_at) {
    PLACE(roomcast_str, name);
    (void)w;
    CHECK(!roomcast_labels_tag_at(NULL, 0, &name, &name));
    CHECK(!roomcast_labels_tag_at(NULL, SIZE_MAX, NULL, NULL));
    UNTOUCHED(name);
}

/* Each field of a join made wrong alone. */
static void bad_joins(struct world *w, roomcast_status (*join_so)(struct world *,
                                                                  const roomcast_join *)) {
    const roomcast_str key = S("k");
    roomcast_join good = {0}, join;
    good.struct_size = sizeof good;
    good.keys = &key;
    good.key_count = 1;
#define WRONG(change)                                                                            \
    do {                                                                                         \
        join = good;                                                                             \
        change;                                                                                  \
        IS(INVALID_ARGUMENT, join_so(w, &join));                                                 \
    } while (0)
    static const size_t sizes[] = BAD_SIZES(roomcast_join);
    EACH(bad, sizes, size_t) WRONG(join.struct_size = *bad);
    EACH(bad, bad_enums, uint32_t) WRONG(join.slow_policy = *bad);
    EACH(bad, bad_texts, roomcast_str) WRONG(join.keys = bad);
    WRONG(join.keys = NULL);
    WRONG(join.key_count = SIZE_MAX);
}

static roomcast_status join_with(struct world *w, const roomcast_join *join) {
    PLACE(roomcast_position, position);
    roomcast_status status =
        roomcast_connection_join_with(w->engine, w->connection, S("r"), join, &position);
    UNTOUCHED(position);
    return status;
}

static char too_long[300];
static const char *const bad_rooms[] = {"", NULL, too_long};

static const char *room_of(const char *const *name) {
    memset(too_long, 'n', sizeof too_long - 1);
    return *name;
}

NULLS(roomcast_connection_join_with) {
    roomcast_join join = {0};
    roomcast_str key = {too_long, sizeof too_long};
    bad_joins(w, join_with);
    IS(INVALID_ARGUMENT, roomcast_connection_join_with(NULL, w->connection, S("r"), NULL, NULL));
    EACH(bad, bad_texts, roomcast_str)
        IS(INVALID_ARGUMENT,
           roomcast_connection_join_with(w->engine, w->connection, *bad, NULL, NULL));
    EACH(bad, bad_rooms, char *const)
        IS(ROOM_NAME, roomcast_connection_join_with(w->engine, w->connection, S(room_of(bad)),
                                                    NULL, NULL));
    EACH(id, stale_ids, uint64_t)
        IS(GONE, roomcast_connection_join_with(w->engine, *id, S("r"), NULL, NULL));
    join.struct_size = sizeof join;
    join.keys = &key;
    join.key_count = 1;
    IS(KEY, join_with(w, &join));
}

#define CHANGES_KEYS(call)                                                                       \
    do {                                                                                         \
        const roomcast_str good = S("k"), longest = {too_long, sizeof too_long};                 \
        const roomcast_str two[] = {good, longest};                                              \
        const roomcast_engine *engine = w->engine;                                               \
        IS(INVALID_ARGUMENT, call(NULL, w->connection, S("lobby"), &good, 1));                   \
        IS(INVALID_ARGUMENT, call(engine, w->connection, S("lobby"), NULL, 1));                  \
        IS(INVALID_ARGUMENT, call(engine, w->connection, S("lobby"), &good, SIZE_MAX));          \
        EACH(bad, bad_texts, roomcast_str) {                                                     \
            IS(INVALID_ARGUMENT, call(engine, w->connection, *bad, &good, 1));                   \
            IS(INVALID_ARGUMENT, call(engine, w->connection, S("lobby"), bad, 1));               \
        }                                                                                        \
        EACH(bad, bad_rooms, char *const)                                                        \
            IS(ROOM_NAME, call(engine, w->connection, S(room_of(bad)), &good, 1));               \
        EACH(id, stale_ids, uint64_t) IS(GONE, call(engine, *id, S("lobby"), &good, 1));         \
        IS(KEY, call(engine, w->connection, S("lobby"), two, 2));                                \
        OK(call(engine, w->connection, S("lobby"), NULL, 0));                                    \
        OK(call(engine, w->connection, S("no such room"), &good, 1));                            \
        OK(call(engine, w->connection, S("lobby"), &good, 1));                                   \
    } while (0)

NULLS(roomcast_connection_watch) { CHANGES_KEYS(roomcast_connection_watch); }

NULLS(roomcast_connection_unwatch) { CHANGES_KEYS(roomcast_connection_unwatch); }

static roomcast_status accept_with(struct world *w, const roomcast_join *join) {
    const roomcast_str rooms[] = {S("a"), S("b")};
    const roomcast_join *joins[] = {NULL, join};
    roomcast_accept accept = {0};
    accept.struct_size = sizeof accept;
    accept.rooms = rooms;
    accept.room_count = 2;
    accept.joins = joins;
    return roomcast_connection_accept(w->engine, w->connection, &accept);
}

TEST(rooms_at_accept_take_no_bad_join, PLAIN, 20) {
    struct world w = {0};
    roomcast_join join = {0};
    roomcast_config *config = host_config();
    w.engine = engine_of(config);
    w.connection = 1;
    bad_joins(&w, accept_with);
    join.struct_size = sizeof join;
    IS(GONE, accept_with(&w, &join));
    IS(GONE, accept_with(&w, NULL));
    roomcast_engine_free(w.engine);
    roomcast_config_free(config);
}
