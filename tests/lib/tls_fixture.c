#include "lib/tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

int tls_set_up(void **state)
{
    struct tls_fixture *fixture = osr_alloc(sizeof(*fixture));

    fixture->authority = osr_party_authority("lab");
    fixture->server = osr_party_of(&fixture->authority, "lab", TLS_SERVER);
    fixture->client = osr_party_of(&fixture->authority, "lab", "user:ana");
    fixture->foreign_authority = osr_party_authority("elsewhere");
    fixture->foreign_client = osr_party_of(&fixture->foreign_authority, "lab", "user:ana");

    fixture->server_options = osr_party_options(true, &fixture->server);
    fixture->server_options.authorities_pem = osr_buffer_slice(&fixture->authority.certificate);
    fixture->server_options.proofs = TLS_CERTIFICATE;
    fixture->client_options = osr_party_options(false, &fixture->client);
    fixture->client_options.authorities_pem = osr_buffer_slice(&fixture->authority.certificate);
    fixture->client_options.proofs = TLS_CERTIFICATE;
    *state = fixture;
    return 0;
}

int tls_tear_down(void **state)
{
    struct tls_fixture *fixture = *state;

    osr_tls_pair_close(&fixture->pair);
    osr_party_done(&fixture->authority);
    osr_party_done(&fixture->server);
    osr_party_done(&fixture->client);
    osr_party_done(&fixture->foreign_authority);
    osr_party_done(&fixture->foreign_client);
    free(fixture);
    return 0;
}

void tls_open(struct tls_fixture *fixture)
{
    osr_tls_pair_close(&fixture->pair);
    osr_tls_pair_open(&fixture->pair, &fixture->client_options, &fixture->server_options);
}

void tls_shake_hands(struct tls_fixture *fixture)
{
    tls_open(fixture);
    osr_tls_pair_talk(&fixture->pair);
}

struct osr_tls_shared_key tls_shared_key(const char *name, const char *secret)
{
    return (struct osr_tls_shared_key){name, osr_slice_text(secret)};
}

void tls_use_keys(struct tls_fixture *fixture, const struct osr_tls_shared_key *server_keys,
                  size_t server_key_count, const struct osr_tls_shared_key *client_key)
{
    fixture->server_options = osr_party_options(true, NULL);
    fixture->server_options.shared_keys = server_keys;
    fixture->server_options.shared_key_count = server_key_count;
    fixture->server_options.proofs = TLS_KEY;
    fixture->client_options = osr_party_options(false, NULL);
    fixture->client_options.shared_keys = client_key;
    fixture->client_options.shared_key_count = 1;
    fixture->client_options.proofs = TLS_KEY;
}

uint64_t tls_given_time_s(void *context)
{
    return *(const uint64_t *)context;
}

void tls_write_text(struct osr_tls_side *side, const char *text)
{
    osr_tls_write(side->tls, osr_slice_text(text));
}

void assert_reads(struct osr_tls_side *side, const char *text)
{
    char read[64];
    size_t size = osr_tls_read(side->tls, read, sizeof(read) - 1);

    read[size] = '\0';
    assert_string_equal(read, text);
}

struct osr_buffer tls_taken_from(struct osr_tls_side *side)
{
    struct osr_buffer bytes = {0};
    osr_tls_produce(side->tls, &bytes);
    return bytes;
}

void assert_up(struct osr_tls_side *side, enum osr_tls_proof proof, const char *cluster,
               const char *who)
{
    assert_string_equal(side->err.message, "");
    assert_true(osr_tls_is_up(side->tls));
    const struct osr_tls_peer *peer = osr_tls_peer(side->tls);
    assert_int_equal(peer->proof, proof);
    assert_string_equal(peer->cluster, cluster);
    assert_string_equal(peer->who, who);
}

void assert_told(const struct osr_tls_side *side, enum osr_code code, const char *message)
{
    assert_int_equal(side->code, code);
    if (strstr(side->err.message, message) == NULL) {
        assert_string_equal(side->err.message, message);
    }
    assert_null(strstr(side->err.message, TLS_SECRET));
}

void assert_server_refuses(struct tls_fixture *fixture, enum osr_code code, const char *message,
                           const char *client_message)
{
    tls_shake_hands(fixture);
    assert_told(&fixture->pair.server, code, message);
    assert_false(osr_tls_is_up(fixture->pair.server.tls));
    assert_int_not_equal(fixture->pair.client.code, 0);
    assert_told(&fixture->pair.client, (enum osr_code)fixture->pair.client.code, client_message);
}

void assert_client_refuses(struct tls_fixture *fixture, enum osr_code code, const char *message,
                           const char *server_message)
{
    tls_shake_hands(fixture);
    assert_told(&fixture->pair.client, code, message);
    assert_false(osr_tls_is_up(fixture->pair.client.tls));
    assert_false(osr_tls_is_up(fixture->pair.server.tls));
    assert_int_not_equal(fixture->pair.server.code, 0);
    assert_told(&fixture->pair.server, (enum osr_code)fixture->pair.server.code, server_message);
}
