/* authority_fixture.h -- a CA, a key and its request that it is to certify; and certificates as
 * OpenSSL sees them. */
#ifndef OSR_TESTS_AUTHORITY_FIXTURE_H
#define OSR_TESTS_AUTHORITY_FIXTURE_H

#include <openssl/x509.h>

#include "adapter/authority.h"

enum { AUTHORITY_DAY_S = 24 * 60 * 60 };

#define AUTHORITY_NOW_S    UINT64_C(1800000000) /* 2027-01-15 08:00:00 UTC: when the CA was made */
#define AUTHORITY_INSTANCE "instance:abcdefghijklmnopqrstuvwxyz234567" /* whose CA it is */

struct authority_fixture {
    struct osr_buffer authority_key;
    struct osr_buffer authority; /* of the cluster büro/2 */
    struct osr_buffer key;
    struct osr_buffer request;
    struct osr_buffer made;
    struct osr_err err;
};

/* For cmocka: nothing has been made. */
int authority_set_up(void **state);
int authority_tear_down(void **state);

/* The usual one: by the request, for the instance. */
struct osr_authority_order authority_order(const struct authority_fixture *fixture);
/* Has `made` made; returns what osr_authority_issue does. */
int authority_issue(struct authority_fixture *fixture, const struct osr_authority_order *order);

struct osr_certificate_facts certificate_facts(const struct osr_buffer *pem);
X509 *certificate_parse(const struct osr_buffer *pem); /* to be freed */
void certificate_write(struct osr_buffer *pem, X509 *certificate);

#endif
