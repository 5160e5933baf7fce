/* Measures how long an engine takes from nothing to listening, which a client's connect proves:
 * prints the first, the median and the largest of 20 starts in microseconds. One thread. */
#define _POSIX_C_SOURCE 200809L

#include <roomcast.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STARTS = 20 };

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void must(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "start: %s\n", what);
    exit(1);
}

static void connect_to(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    close(fd);
}

static double start(void) {
    roomcast_config *config;
    roomcast_engine *engine;
    uint16_t port;
    char why[256] = "";
    double began = now_us();
    must(!roomcast_config_new(ROOMCAST_VERSION, &config), "configuration");
    must(!roomcast_config_add_listener(config, roomcast_str_of("127.0.0.1:0")), "listener");
    must(!roomcast_engine_new(config, &engine, why, sizeof why), why);
    must(!roomcast_engine_address(engine, 0, NULL, &port), "address");
    double took = now_us() - began;
    connect_to(port);
    roomcast_config_free(config);
    roomcast_engine_free(engine);
    return took;
}

int main(void) {
    double took[STARTS];
    for (int i = 0; i < STARTS; i++) took[i] = start();
    printf("first %.0f us, ", took[0]);
    qsort(took, STARTS, sizeof took[0], by_size);
    printf("median %.0f us, largest %.0f us\n", took[STARTS / 2], took[STARTS - 1]);
    return 0;
}
