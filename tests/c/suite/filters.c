/* Filters made of questions and put together, beside their texts. */
#include "host.h"

static void is_written(roomcast_filter *filter, const char *text) {
    roomcast_filter *written = filter_of(text);
    roomcast_str canonical = roomcast_filter_text(written), built = roomcast_filter_text(filter);
    if (canonical.len != built.len || memcmp(canonical.data, built.data, built.len) != 0)
        suite_fail(__FILE__, __LINE__, "%.*s is not %.*s", (int)built.len, built.data,
                   (int)canonical.len, canonical.data);
    roomcast_filter_free(written);
    roomcast_filter_free(filter);
}

static roomcast_filter *ask(uint32_t field, const char *tag, uint32_t question,
                            const char *first, const char *second) {
    const roomcast_str values[] = {S(first), S(second)};
    roomcast_filter *filter = NULL;
    size_t count = (first != NULL) + (size_t)(second != NULL);
    OK(roomcast_filter_new_ask(field, S(tag), question, values, count, &filter));
    return filter;
}

static roomcast_filter *compare(const char *tag, uint32_t comparison, double bound) {
    roomcast_filter *filter = NULL;
    OK(roomcast_filter_new_compare(ROOMCAST_FIELD_TAG, S(tag), comparison, bound, &filter));
    return filter;
}

TEST(questions_are_what_their_texts_are, PLAIN, 20) {
    const uint32_t tag = ROOMCAST_FIELD_TAG, event = ROOMCAST_FIELD_EVENT;
    const uint32_t key = ROOMCAST_FIELD_KEY, one_of = ROOMCAST_QUESTION_ONE_OF;
    is_written(ask(tag, "a", one_of, "x", NULL), "tags.a == \"x\"");
    is_written(ask(tag, "a b", one_of, "y", "x"), "tags[\"a b\"] in [\"x\", \"y\"]");
    is_written(ask(key, NULL, one_of, "\" || true", NULL), "key == \"\\\" || true\"");
    is_written(ask(event, NULL, one_of, NULL, NULL), "event in []");
    is_written(ask(event, NULL, ROOMCAST_QUESTION_EXISTS, NULL, NULL), "has(publication.event)");
    is_written(ask(tag, "a", ROOMCAST_QUESTION_STARTS_WITH, "x", NULL), "tags.a.startsWith(\"x\")");
    is_written(ask(tag, "a", ROOMCAST_QUESTION_ENDS_WITH, "x", "y"),
               "tags.a.endsWith(\"x\") || tags.a.endsWith(\"y\")");
    is_written(ask(tag, "a", ROOMCAST_QUESTION_CONTAINS, "x", NULL), "tags.a.contains(\"x\")");
    is_written(ask(tag, "a", ROOMCAST_QUESTION_CONTAINS, NULL, NULL), "false");
    is_written(compare("p", ROOMCAST_COMPARISON_LESS, 1.5), "double(tags.p) < 1.5");
    is_written(compare("p", ROOMCAST_COMPARISON_LESS_OR_EQUAL, -1), "double(tags.p) <= -1.0");
    is_written(compare("p", ROOMCAST_COMPARISON_GREATER, 1e9), "double(tags.p) > 1e9");
    is_written(compare("p", ROOMCAST_COMPARISON_GREATER_OR_EQUAL, 0), "double(tags.p) >= 0.0");
}

TEST(filters_are_put_together, PLAIN, 20) {
    roomcast_filter *parts[] = {filter_of("has(publication.key)"), filter_of("event == \"e\"")};
    const roomcast_filter *const *list = (const roomcast_filter *const *)parts;
    roomcast_filter *all = NULL, *any = NULL, *not = NULL;
    OK(roomcast_filter_new_all(list, 2, &all));
    OK(roomcast_filter_new_any(list, 2, &any));
    OK(roomcast_filter_new_not(parts[1], &not));
    for (int i = 0; i < 2; i++) roomcast_filter_free(parts[i]);
    is_written(all, "event == \"e\" && has(publication.key)");
    is_written(any, "has(publication.key) || event == \"e\"");
    is_written(not, "event != \"e\"");
}
