/* bench_redis.c -- the same load as bench_osiris.c for a Redis primary and its replica.
 *
 * usage: bench_redis rate SECONDS WINDOW PRIMARY_PORT REPLICA_PORT
 *        bench_redis latency SECONDS PRIMARY_PORT REPLICA_PORT
 *
 * rate: keeps WINDOW SETs outstanding for SECONDS, then waits until the replica has as many
 * keys. latency: one SET at a time; from sending it until EXISTS finds it at the replica. */
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

static redisContext *dial(const char *port)
{
    redisContext *redis = redisConnect("127.0.0.1", atoi(port));
    if (redis == NULL || redis->err != 0) {
        fprintf(stderr, "bench_redis: nobody at port %s\n", port);
        exit(1);
    }
    int on = 1;
    setsockopt(redis->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return redis;
}

static long long integer(redisContext *redis, const char *command, unsigned long long argument)
{
    redisReply *reply = redisCommand(redis, command, argument);
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        fprintf(stderr, "bench_redis: %s failed\n", command);
        exit(1);
    }
    long long value = reply->integer;
    freeReplyObject(reply);
    return value;
}

static void take_reply(redisContext *redis)
{
    redisReply *reply = NULL;
    if (redisGetReply(redis, (void **)&reply) != REDIS_OK || reply->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "bench_redis: SET failed: %s\n", redis->errstr);
        exit(1);
    }
    freeReplyObject(reply);
}

static void measure_rate(double seconds, size_t window, redisContext *primary,
                         redisContext *replica)
{
    char item[BENCH_ITEM_BYTES];
    uint64_t sent = 0;
    uint64_t answered = 0;
    memset(item, 'x', sizeof(item));
    uint64_t began = bench_now_ns();
    while (bench_seconds_since(began) < seconds) {
        while (sent - answered < window) {
            redisAppendCommand(primary, "SET k%llu %b", (unsigned long long)sent++, item,
                               sizeof(item));
        }
        while (sent - answered > window - window / 4) {
            take_reply(primary);
            answered++;
        }
    }
    for (; answered < sent; answered++) {
        take_reply(primary);
    }
    double primary_s = bench_seconds_since(began);
    while ((uint64_t)integer(replica, "DBSIZE", 0) < sent) {
        usleep(200);
    }
    bench_print_rate(sent, primary_s, bench_seconds_since(began));
}

static void measure_latency(double seconds, redisContext *primary, redisContext *replica)
{
    static uint64_t samples[BENCH_SAMPLES_MAX];
    char item[BENCH_ITEM_BYTES];
    size_t count = 0;
    memset(item, 'x', sizeof(item));
    uint64_t began = bench_now_ns();
    while (count < BENCH_SAMPLES_MAX && bench_seconds_since(began) < seconds) {
        uint64_t sent = bench_now_ns();
        redisAppendCommand(primary, "SET latency%llu %b", (unsigned long long)count, item,
                           sizeof(item));
        take_reply(primary);
        while (integer(replica, "EXISTS latency%llu", count) == 0) {
        }
        samples[count++] = bench_now_ns() - sent;
        usleep(BENCH_PAUSE_US);
    }
    bench_print_latency(samples, count);
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "rate") == 0) {
        measure_rate(atof(argv[2]), (size_t)atol(argv[3]), dial(argv[4]), dial(argv[5]));
    } else if (argc == 5 && strcmp(argv[1], "latency") == 0) {
        measure_latency(atof(argv[2]), dial(argv[3]), dial(argv[4]));
    } else {
        fprintf(stderr, "usage: bench_redis rate SECONDS WINDOW PRIMARY REPLICA\n"
                        "       bench_redis latency SECONDS PRIMARY REPLICA\n");
        return 64;
    }
    return 0;
}
