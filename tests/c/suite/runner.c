/* Runs the tests one after the other, each in a child process: a crash, a leak or a deadlock of
 * one does not touch the others. `suite [--list] [--with TAG] [--without TAG] [part of a name]` */
#include "suite.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>

struct test {
    char name[96];
    unsigned tags, seconds;
    suite_fn run;
};

static struct test tests[400];
static size_t test_count;
static const char *at_file = "?", *at_what = "start";
static int at_line;

void suite_add(const char *file, const char *name, unsigned tags, unsigned seconds, suite_fn run) {
    if (test_count == LENGTH(tests)) abort();
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    struct test *test = &tests[test_count++];
    snprintf(test->name, sizeof test->name, "%.*s.%s", (int)strcspn(base, "."), base, name);
    test->tags = tags;
    test->seconds = seconds;
    test->run = run;
}

unsigned suite_slow(void) {
    const char *slow = getenv("SUITE_SLOW");
    return slow && atoi(slow) > 0 ? (unsigned)atoi(slow) : 1;
}

int suite_rounds(int rounds) {
    int fewer = rounds / (int)suite_slow();
    return fewer > 0 ? fewer : 1;
}

void suite_at(const char *file, int line, const char *what) {
    STORE(at_file, file);
    STORE(at_line, line);
    STORE(at_what, what);
}

void suite_fail(const char *file, int line, const char *format, ...) {
    char text[512];
    va_list rest;
    va_start(rest, format);
    vsnprintf(text, sizeof text, format, rest);
    va_end(rest);
    fprintf(stderr, "  %s:%d: %s\n", file, line, text);
    _exit(1);
}

static void on_deadline(int signal) {
    char text[512];
    (void)signal;
    int length = snprintf(text, sizeof text, "  deadline, last seen at %s:%d: %s\n",
                          LOAD(at_file), LOAD(at_line), LOAD(at_what));
    if (write(2, text, (size_t)length) < 0) _exit(125);
    if (getenv("SUITE_ABORT")) abort();
    _exit(124);
}

void suite_nap(void) {
    struct timespec nap = {0, 1000000};
    nanosleep(&nap, NULL);
}

uint64_t suite_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void check_status(const char *file, int line, const char *what, int wanted, int got) {
    suite_at(file, line, what);
    if (wanted != got)
        suite_fail(file, line, "%s\n    gives %d (%s), wanted %d (%s)", what, got,
                   roomcast_status_text((uint32_t)got), wanted,
                   roomcast_status_text((uint32_t)wanted));
}

void check_number(const char *file, int line, const char *what, uint64_t wanted, uint64_t got) {
    if (wanted != got)
        suite_fail(file, line, "%s is %llu (%llx), wanted %llu", what, (unsigned long long)got,
                   (unsigned long long)got, (unsigned long long)wanted);
}

void check_text(const char *file, int line, const char *what, const char *wanted,
                roomcast_str got) {
    if (!wanted && !got.data) return;
    if (!wanted || !got.data || strlen(wanted) != got.len ||
        memcmp(wanted, got.data, got.len) != 0)
        suite_fail(file, line, "%s is \"%.*s\"%s, wanted \"%s\"", what, (int)got.len,
                   got.data ? got.data : "", got.data ? "" : " (none)",
                   wanted ? wanted : "(none)");
}

void check_has(const char *file, int line, const char *part, const char *whole) {
    if (!strstr(whole, part))
        suite_fail(file, line, "\"%s\" is not in \"%s\"", part, whole);
}

static bool run_one(const struct test *test) {
    uint64_t began = suite_now_ms();
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) abort();
    if (child == 0) {
        signal(SIGALRM, on_deadline);
        alarm(test->seconds * (suite_slow() > 1 ? 6 : 1));
        test->run();
        exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    printf("%s %s (%llu ms)", passed ? "ok    " : "FAILED", test->name,
           (unsigned long long)(suite_now_ms() - began));
    if (WIFSIGNALED(status)) printf(" signal %d", WTERMSIG(status));
    if (WIFEXITED(status) && !passed) printf(" exit %d", WEXITSTATUS(status));
    printf("\n");
    fflush(stdout);
    return passed;
}

static unsigned tag_of(const char *name) {
    if (strcmp(name, "threads") == 0) return THREADS;
    if (strcmp(name, "heavy") == 0) return HEAVY;
    if (strcmp(name, "measures") == 0) return MEASURES;
    fprintf(stderr, "no such tag: %s\n", name);
    exit(2);
}

int main(int argc, char **argv) {
    unsigned with = 0, without = 0, passed = 0, failed = 0;
    bool list = false;
    const char *part = "";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) list = true;
        else if (strcmp(argv[i], "--with") == 0 && i + 1 < argc) with |= tag_of(argv[++i]);
        else if (strcmp(argv[i], "--without") == 0 && i + 1 < argc) without |= tag_of(argv[++i]);
        else part = argv[i];
    }
    for (size_t i = 0; i < test_count; i++) {
        const struct test *test = &tests[i];
        if (!strstr(test->name, part) || (test->tags & with) != with || test->tags & without)
            continue;
        if (list) printf("%s\n", test->name);
        else if (run_one(test)) passed++;
        else failed++;
    }
    if (!list) printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 || (!list && passed == 0);
}
