/* renewal_answer.h -- what an answer to RENEW is allowed to change at the member that asked:
 * nothing in it is taken before it has been looked at here.
 *
 * The certificate has to be of this instance and of its TLS key, good now, and signed by a CA that
 * is believed.
 *
 * CAs are taken from the CA's instance alone: from an instance that a CA which is believed already
 * names as the one that has it, and that has proved its id to the link. What it no longer lists of
 * the CAs that name it is believed no longer. So members follow a rotation of the CA. Where no CA
 * names its instance (an outside one), nothing but the certificate is taken from anybody.
 *
 * Functions of bytes. */
#ifndef OSR_NODE_RENEWAL_ANSWER_H
#define OSR_NODE_RENEWAL_ANSWER_H

#include "node/trust.h"
#include "wire/codec.h"

enum { OSR_RENEWAL_CHAIN_MAX = 8 }; /* certificates: stops one that fits no handshake */

/* What the member has now. */
struct osr_renewal_own {
    const struct osr_trust *trust;
    const char *cluster;
    const char *instance;
    uint64_t now_s;
};

/* Whether a CA that is believed names this instance as the one that has it; NULL: names any. */
bool osr_renewal_is_named(const struct osr_renewal_own *own, const char *instance);

/* What the CA's instance said of itself. */
struct osr_renewal_news {
    bool is_other_issuer; /* what it issues is not of the CA that issued the present certificate */
    bool are_others_believed; /* it believes other CAs, and may say so */
};
/* `from`: the id that the link's other side has proved. INVALID_ARGUMENT: the answer contradicts
 * itself. */
int osr_renewal_read_news(const struct osr_renewal_own *own, const char *from,
                          const Osr__RenewResponse *answer, struct osr_renewal_news *ret_news,
                          struct osr_err *err);
/* INVALID_ARGUMENT, BAD_SIGNATURE or CONFIG: it is not to be taken. */
int osr_renewal_check_certificate(const struct osr_renewal_own *own, const char *from,
                                  const Osr__RenewResponse *answer,
                                  struct osr_certificate_facts *ret_facts, struct osr_err *err);

#endif
