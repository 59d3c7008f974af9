/* tls_fixture.h -- a cluster's CA, a server and a client of it that shake hands in memory, and what
 * either is told where that fails. Tests change the options that they are about. */
#ifndef OSR_TESTS_TLS_FIXTURE_H
#define OSR_TESTS_TLS_FIXTURE_H

#include "lib/tls_pair.h"

enum {
    TLS_DAY_S = 24 * 60 * 60,
    /* Sets of proofs. */
    TLS_CERTIFICATE = 1u << OSR_TLS_PROOF_CERTIFICATE,
    TLS_NOTHING = 1u << OSR_TLS_PROOF_NONE,
    TLS_KEY = 1u << OSR_TLS_PROOF_KEY,
    TLS_PINNED = 1u << OSR_TLS_PROOF_PINNED,
};

#define TLS_SERVER "instance:abcdefghijklmnopqrstuvwxyz234567"
#define TLS_SECRET "0123456789abcdef0123456789abcdef" /* of a shared key */

struct tls_fixture {
    struct osr_party authority;
    struct osr_party server;            /* TLS_SERVER */
    struct osr_party client;            /* user:ana */
    struct osr_party foreign_authority; /* one that nobody knows, and a client of it */
    struct osr_party foreign_client;
    /* The usual link: by certificates of the CA, on both sides. */
    struct osr_tls_options server_options;
    struct osr_tls_options client_options;
    struct osr_tls_pair pair;
};

/* For cmocka: nothing has been said. */
int tls_set_up(void **state);
int tls_tear_down(void **state);

/* A new pair; shaking hands, until neither has anything to say. */
void tls_open(struct tls_fixture *fixture);
void tls_shake_hands(struct tls_fixture *fixture);

struct osr_tls_shared_key tls_shared_key(const char *name, const char *secret);
/* Makes the pair use shared keys alone: no certificate on either side. */
void tls_use_keys(struct tls_fixture *fixture, const struct osr_tls_shared_key *server_keys,
                  size_t server_key_count, const struct osr_tls_shared_key *client_key);
uint64_t tls_given_time_s(void *context); /* for options: context is a uint64_t */

void tls_write_text(struct osr_tls_side *side, const char *text);
/* What the side has to say, to be tampered with. */
struct osr_buffer tls_taken_from(struct osr_tls_side *side);

void assert_reads(struct osr_tls_side *side, const char *text);
void assert_up(struct osr_tls_side *side, enum osr_tls_proof proof, const char *cluster,
               const char *who);
/* It has failed, and says so; of messages a part is enough. */
void assert_told(const struct osr_tls_side *side, enum osr_code code, const char *message);
/* Shakes hands: the server refuses and says why; the client is told by an alert. */
void assert_server_refuses(struct tls_fixture *fixture, enum osr_code code, const char *message,
                           const char *client_message);
void assert_client_refuses(struct tls_fixture *fixture, enum osr_code code, const char *message,
                           const char *server_message);

#endif
