/* logins.h -- the short-lived tokens that users get for their passwords. In memory alone: after a
 * restart everybody shows the password again.
 *
 * Bounded for each user and in all; the oldest one goes. The loop's only. */
#ifndef OSR_NODE_LOGINS_H
#define OSR_NODE_LOGINS_H

#include "model/token.h"
#include "node/credential.h"

enum {
    OSR_LOGINS_MAX = 4096,        /* stops a flood of logins from taking the memory */
    OSR_LOGINS_PER_USER_MAX = 16, /* stops one user from ending the logins of the others */
};

struct osr_login {
    char id[OSR_SECRET_ID_CHARS + 1];
    char user[OSR_CREDENTIAL_NAME_BYTES_MAX + 1];
    struct osr_hash hash;
    uint64_t expires_ms;
    struct osr_login *older; /* these two are osr_logins' own */
    struct osr_login *newer;
};

struct osr_logins;

struct osr_logins *osr_logins_create(uint64_t hash_seed);
void osr_logins_destroy(struct osr_logins *logins); /* NULL is a no-op */
void osr_logins_add(struct osr_logins *logins, const struct osr_token *token, const char *user,
                    uint64_t expires_ms);
/* NULL: there is none, or no more. Lives until the next change. */
const struct osr_login *osr_logins_find(const struct osr_logins *logins, const char *id);
bool osr_logins_end(struct osr_logins *logins, const char *id); /* false: there was none */
void osr_logins_end_user(struct osr_logins *logins, const char *user);
size_t osr_logins_count(const struct osr_logins *logins);

#endif
