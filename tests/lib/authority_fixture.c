#include "lib/authority_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>

int authority_set_up(void **state)
{
    struct authority_fixture *fixture = osr_alloc(sizeof(*fixture));

    osr_tls_key_make(&fixture->authority_key);
    osr_tls_key_make(&fixture->key);
    assert_int_equal(osr_authority_make(osr_buffer_slice(&fixture->authority_key), "büro/2",
                                        AUTHORITY_INSTANCE, AUTHORITY_NOW_S, &fixture->authority,
                                        &fixture->err),
                     0);
    assert_int_equal(
        osr_certificate_request(osr_buffer_slice(&fixture->key), &fixture->request, &fixture->err),
        0);
    *state = fixture;
    return 0;
}

int authority_tear_down(void **state)
{
    struct authority_fixture *fixture = *state;

    assert_int_equal(ERR_peek_error(), 0); /* TLS takes what is left there for its own */
    osr_secret_buffer_done(&fixture->authority_key);
    osr_secret_buffer_done(&fixture->key);
    osr_buffer_done(&fixture->authority);
    osr_buffer_done(&fixture->request);
    osr_buffer_done(&fixture->made);
    free(fixture);
    return 0;
}

struct osr_authority_order authority_order(const struct authority_fixture *fixture)
{
    return (struct osr_authority_order){
        .request_pem = osr_buffer_slice(&fixture->request),
        .cluster = "büro/2",
        .who = AUTHORITY_INSTANCE,
        .subject = "one",
        .now_s = AUTHORITY_NOW_S,
    };
}

int authority_issue(struct authority_fixture *fixture, const struct osr_authority_order *order)
{
    fixture->made.size = 0;
    return osr_authority_issue(osr_buffer_slice(&fixture->authority),
                               osr_buffer_slice(&fixture->authority_key), order, &fixture->made,
                               &fixture->err);
}

X509 *certificate_parse(const struct osr_buffer *pem)
{
    BIO *text = BIO_new_mem_buf(pem->data, (int)pem->size);
    X509 *certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);

    BIO_free(text);
    assert_non_null(certificate);
    return certificate;
}

struct osr_certificate_facts certificate_facts(const struct osr_buffer *pem)
{
    struct osr_certificate_facts facts;
    struct osr_err err;

    assert_int_equal(osr_certificate_read(osr_buffer_slice(pem), &facts, &err), 0);
    return facts;
}

void certificate_write(struct osr_buffer *pem, X509 *certificate)
{
    BIO *text = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(text, certificate), 1);
    pem->size = 0;
    size_t size = BIO_ctrl_pending(text);
    BIO_read(text, osr_buffer_reserve(pem, size), (int)size);
    pem->size = size;
    BIO_free(text);
}
