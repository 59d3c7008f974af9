#include "lib/tls_pair.h"

#include <assert.h>
#include <openssl/err.h>

/* -- who -- */

struct osr_party osr_party_authority_at(const char *cluster, uint64_t now_s)
{
    struct osr_party party = {0};

    osr_tls_key_make(&party.key);
    int code = osr_authority_make(osr_buffer_slice(&party.key), cluster,
                                  "instance:abcdefghijklmnopqrstuvwxyz234567", now_s,
                                  &party.certificate, NULL);
    assert(code == 0);
    return party;
}

struct osr_party osr_party_authority(const char *cluster)
{
    return osr_party_authority_at(cluster, OSR_PARTY_NOW_S);
}

struct osr_party osr_party_ordered(const struct osr_party *authority,
                                   const struct osr_authority_order *order)
{
    struct osr_party party = {0};
    struct osr_buffer request = {0};
    struct osr_authority_order completed = *order;

    osr_tls_key_make(&party.key);
    int code = osr_certificate_request(osr_buffer_slice(&party.key), &request, NULL);
    assert(code == 0);
    completed.request_pem = osr_buffer_slice(&request);
    code = osr_authority_issue(osr_buffer_slice(&authority->certificate),
                               osr_buffer_slice(&authority->key), &completed, &party.certificate,
                               NULL);
    assert(code == 0);
    osr_buffer_done(&request);
    return party;
}

struct osr_party osr_party_of(const struct osr_party *authority, const char *cluster,
                              const char *who)
{
    return osr_party_ordered(
        authority, &(struct osr_authority_order){
                       .cluster = cluster, .who = who, .subject = who, .now_s = OSR_PARTY_NOW_S});
}

struct osr_party osr_party_alone(const char *cluster, const char *who)
{
    struct osr_party party = {0};

    osr_tls_key_make(&party.key);
    int code = osr_certificate_self_signed(osr_buffer_slice(&party.key), cluster, who,
                                           OSR_PARTY_NOW_S, &party.certificate, NULL);
    assert(code == 0);
    return party;
}

void osr_party_done(struct osr_party *party)
{
    osr_secret_buffer_done(&party->key);
    osr_buffer_done(&party->certificate);
}

uint64_t osr_party_time_s(void *context)
{
    (void)context;
    return OSR_PARTY_NOW_S;
}

struct osr_tls_options osr_party_options(bool is_server, const struct osr_party *party)
{
    struct osr_tls_options options = {.is_server = is_server, .time_s = osr_party_time_s};

    if (party != NULL) {
        options.certificate_pem = osr_buffer_slice(&party->certificate);
        options.key_pem = osr_buffer_slice(&party->key);
    }
    return options;
}

/* -- one side -- */

struct osr_tls_side osr_tls_side_open(const struct osr_tls_options *options)
{
    struct osr_tls_context *context = NULL;
    int code = osr_tls_context_create(options, &context, NULL);
    assert(code == 0);
    struct osr_tls_side side = {.tls = osr_tls_create(context)};

    osr_tls_context_release(context); /* the session keeps it */
    return side;
}

void osr_tls_side_close(struct osr_tls_side *side)
{
    osr_tls_destroy(side->tls);
    side->tls = NULL;
}

void osr_tls_side_receive(struct osr_tls_side *side, struct osr_slice bytes)
{
    struct osr_err err = {0};
    int code = osr_tls_receive(side->tls, bytes, &err);

    assert(ERR_peek_error() == 0); /* the next one to use OpenSSL would take it for its own */
    assert(code == (int)err.code);
    if (side->code == 0) {
        side->code = code;
        side->err = err;
    }
}

bool osr_tls_carry(struct osr_tls_side *from, struct osr_tls_side *to)
{
    struct osr_buffer bytes = {0};
    bool is_some = osr_tls_produce(from->tls, &bytes);

    if (is_some) {
        osr_tls_side_receive(to, osr_buffer_slice(&bytes));
    }
    osr_buffer_done(&bytes);
    return is_some;
}

/* -- two -- */

void osr_tls_pair_open(struct osr_tls_pair *pair, const struct osr_tls_options *client,
                       const struct osr_tls_options *server)
{
    *pair = (struct osr_tls_pair){osr_tls_side_open(client), osr_tls_side_open(server)};
}

void osr_tls_pair_close(struct osr_tls_pair *pair)
{
    osr_tls_side_close(&pair->client);
    osr_tls_side_close(&pair->server);
}

void osr_tls_pair_talk(struct osr_tls_pair *pair)
{
    bool to_server;
    bool to_client;
    do {
        to_server = osr_tls_carry(&pair->client, &pair->server);
        to_client = osr_tls_carry(&pair->server, &pair->client);
    } while (to_server || to_client);
}
