/* tls_pair.h -- two TLS sessions that talk to each other in memory, and certificates for them.
 *
 *     struct osr_party ca = osr_party_authority("büro");
 *     struct osr_party ana = osr_party_of(&ca, "büro", "user:ana");
 *     struct osr_tls_pair pair;
 *     osr_tls_pair_open(&pair, &client_options, &server_options);
 *     osr_tls_pair_talk(&pair);            until neither has anything to say
 *     ... pair.client.tls, pair.server.err ...
 *     osr_tls_pair_close(&pair);
 *
 * What cannot fail aborts. One thread. */
#ifndef OSR_TESTS_TLS_PAIR_H
#define OSR_TESTS_TLS_PAIR_H

#include "adapter/authority.h"
#include "adapter/tls.h"

#define OSR_PARTY_NOW_S 1800000000ull /* 2027-01-15 08:00:00 UTC: when certificates are made */

/* Somebody with a key and a certificate for it; PEM. */
struct osr_party {
    struct osr_buffer key;
    struct osr_buffer certificate;
};

struct osr_party osr_party_authority(const char *cluster);
struct osr_party osr_party_of(const struct osr_party *authority, const char *cluster,
                              const char *who);
/* The same for those who look at their own clock; of `order` everything counts but the request. */
struct osr_party osr_party_authority_at(const char *cluster, uint64_t now_s);
struct osr_party osr_party_ordered(const struct osr_party *authority,
                                   const struct osr_authority_order *order);
struct osr_party osr_party_alone(const char *cluster, const char *who); /* signed by itself */
void osr_party_done(struct osr_party *party);

uint64_t osr_party_time_s(void *context); /* for options: OSR_PARTY_NOW_S */
/* Fills in certificate, key and clock. `party` NULL: no certificate. */
struct osr_tls_options osr_party_options(bool is_server, const struct osr_party *party);

/* One of the two. `code` and `err` are those of the first call that failed. */
struct osr_tls_side {
    struct osr_tls *tls;
    int code;
    struct osr_err err;
};

struct osr_tls_pair {
    struct osr_tls_side client;
    struct osr_tls_side server;
};

struct osr_tls_side osr_tls_side_open(const struct osr_tls_options *options);
void osr_tls_side_close(struct osr_tls_side *side);
void osr_tls_side_receive(struct osr_tls_side *side, struct osr_slice bytes);
/* What one has to say goes to the other. False: nothing. */
bool osr_tls_carry(struct osr_tls_side *from, struct osr_tls_side *to);

void osr_tls_pair_open(struct osr_tls_pair *pair, const struct osr_tls_options *client,
                       const struct osr_tls_options *server);
void osr_tls_pair_close(struct osr_tls_pair *pair);
void osr_tls_pair_talk(struct osr_tls_pair *pair);

#endif
