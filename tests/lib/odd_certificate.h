/* odd_certificate.h -- certificates as no CA of ours would make them. What cannot fail aborts. */
#ifndef OSR_TESTS_ODD_CERTIFICATE_H
#define OSR_TESTS_ODD_CERTIFICATE_H

#include "lib/tls_pair.h"

/* What a certificate says that authority.h would not write. */
struct odd_certificate {
    const char *subject; /* common name; NULL: none */
    const char *names;   /* alternative names, as X509V3_EXT_conf_nid reads them; NULL: none */
    const char *usage;   /* extended key usage; NULL: none */
    bool is_authority;
    bool has_nul_in_name; /* a URI of our scheme with a NUL in it */
};

/* Good at OSR_PARTY_NOW_S for a day before and after; signed by `authority`, whatever that is. */
struct osr_party odd_certificate_make(const struct osr_party *authority,
                                      const struct odd_certificate *odd);

#endif
