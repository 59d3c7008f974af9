/* cases.h -- what the test client can be told to do with a server. A case returns where the
 * server did as it should; else the program ends there with a line that says what was wrong. */
#ifndef OSR_INTEROP_CASES_H
#define OSR_INTEROP_CASES_H

#include "requests.h"
#include "rpc.h"

#define TEST_SERVICE "/grpc.testing.TestService/"

enum { ANSWER_BYTES_MAX = 4 << 20 }; /* what our client takes, as others do */

struct test_case {
    const char *name;
    void (*run)(struct channel *channel);
};

/* cases.c: those of gRPC's published descriptions; the last one's name is NULL. */
extern const struct test_case published_cases[];
/* scenarios.c: limits, connections that end, and what scripted servers are tried with. */
extern const struct test_case further_cases[];

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_failed(__FILE__, __LINE__, #condition);                                          \
        }                                                                                          \
    } while (0)
_Noreturn void check_failed(const char *file, int line, const char *condition);

/* Each starts a call without a time-out, or sends one message of it. */
void start(struct rpc *rpc, struct channel *channel, const char *path);
void start_unary(struct rpc *rpc, struct channel *channel, const struct simple_request *request,
                 bool is_compressed); /* all of it: half-closed after */
void send_simple(struct rpc *rpc, const struct simple_request *request, bool is_compressed);
void send_output(struct rpc *rpc, const struct output_request *request);
void send_input(struct rpc *rpc, size_t payload_size, enum choice expect_compressed,
                bool is_compressed);
void send_empty(struct rpc *rpc); /* and half-closes */
/* Asks for one message of that size. */
void ping(struct rpc *rpc, size_t payload_size, int32_t response_size);

/* Waits for the end, which must be this; then rpc_done. */
void expect_end(struct rpc *rpc, enum osr_grpc_code code);
/* The next message must come, and its payload have this size. */
void expect_payload(struct rpc *rpc, int64_t size);
/* No message may come before the end, which must be OK; then rpc_done. */
void expect_good_end(struct rpc *rpc);

#endif
